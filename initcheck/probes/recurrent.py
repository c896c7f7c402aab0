"""Recurrent layers: the gradient of the last state by the first, at the start.

The layer is the network's ``cell``. It reads inputs of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from initcheck.training.train import Trained

STEPS = 100
FIRST = 0.5  # every entry of the first state; positive, so that ReLU passes it on


def cell_gradient_error(trained: Trained, forget: float) -> Tensor:
    """Relative error of d c_T / d c_0 of an LSTM against sigmoid(forget)^T after 100 steps.

    The largest over layers, directions and units.
    """
    expected = (1 / (1 + math.exp(-forget))) ** STEPS

    def error(cell: Any) -> float:
        first = _state(cell, layers=cell.num_layers * (2 if cell.bidirectional else 1))
        _, (_, last) = cell(_zeros(cell), (torch.zeros_like(first), first))
        (gradient,) = torch.autograd.grad(last.sum(), first)
        return float((gradient.double() / expected - 1).abs().max())

    return _each(trained, error)


def state_gradient_error(trained: Trained) -> Tensor:
    """Largest entry of d h_T / d h_0 - 1 of a recurrent layer after 100 steps."""

    def error(cell: Any) -> float:
        def last(first: Tensor) -> Tensor:
            state: Tensor = cell(_zeros(cell), first)[1]
            return state.flatten()

        first = _state(cell, layers=1)
        jacobian = torch.autograd.functional.jacobian(last, first).flatten(1)  # type: ignore[no-untyped-call]
        return float((jacobian - torch.eye(len(jacobian))).abs().max())

    return _each(trained, error)


def _zeros(cell: Any) -> Tensor:
    return torch.zeros(1, STEPS, cell.input_size, dtype=cell.weight_ih_l0.dtype)


def _state(cell: Any, layers: int) -> Tensor:
    shape = (layers, 1, cell.hidden_size)
    return torch.full(shape, FIRST, dtype=cell.weight_ih_l0.dtype, requires_grad=True)


def _each(trained: Trained, error: Callable[[Any], float]) -> Tensor:
    """The error of each replica's cell at its start, on the CPU."""
    cells = [trained.arm.build(seed).get_submodule("cell") for seed in trained.seeds]
    return torch.tensor([error(cell) for cell in cells], dtype=torch.float64)
