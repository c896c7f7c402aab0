"""Starts of recurrent layers, in torch's layout: an LSTM's gates are quarters of its biases."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.initializers.factory import TensorInitializer, factory


@factory
def forget_bias_(value: float) -> TensorInitializer:
    """Zeros, with ``value`` in the second quarter, which is an LSTM's forget gate, shape (4 H,).

    torch adds two biases, ``bias_ih`` and ``bias_hh``, so only one of them should get it.
    Source: Jozefowicz, Zaremba and Sutskever 2015, section 4.2; torch's order is i, f, g, o.
    """

    @torch.no_grad()
    def fill(tensor: Tensor, _generator: torch.Generator) -> Tensor:
        units = len(tensor) // 4
        tensor.zero_()
        tensor[units : 2 * units] = value
        return tensor

    return fill
