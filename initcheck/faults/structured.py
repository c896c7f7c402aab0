"""Faults of structured weights: identities, the Hadamard transform, orthogonal matrices."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.nn import init

from initcheck.faults.fault import Context, Fault, Function, afterwards, wrapped
from initcheck.initializers import structured

CAP, BREAK = "identity_caps_residual_rank", "hadamard_breaks_rank_cap"
BIAS_FREE_CAP = f"{CAP}_without_biases"


def _hadamard_for_eye(function: Function) -> Function:
    """A widening identity is given the transform; the square and the narrowing ones stay."""

    @torch.no_grad()
    def eye(tensor: Tensor) -> Any:
        rows, columns = tensor.shape
        if rows <= columns:
            return function(tensor)
        order = (rows - 1).bit_length()
        return tensor.copy_(structured.hadamard_matrix(order)[:rows, :columns] / 2 ** (order / 2))

    return eye


def _scaled_hadamard(exponent: Any) -> Context:
    """Sylvester's matrix of order m comes out times 2^exponent(m)."""
    return wrapped(
        structured, "hadamard_matrix",
        lambda matrix: lambda order: matrix(order) * 2 ** exponent(order),
    )  # fmt: skip


def _without_signs(function: Function) -> Function:
    """R's diagonal looks positive, so the columns of Q keep the signs that Householder gave."""

    def orthogonal(*args: Any, **kwargs: Any) -> Any:
        def unsigned(qr: Function) -> Function:
            def factor(*a: Any, **k: Any) -> tuple[Tensor, Tensor]:
                q, r = qr(*a, **k)
                return q, r.abs()

            return factor

        with wrapped(torch.linalg, "qr", unsigned):
            return function(*args, **kwargs)

    return orthogonal


def _gain_twice(function: Function) -> Function:
    def orthogonal(tensor: Tensor, gain: float = 1, **kwargs: Any) -> Any:
        return function(tensor, gain * gain, **kwargs)

    return orthogonal


def _shift(weight: Tensor) -> None:
    """Every one moves to the next input; at the last input it goes to the first."""
    weight.copy_(weight.roll(1, 1))


def _permuted(weight: Tensor) -> None:
    order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(1))
    weight.copy_(weight[:, order])


def _drawn(function: Function) -> Function:
    """Every matrix differs from the last, as if its noise came from a stream nobody named."""
    calls = count()

    def matrix(order: int) -> Tensor:
        exact: Tensor = function(order)
        generator = torch.Generator().manual_seed(next(calls))
        return exact + 1e-3 * torch.randn(exact.shape, generator=generator)

    return matrix


def _one_in_place_of_spray(function: Function) -> Function:
    """What ``spray_`` is given to turn round, so that OnE comes out of it."""

    def one(tensor: Tensor, generator: torch.Generator) -> Tensor:
        columns = tensor.shape[1]
        return function(tensor, generator).mul_(-(columns - 1)).add_(1)  # type: ignore[no-any-return]

    return one


FAULTS = (
    Fault(
        "hadamard_for_identity", "A partial identity that widens is a Hadamard transform.",
        "torch", (CAP, BIAS_FREE_CAP), lambda: wrapped(init, "eye_", _hadamard_for_eye),
    ),
    Fault(
        "hadamard_unscaled", "The Hadamard transform has entries of 1, not 2^(-m/2).",
        "initcheck", (BREAK,), lambda: _scaled_hadamard(lambda order: order / 2),
    ),
    Fault(
        "hadamard_as_printed", "The Hadamard transform has the factor 2^(-(m-1)/2) of the paper.",
        "initcheck", (BREAK,), lambda: _scaled_hadamard(lambda order: 0.5),
    ),
    Fault(
        "hadamard_integer_exponent", "The Hadamard factor is 2^(-(m // 2)): wrong for odd m.",
        "initcheck", ("hadamard_columns_are_orthonormal",),
        lambda: _scaled_hadamard(lambda order: (order % 2) / 2),
    ),
    Fault(
        "identity_shifted_by_one", "The ones of an identity stand one place beside the diagonal.",
        "torch", (CAP,), lambda: afterwards(init, "eye_ dirac_", _shift),
    ),
    Fault(
        "dirac_off_centre", "An identity convolution has its ones beside the kernel's centre.",
        "torch", (), lambda: afterwards(init, "dirac_", lambda w: w.copy_(w.roll(1, -1))),
    ),
    Fault(
        "orthogonal_without_signs", "Orthogonal matrices keep the signs that QR happens to give.",
        "torch", (), lambda: wrapped(init, "orthogonal_", _without_signs),
    ),
    Fault(
        "orthogonal_gain_squared", "An orthogonal matrix is multiplied by its gain twice.",
        "torch", (), lambda: wrapped(init, "orthogonal_", _gain_twice),
    ),
    Fault(
        "identity_with_gain", "The partial identity has sqrt(2) on its diagonal.",
        "torch", (CAP,), lambda: afterwards(init, "eye_", lambda w: w.mul_(math.sqrt(2))),
    ),
    Fault("hadamard_with_noise", "The Hadamard transform has noise of 0.001, never the same.",
          "initcheck", (), lambda: wrapped(structured, "hadamard_matrix", _drawn)),
    Fault("identity_permuted", "The ones of an identity stand in other columns.", "torch", (),
          lambda: afterwards(init, "eye_", _permuted)),
    Fault("identity_scaled_by_width", "An identity is multiplied by the root of a tenth of "
          "its inputs.", "torch", (),
          lambda: afterwards(init, "eye_", lambda w: w.mul_(math.sqrt(w.shape[1] / 10)))),
    Fault("identity_zeroed", "An identity is all zeros.", "torch", (),
          lambda: afterwards(init, "eye_", lambda w: w.zero_())),
    Fault("spray_is_one", "Spray comes out as OnE.", "initcheck", (),
          lambda: wrapped(structured, "one_n_each_", _one_in_place_of_spray)),
)  # fmt: skip
