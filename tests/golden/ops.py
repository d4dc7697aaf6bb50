"""Operations: a case's inputs, its output, and the gradients of sum(output * weights).

Names: "<case>/in0", "<case>/out", "<case>/weights", "<case>/grad0". ops_test.cpp has the same cases.
"""

import torch
import torch.nn.functional as F

random = torch.Generator().manual_seed(1)


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


CASES = {
    # arithmetic.h
    "add": (torch.add, normal(2, 3, 4), normal(2, 3, 4)),
    "add_broadcast": (torch.add, normal(2, 3, 4), normal(3, 1)),
    "add_i64": (torch.add, indices(9, 5), indices(9, 5)),
    "sub_broadcast": (torch.sub, normal(4), normal(2, 3, 1)),
    "mul": (torch.mul, normal(2, 3), normal(2, 3)),
    "mul_broadcast": (torch.mul, normal(2, 1, 4), normal(3, 1)),
    "mul_by_0d": (torch.mul, normal(5), normal()),
    "div_broadcast": (torch.div, normal(3, 4), positive(3, 1)),
    "pow": (torch.pow, positive(2, 5), normal(2, 5)),
    "pow_of_zero": (torch.pow, torch.zeros(3), torch.tensor([2.0, 1.0, 0.0])),
    "pow_broadcast": (torch.pow, positive(4), normal(3, 1)),
    "maximum": (torch.maximum, halves(4, 6), halves(4, 6)),
    "minimum_broadcast": (torch.minimum, halves(4, 6), halves(6)),
    "add_scalar": (lambda x: x + 1.5, normal(7)),
    "sub_scalar": (lambda x: x - 1.5, normal(7)),
    "scalar_sub": (lambda x: 1.5 - x, normal(7)),
    "mul_scalar": (lambda x: x * -2.5, normal(7)),
    "div_scalar": (lambda x: x / 3, normal(7)),
    "scalar_div": (lambda x: 3 / x, positive(7)),
    "pow_cube": (lambda x: x**3, normal(7)),
    "pow_square": (lambda x: x**2, halves(7)),
    "pow_root": (lambda x: x**0.5, positive(7)),
    "pow_inverse": (lambda x: x**-1.0, normal(7)),
    "pow_0": (lambda x: x**0.0, halves(7)),
    "eq": (torch.eq, halves(3, 6), halves(6)),
    "ne": (torch.ne, halves(3, 6), halves(6)),
    "lt": (torch.lt, halves(3, 6), halves(6)),
    "le": (torch.le, halves(3, 6), halves(6)),
    "gt": (torch.gt, halves(3, 6), halves(6)),
    "ge": (torch.ge, halves(3, 6), halves(6)),
    "eq_scalar": (lambda x: x == 0.5, halves(12)),
    "ne_scalar": (lambda x: x != 0.5, halves(12)),
    "lt_scalar": (lambda x: x < 0.5, halves(12)),
    "le_scalar": (lambda x: x <= 0.5, halves(12)),
    "gt_scalar": (lambda x: x > 0.5, halves(12)),
    "ge_scalar": (lambda x: x >= 0.5, halves(12)),
    "where": (torch.where, conditions(3, 4), normal(3, 4), normal(3, 4)),
    "where_broadcast": (torch.where, conditions(3, 1), normal(4), normal(2, 1, 1)),
    # math.h
    "neg": (torch.neg, normal(7)),
    "abs": (torch.abs, halves(9)),
    "sign": (torch.sign, halves(9)),
    "square": (torch.square, normal(7)),
    "exp": (torch.exp, normal(9)),
    "log": (torch.log, positive(9)),
    "sqrt": (torch.sqrt, positive(9)),
    "rsqrt": (torch.rsqrt, positive(9)),
    "reciprocal": (torch.reciprocal, normal(9)),
    "sin": (torch.sin, 3 * normal(9)),
    "cos": (torch.cos, 3 * normal(9)),
    "tanh": (torch.tanh, 2 * normal(9)),
    "erf": (torch.erf, normal(9)),
    "floor": (torch.floor, 3 * normal(9)),
    "sigmoid": (torch.sigmoid, 3 * normal(9)),
    "relu": (torch.relu, halves(9)),
    "gelu": (F.gelu, 2 * normal(16)),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), 2 * normal(16)),
    "silu": (F.silu, 3 * normal(16)),
    "clamp": (lambda x: x.clamp(-1, 0.5), halves(16)),
    "logical_not": (torch.logical_not, conditions(8)),
    # shape.h
    "reshape": (lambda x: x.reshape(4, -1), normal(2, 6)),
    "reshape_transposed": (lambda x: x.transpose(0, 1).reshape(4, 3), normal(2, 6)),
    "transpose": (lambda x: x.transpose(0, -1), normal(2, 3, 4)),
    "permute": (lambda x: x.permute(2, 0, 1), normal(2, 3, 4)),
    "expand": (lambda x: x.expand(3, -1, 4), normal(2, 1)),
    "slice": (lambda x: x[:, 1:-1:2], normal(3, 7)),
    "slice_clipped": (lambda x: x[-2:99], normal(5, 2)),
    "select": (lambda x: x.select(1, -1), normal(3, 4, 2)),
    "unsqueeze": (lambda x: x.unsqueeze(-1), normal(3, 2)),
    "squeeze": (lambda x: x.squeeze(1), normal(3, 1, 2)),
    "flatten": (lambda x: x.flatten(1, 2), normal(2, 3, 2, 2)),
    "contiguous": (lambda x: x.t().contiguous(), normal(3, 4)),
    "clone": (torch.clone, normal(3)),
    "to_f64": (lambda x: x.double().float(), normal(9)),
    "to_bf16": (lambda x: x.bfloat16().float(), normal(9)),
    "to_f16": (lambda x: x.half().float(), normal(9)),
    "to_i64": (lambda x: x.long(), 3 * normal(9)),
    "cat": (lambda *x: torch.cat(x, 1), normal(2, 1, 2), normal(2, 3, 2), normal(2, 2, 2)),
    "cat_of_one_twice": (lambda x: torch.cat([x, 2 * x]), normal(2, 3)),
    "stack": (lambda *x: torch.stack(x, -1), normal(2, 3), normal(2, 3)),
    "split": (lambda x: torch.cat(x.split(2, 1)[::-1], 1), normal(2, 5)),
    # reduce.h
    "sum": (torch.sum, normal(3, 5)),
    "sum_dims": (lambda x: x.sum((0, 2)), normal(3, 4, 5)),
    "sum_keepdim": (lambda x: x.sum(-1, keepdim=True), normal(3, 4)),
    "sum_i32": (lambda x: x.sum(1), indices(9, 2, 4).int()),
    "sum_bool": (torch.sum, conditions(9)),
    "mean": (torch.mean, normal(3, 5)),
    "mean_dims": (lambda x: x.mean((1, 2), keepdim=True), normal(3, 4, 5)),
    "amax": (torch.amax, halves(3, 5)),
    "amax_dim": (lambda x: x.amax(1), halves(3, 8)),
    "amin": (torch.amin, halves(3, 5)),
    "amin_dims": (lambda x: x.amin((0, 2), keepdim=True), halves(3, 2, 4)),
    "var": (lambda x: x.var(1), normal(3, 6)),
    "var_population": (lambda x: x.var((0, 1), correction=0, keepdim=True), normal(3, 4, 2)),
    "argmax": (lambda x: x.argmax(1), normal(4, 5)),
    "argmax_keepdim": (lambda x: x.argmax(0, keepdim=True), normal(4, 5)),
    "all": (torch.all, conditions(3)),
    "all_true": (torch.all, torch.ones(3, dtype=torch.bool)),
    "any": (torch.any, conditions(5)),
    "any_false": (torch.any, torch.zeros(3, dtype=torch.bool)),
    "sum_to": (lambda x: x.sum_to_size(3, 1), normal(2, 3, 4)),
    # matmul.h
    "matmul": (torch.matmul, normal(3, 5), normal(5, 4)),
    "matmul_batched": (torch.matmul, normal(2, 3, 5), normal(2, 5, 4)),
    "matmul_broadcast": (torch.matmul, normal(2, 1, 3, 2), normal(3, 2, 4)),
    "matmul_by_matrix": (torch.matmul, normal(2, 3, 5), normal(5, 2)),
    "matmul_transposed": (lambda a, b: a.t() @ b.t(), normal(5, 3), normal(4, 5)),
    "matmul_row": (torch.matmul, normal(5), normal(2, 5, 3)),
    "matmul_column": (torch.matmul, normal(2, 3, 5), normal(5)),
    "matmul_dot": (torch.matmul, normal(5), normal(5)),
    "linear": (F.linear, normal(2, 3, 5), normal(4, 5), normal(4)),
    "linear_no_bias": (F.linear, normal(3, 5), normal(4, 5)),
    # softmax.h
    "softmax": (lambda x: x.softmax(-1), 2 * normal(3, 9)),
    "softmax_dim_0": (lambda x: x.softmax(0), 2 * normal(4, 3)),
    "softmax_large": (lambda x: x.softmax(-1), 100 * normal(2, 5)),
    "log_softmax": (lambda x: x.log_softmax(-1), 2 * normal(3, 9)),
    "log_softmax_dim_1": (lambda x: x.log_softmax(1), 2 * normal(2, 4, 3)),
    "attention": (F.scaled_dot_product_attention, normal(2, 2, 3, 4), normal(2, 2, 5, 4), normal(2, 2, 5, 3)),
    "attention_causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        normal(2, 2, 6, 4),
        normal(2, 2, 6, 4),
        normal(2, 2, 6, 4),
    ),
    "attention_scale": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
        normal(1, 3, 5, 4),
        normal(1, 3, 5, 4),
        normal(1, 3, 5, 2),
    ),
    # index.h
    "embedding": (F.embedding, indices(6, 2, 5), normal(6, 3)),
    "embedding_i32": (F.embedding, indices(6, 4).int(), normal(6, 3)),
    "index_select": (lambda x, i: x.index_select(1, i), normal(2, 5, 3), indices(5, 7)),
    "gather_dim_0": (lambda x, i: x.gather(0, i), normal(4, 3), indices(4, 6, 3)),
    "gather_dim_1": (lambda x, i: x.gather(1, i), normal(3, 4, 2), indices(4, 3, 2, 2)),
}


def golden():
    tensors = {}
    for name, (function, *inputs) in CASES.items():
        for x in inputs:
            x.requires_grad_(x.is_floating_point())
        out = function(*inputs)
        tensors |= {f"{name}/in{i}": x for i, x in enumerate(inputs)}
        tensors[f"{name}/out"] = out
        if out.requires_grad:
            weights = tensors[f"{name}/weights"] = normal(*out.shape)
            (out * weights).sum().backward()
            tensors |= {f"{name}/grad{i}": x.grad for i, x in enumerate(inputs) if x.requires_grad}
    return tensors
