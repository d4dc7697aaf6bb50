"""Modules: their state, what they make of an input, and the gradients of sum(output * weights).

Names: "<case>/state/<name in the state dict>", "<case>/in0", "<case>/out", "<case>/weights", "<case>/grad0" of the
input and "<case>/grad/<name>" of the parameters. modules_test.cpp has the same cases.
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
    return tensors
