"""Modules: their state, what they make of an input, and the gradients of sum(output * weights).

Names: "<case>/state/<name in the state dict>", "<case>/in0", "<case>/out", "<case>/weights", "<case>/grad0" of the
input, "<case>/grad/<name>" of the parameters, and "<case>/after/<name>" of the buffers when the module has run in
training. modules_test.cpp has the same cases.
"""

import torch
import torch.nn as nn

from cases import indices, normal, random
from gpt import CONTEXT, WIDTH, Attention

random.manual_seed(5)
CASES = {
    "linear": (nn.Linear(5, 3), normal(2, 4, 5)),
    "linear_no_bias": (nn.Linear(5, 3, bias=False), normal(4, 5)),
    "embedding": (nn.Embedding(6, 3), indices(6, 2, 5)),
    "layer_norm": (nn.LayerNorm(9), normal(2, 3, 9)),
    "layer_norm_no_bias": (nn.LayerNorm(9, eps=0.1, bias=False), normal(4, 9)),
    "rms_norm": (nn.RMSNorm(9, eps=1e-5), normal(2, 3, 9)),
    "attention": (Attention(), normal(2, CONTEXT, WIDTH)),
    "relu": (nn.ReLU(), normal(9)),
    "gelu": (nn.GELU(), normal(9)),
    "gelu_tanh": (nn.GELU(approximate="tanh"), normal(9)),
    "silu": (nn.SiLU(), normal(9)),
    "tanh": (nn.Tanh(), normal(9)),
    "sigmoid": (nn.Sigmoid(), normal(9)),
    "flatten": (nn.Flatten(), normal(2, 3, 4)),
    "sequential": (nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 2), nn.Tanh()), normal(3, 2, 3)),
    "conv2d": (nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), groups=2), normal(2, 4, 5, 6)),
    "conv2d_no_bias": (nn.Conv2d(2, 3, 3, bias=False), normal(2, 2, 4, 5)),
    "max_pool2d": (nn.MaxPool2d(3, 2, 1), normal(2, 3, 5, 4)),
    "avg_pool2d": (nn.AvgPool2d(2), normal(2, 3, 4, 4)),
    "batch_norm2d": (nn.BatchNorm2d(3, momentum=0.3), 2 + 3 * normal(4, 3, 2, 5)),
    "batch_norm2d_not_affine": (nn.BatchNorm2d(3, affine=False), normal(4, 3, 2, 5)),
}


def golden():
    random.manual_seed(6)
    tensors = {}
    for case, (module, x) in CASES.items():
        for parameter in module.parameters():
            # Not larger: saturated attention would multiply rounding.
            parameter.data = 0.3 * normal(*parameter.shape)
        tensors |= {f"{case}/state/{name}": value.clone() for name, value in module.state_dict().items()}
        x.requires_grad_(x.is_floating_point())
        out = module(x)
        weights = normal(*out.shape)
        (out * weights).sum().backward()
        tensors |= {f"{case}/in0": x, f"{case}/out": out, f"{case}/weights": weights}
        if x.requires_grad:
            tensors[f"{case}/grad0"] = x.grad
        tensors |= {f"{case}/grad/{name}": value.grad for name, value in module.named_parameters()}
        tensors |= {f"{case}/after/{name}": value for name, value in module.named_buffers()}
    return tensors
