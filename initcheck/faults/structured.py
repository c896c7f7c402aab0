"""Faults of structured weights: identities, orthogonal matrices, the Hadamard transform, Spray."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.nn import init

from initcheck.faults.fault import Context, Fault, Function, results_changed, wrapped, wrapped_in
from initcheck.initializers import structured

CAP, BREAK = "identity_caps_residual_rank", "hadamard_breaks_rank_cap"


# --- identities -----------------------------------------------------------------------------------


def _eye(change: Function) -> Context:
    return results_changed(init, "eye_", change)


def _shift(weight: Tensor) -> None:
    """Each one moves to the next input; at the last input it moves to the first."""
    weight.copy_(weight.roll(1, 1))


def _permute(weight: Tensor) -> None:
    order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(1))
    weight.copy_(weight[:, order])


def _hadamard_for_eye(function: Function) -> Function:
    """An identity with more rows than columns becomes the transform; others stay."""

    @torch.no_grad()
    def eye(tensor: Tensor) -> Any:
        rows, columns = tensor.shape
        if rows <= columns:
            return function(tensor)
        order = (rows - 1).bit_length()
        return tensor.copy_(structured.hadamard_matrix(order)[:rows, :columns] / 2 ** (order / 2))

    return eye


# --- orthogonal matrices --------------------------------------------------------------------------


def _without_signs(function: Function) -> Function:
    """R's diagonal appears positive, so the columns of Q keep the signs that Householder gave."""

    def orthogonal(*args: Any, **kwargs: Any) -> Any:
        def unsigned(qr: Function) -> Function:
            def factor(*a: Any, **k: Any) -> tuple[Tensor, Tensor]:
                q, r = qr(*a, **k)
                return q, r.abs()

            return factor

        with wrapped_in(torch.linalg, "qr", unsigned):
            return function(*args, **kwargs)

    return orthogonal


def _gain_twice(function: Function) -> Function:
    def orthogonal(tensor: Tensor, gain: float = 1, **kwargs: Any) -> Any:
        return function(tensor, gain * gain, **kwargs)

    return orthogonal


# --- the Hadamard transform -----------------------------------------------------------------------


def _scaled_hadamard(exponent: Any) -> Context:
    """Sylvester's matrix of order m is multiplied by 2^exponent(m)."""
    return wrapped(
        structured.hadamard_matrix,
        lambda matrix: lambda order: matrix(order) * 2 ** exponent(order),
    )


def _with_noise(function: Function) -> Function:
    """Each call adds other noise, as if it came from a generator without a seed."""
    calls = count()

    def matrix(order: int) -> Tensor:
        exact: Tensor = function(order)
        generator = torch.Generator().manual_seed(next(calls))
        return exact + 1e-3 * torch.randn(exact.shape, generator=generator)

    return matrix


FAULTS = (
    # identities
    Fault(
        "hadamard_for_identity", "A partial identity that widens is a Hadamard transform.",
        "torch", (CAP,), lambda: wrapped_in(init, "eye_", _hadamard_for_eye),
    ),
    Fault(
        "identity_shifted_by_one", "The ones of an identity are one column off the diagonal.",
        "torch", (CAP,), lambda: results_changed(init, "eye_ dirac_", _shift),
    ),
    Fault(
        "identity_permuted", "The columns of an identity are permuted.",
        "torch", (), lambda: _eye(_permute),
    ),
    Fault(
        "identity_with_gain", "The partial identity has sqrt(2) on its diagonal.",
        "torch", (CAP,), lambda: _eye(lambda w: w.mul_(math.sqrt(2))),
    ),
    Fault(
        "identity_scaled_by_width", "An identity is multiplied by sqrt(inputs / 10).",
        "torch", (), lambda: _eye(lambda w: w.mul_(math.sqrt(w.shape[1] / 10))),
    ),
    Fault(
        "identity_zeroed", "An identity is all zeros.",
        "torch", (), lambda: _eye(lambda w: w.zero_()),
    ),
    Fault(
        "dirac_off_centre", "An identity convolution has its ones next to the kernel's centre.",
        "torch", (), lambda: results_changed(init, "dirac_", lambda w: w.copy_(w.roll(1, -1))),
    ),
    # orthogonal matrices
    Fault(
        "orthogonal_without_signs", "Orthogonal matrices keep the signs that QR happens to give.",
        "torch", (), lambda: wrapped_in(init, "orthogonal_", _without_signs),
    ),
    Fault(
        "orthogonal_gain_squared", "An orthogonal matrix is multiplied by its gain twice.",
        "torch", (), lambda: wrapped_in(init, "orthogonal_", _gain_twice),
    ),
    # the Hadamard transform and Spray
    Fault(
        "hadamard_unscaled", "The Hadamard transform has entries of 1 instead of 2^(-m/2).",
        "initcheck", (BREAK,), lambda: _scaled_hadamard(lambda order: order / 2),
    ),
    Fault(
        "hadamard_as_printed",
        "The Hadamard transform has the factor that the paper prints, 2^(-(m-1)/2).",
        "initcheck", (BREAK,), lambda: _scaled_hadamard(lambda order: 0.5),
    ),
    Fault(
        "hadamard_integer_exponent",
        "The Hadamard factor is 2^(-(m // 2)), which is wrong for odd m.",
        "initcheck", ("hadamard_columns_are_orthonormal",),
        lambda: _scaled_hadamard(lambda order: (order % 2) / 2),
    ),
    Fault(
        "identity_for_hadamard", "The Hadamard transform is a partial identity.",
        "initcheck", (BREAK,),
        lambda: wrapped(
            structured.hadamard_matrix,
            lambda _: lambda order: torch.eye(2**order) * 2 ** (order / 2),
        ),
    ),
    Fault(
        "hadamard_with_noise", "Each Hadamard transform has other noise of N(0, 0.001^2).",
        "initcheck", (), lambda: wrapped(structured.hadamard_matrix, _with_noise),
    ),
    Fault(
        "spray_is_one", "Spray returns OnE.",
        "initcheck", (), lambda: wrapped(structured.average_others_, lambda _: lambda one: one),
    ),
)  # fmt: skip
