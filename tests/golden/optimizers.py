"""Optimizers: two parameters, ten gradients of each, and the parameters after each of the ten steps.

Names: "start/a", "grads/a" [10, ...], "<case>/a" [10, ...], and the same for b. optimizers_test.cpp has the
same cases.
"""

import torch

from cases import normal, random

STEPS = 10
CASES = {
    "sgd": lambda a, b: torch.optim.SGD([a, b], lr=0.1),
    "sgd_weight_decay": lambda a, b: torch.optim.SGD([a, b], lr=0.1, weight_decay=0.2),
    "sgd_momentum": lambda a, b: torch.optim.SGD([a, b], lr=0.1, momentum=0.9),
    "sgd_dampening": lambda a, b: torch.optim.SGD([a, b], lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "sgd_nesterov": lambda a, b: torch.optim.SGD([a, b], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda a, b: torch.optim.Adam([a, b]),
    "adam_options": lambda a, b: torch.optim.Adam([a, b], lr=0.03, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3),
    "adamw": lambda a, b: torch.optim.AdamW([a, b]),
    "adamw_options": lambda a, b: torch.optim.AdamW([a, b], lr=0.03, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3),
    "adamw_groups": lambda a, b: torch.optim.AdamW(
        [{"params": [a], "weight_decay": 0.5, "lr": 0.02}, {"params": [b], "weight_decay": 0}], lr=0.01
    ),
}


def golden():
    random.manual_seed(4)
    start = {"a": normal(3, 4), "b": normal(5)}
    grads = {name: normal(STEPS, *x.shape) for name, x in start.items()}
    tensors = {f"start/{name}": x for name, x in start.items()} | {f"grads/{name}": x for name, x in grads.items()}
    for case, make in CASES.items():
        parameters = {name: x.clone().requires_grad_() for name, x in start.items()}
        optimizer = make(**parameters)
        steps = {name: [] for name in start}
        for step in range(STEPS):
            for name, x in parameters.items():
                x.grad = grads[name][step].clone()
            optimizer.step()
            for name, x in parameters.items():
                steps[name].append(x.detach().clone())
        tensors |= {f"{case}/{name}": torch.stack(x) for name, x in steps.items()}
    # Gradient clipping, with a bound that is passed and one that is not.
    for case, bound in {"clip_below": 1.0, "clip_above": 100.0}.items():
        for name, x in parameters.items():
            x.grad = grads[name][0].clone()
        tensors[f"{case}/norm"] = torch.nn.utils.clip_grad_norm_(parameters.values(), bound)
        tensors |= {f"{case}/{name}": x.grad for name, x in parameters.items()}
    return tensors
