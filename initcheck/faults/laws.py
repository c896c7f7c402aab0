"""Faults of laws in depth: gains, branches, asymmetry, batch norm, scale and mask of attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.faults.fault import Fault, Function, wrapped, wrapped_in
from initcheck.initializers import independent, moments
from initcheck.networks import ensembles


def _unscaled(function: Function) -> Function:
    def attend(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs | {"scale": 1.0})

    return attend


def _only_itself(function: Function) -> Function:
    """An inverted mask of the other tokens leaves each token its own value."""

    def attend(query: Tensor, key: Tensor, value: Tensor, **kwargs: Any) -> Any:
        itself = torch.eye(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device)
        return function(query, key, value, **kwargs | {"attn_mask": itself, "is_causal": False})

    return attend


def _unchanged(_: Function) -> Function:
    return lambda x, *args, **kwargs: x


def _signed(function: Function) -> Function:
    """Every other positive entry is negative."""

    def entries(*args: Any) -> Any:
        values = function(*args)
        signs = torch.arange(values.numel()).reshape(values.shape) % 2 * 2 - 1
        return values * signs

    return entries


FAULTS = (
    Fault(
        "branches_not_scaled", "Residual branches are not divided by the root of their number.",
        "initcheck", (), lambda: wrapped(ensembles.branch_scale, lambda _: lambda depth: 1.0),
    ),
    Fault(
        "asymmetric_entries_signed",
        "Half of the positive entries of the randomized asymmetric law are negative.",
        "initcheck", (), lambda: wrapped(independent.positive_entries, _signed),
    ),
    Fault(
        "keeping_gain_one", "The gain that keeps an activation's second moment is 1 for all.",
        "initcheck", (), lambda: wrapped(moments.keeping_gain, lambda _: lambda activation: 1.0),
    ),
    Fault(
        "batch_norm_left_out", "Batch normalization returns its input.",
        "torch", (), lambda: wrapped_in(F, "batch_norm", _unchanged),
    ),
    Fault(
        "attention_unscaled", "Attention does not divide its products by the root of their number.",
        "torch", (), lambda: wrapped_in(F, "scaled_dot_product_attention", _unscaled),
    ),
    Fault(
        "attention_sees_only_itself", "In attention, a mask hides all tokens but the own one.",
        "torch", (), lambda: wrapped_in(F, "scaled_dot_product_attention", _only_itself),
    ),
    Fault(
        "normalize_left_out", "F.normalize returns its input, as where a norm is not used.",
        "torch", (), lambda: wrapped_in(F, "normalize", _unchanged),
    ),
)  # fmt: skip
