"""Losses. losses_test.cpp has the same cases."""

import torch
import torch.nn.functional as F

from cases import constant, indices, normal, random

random.manual_seed(3)
ignored = torch.tensor([1, -100, 0, 3, -100])
probabilities = torch.tensor([[0.0, 1.0, 0.3], [0.5, 0.9, 0.0]])


def cross_entropy(**options):
    """The classes are last."""
    return lambda x, t: F.cross_entropy(x.flatten(0, -2), t.flatten(), **options)


CASES = {
    "cross_entropy": (cross_entropy(), normal(5, 7), indices(7, 5)),
    "cross_entropy_i32": (lambda x, t: F.cross_entropy(x, t.long()), normal(5, 7), indices(7, 5).int()),
    "cross_entropy_large": (cross_entropy(), 50 * normal(5, 7), indices(7, 5)),
    "cross_entropy_batched": (cross_entropy(), normal(2, 3, 6), indices(6, 2, 3)),
    "cross_entropy_sum": (cross_entropy(reduction="sum"), normal(5, 7), indices(7, 5)),
    "cross_entropy_none": (cross_entropy(reduction="none"), normal(5, 7), indices(7, 5)),
    "cross_entropy_ignore": (cross_entropy(), normal(5, 4), ignored),
    "cross_entropy_ignore_2": (cross_entropy(ignore_index=2), normal(8, 3), indices(3, 8)),
    "cross_entropy_smooth": (cross_entropy(label_smoothing=0.1), normal(5, 7), indices(7, 5)),
    "cross_entropy_smooth_ignore": (cross_entropy(label_smoothing=0.2), normal(5, 4), ignored),
    "mse": (F.mse_loss, normal(3, 4), normal(3, 4)),
    "mse_sum": (lambda x, t: F.mse_loss(x, t, reduction="sum"), normal(3, 4), normal(3, 4)),
    "mse_none": (lambda x, t: F.mse_loss(x, t, reduction="none"), normal(3, 4), normal(3, 4)),
    "bce": (F.binary_cross_entropy_with_logits, 3 * normal(2, 3), constant(probabilities)),
    "bce_large": (F.binary_cross_entropy_with_logits, 200 * normal(2, 3), constant(probabilities)),
    "bce_sum": (
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="sum"),
        normal(2, 3),
        constant(probabilities),
    ),
    "bce_none": (
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none"),
        normal(2, 3),
        constant(probabilities),
    ),
}
