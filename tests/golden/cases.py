"""Cases: a function, its inputs, its output, and the gradients of sum(output * weights).

Names: "<case>/in0", "<case>/out", "<case>/weights", "<case>/grad0". cases.h reads them.
"""

import torch

random = torch.Generator()


def normal(*shape):
    return torch.randn(shape, generator=random)


def positive(*shape):
    return 0.2 + 2 * torch.rand(shape, generator=random)


def halves(*shape):
    """Few different values, so that ties and zeros occur."""
    return torch.randint(-3, 4, shape, generator=random) / 2


def indices(end, *shape):
    return torch.randint(0, end, shape, generator=random)


def conditions(*shape):
    return torch.rand(shape, generator=random) < 0.5


def constant(x):
    """An input without a gradient."""
    return lambda: x


def golden(cases):
    random.manual_seed(1)
    tensors = {}
    for name, (function, *inputs) in cases.items():
        # A floating-point input gets a gradient unless it comes as constant(x).
        inputs = [x() if callable(x) else x.requires_grad_(x.is_floating_point()) for x in inputs]
        out = function(*inputs)
        tensors |= {f"{name}/in{i}": x for i, x in enumerate(inputs)}
        tensors[f"{name}/out"] = out
        if out.requires_grad:
            weights = tensors[f"{name}/weights"] = normal(*out.shape)
            (out * weights).sum().backward()
            tensors |= {f"{name}/grad{i}": x.grad for i, x in enumerate(inputs) if x.requires_grad}
    return tensors
