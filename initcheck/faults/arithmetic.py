"""Faults of arithmetic: matrix products, activations, losses, dropout, batch normalization."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.faults.fault import Context, Fault, Function, replaced, wrapped_in
from initcheck.training import perceptrons

LAYER = "zeroed_hidden_layer_still_learns"
CAP, BREAK, HE = "identity_caps_residual_rank", "hadamard_breaks_rank_cap", "he_beats_randn"
EVERY = (HE, LAYER, CAP, BREAK)

aten = torch.ops.aten


# --- matrix products ------------------------------------------------------------------------------

PRODUCTS = "mm bmm addmm baddbmm matmul conv2d"


@contextmanager
def _rounded_products(rounded: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Both operands of every float32 product are rounded before they are multiplied."""

    def around(function: Function) -> Function:
        def product(*args: Any, **kwargs: Any) -> Any:
            return function(*map(_only_float32(rounded), args), **kwargs)

        return product

    with ExitStack() as stack:
        stack.enter_context(wrapped_in(torch, PRODUCTS, around))
        stack.enter_context(wrapped_in(F, "linear conv2d", around))
        yield


def _only_float32(rounded: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    def round_operand(value: Any) -> Any:
        is_operand = isinstance(value, Tensor) and value.dtype == torch.float32 and value.dim() > 1
        return rounded(value) if is_operand else value

    return round_operand


def _bfloat16(x: Tensor) -> Tensor:
    return x.bfloat16().float()


class _ToTF32(torch.autograd.Function):
    """Rounds values and gradients to the 10 bits of mantissa that TF32 keeps."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        bits = x.detach().contiguous().view(torch.int32)
        return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)  # half a unit of the last bit kept

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _ToTF32.forward(ctx, grads[0])


def _tf32(x: Tensor) -> Tensor:
    y: Tensor = _ToTF32.apply(x)
    return y


# --- activations ----------------------------------------------------------------------------------


@contextmanager
def activation(
    name: str, value: Function, module: type[nn.Module], derivative: Function
) -> Iterator[None]:
    """Replace an activation in ``torch.nn.functional`` and in the ensemble's derivatives.

    For a chain of linear layers the ensemble computes derivatives itself, by the module's type.
    Plain loops leave that to autograd.
    """
    original = perceptrons.DERIVATIVES[module]
    with replaced(F, name, lambda x, *_, **__: value(x)):
        perceptrons.DERIVATIVES[module] = derivative
        try:
            yield
        finally:
            perceptrons.DERIVATIVES[module] = original


def _leaky() -> Context:
    return activation(
        "relu", lambda x: F.leaky_relu(x, 0.01), nn.ReLU,
        lambda m, grad, x, y: aten.leaky_relu_backward(grad, x, 0.01, False),
    )  # fmt: skip


def _elu() -> Context:
    return activation(
        "relu", F.elu, nn.ReLU,
        lambda m, grad, x, y: aten.elu_backward(grad, 1, 1, 1, False, x),
    )  # fmt: skip


def _sigmoid() -> Context:
    return activation(
        "relu", torch.sigmoid, nn.ReLU, lambda m, grad, x, y: aten.sigmoid_backward(grad, y)
    )


def _celu_without_right_half() -> Context:
    """The value is right; the derivative is 0 instead of 1 for x >= 0, as in notebook 003."""
    celu, derivative = F.celu, perceptrons.DERIVATIVES[nn.CELU]

    def value(x: Tensor) -> Tensor:
        y = celu(x)
        return torch.where(x < 0, y, y.detach())

    return activation(
        "celu", value, nn.CELU,
        lambda m, grad, x, y: torch.where(x < 0, derivative(m, grad, x, y), 0.0),
    )  # fmt: skip


# --- losses ---------------------------------------------------------------------------------------

LARGEST_LOSS = 18.42068  # -ln(1e-8) nats: notebook 003 clamps probabilities at 1e-8


def _capped(function: Function) -> Function:
    def loss(*args: Any, reduction: str = "mean", **kwargs: Any) -> Any:
        each = function(*args, reduction="none", **kwargs).clamp(max=LARGEST_LOSS)
        return {"none": each, "mean": each.mean(), "sum": each.sum()}[reduction]

    return loss


def _summed(function: Function) -> Function:
    return lambda *args, **kwargs: 32 * function(*args, **kwargs)


# --- dropout and batch normalization --------------------------------------------------------------


def _dropout_by_sample(_function: Function) -> Function:
    """One coin is tossed per sample instead of one per unit, as in notebook 003."""

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, *_: Any) -> Tensor:  # noqa: FBT002 -- torch's signature
        if not training or p == 0:
            return x
        coins = torch.full((len(x), *[1] * (x.dim() - 1)), 1 - p, device=x.device)
        return x * torch.bernoulli(coins) / (1 - p)

    return dropout


def _unscaled_dropout(function: Function) -> Function:
    def dropout(x: Tensor, p: float = 0.5, training: bool = True, *_: Any) -> Any:  # noqa: FBT002 -- torch's signature
        return function(x, p, training) * (1 - p) if training else x

    return dropout


def _eps_times(factor: float) -> Context:
    def around(function: Function) -> Function:
        signature = inspect.signature(function)

        def batch_norm(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            bound.arguments["eps"] *= factor
            return function(*bound.args, **bound.kwargs)

        return batch_norm

    return wrapped_in(F, "batch_norm", around)


FAULTS = (
    # matrix products
    Fault(
        "bfloat16_products", "Operands of matrix products are rounded to bfloat16.",
        "torch", EVERY, lambda: _rounded_products(_bfloat16),
    ),
    Fault(
        "tf32_products", "Operands of matrix products keep 10 bits of mantissa, as in TF32.",
        "torch", EVERY, lambda: _rounded_products(_tf32),
    ),
    # activations
    Fault(
        "leaky_relu", "ReLU returns a hundredth of negative inputs instead of 0.",
        "torch", (LAYER, CAP), _leaky,
    ),
    Fault("elu_for_relu", "ReLU computes ELU.", "torch", (), _elu),
    Fault("sigmoid_for_relu", "ReLU computes the sigmoid.", "torch", (), _sigmoid),
    Fault(
        "celu_derivative_zero_above",
        "CELU's derivative is 0 for positive inputs, as in notebook 003.",
        "torch", (HE,), _celu_without_right_half,
    ),
    # losses
    Fault(
        "loss_capped", "The loss of an image is at most 18.42 nats, as in notebook 003.",
        "torch", (HE,), lambda: wrapped_in(F, "cross_entropy", _capped),
    ),
    Fault(
        "loss_summed", "The loss is 32 times too large, as if summed over a batch.",
        "torch", EVERY, lambda: wrapped_in(F, "cross_entropy", _summed),
    ),
    # dropout and batch normalization
    Fault(
        "dropout_by_row", "Dropout drops whole samples, as in notebook 003.",
        "torch", (), lambda: wrapped_in(F, "dropout", _dropout_by_sample),
    ),
    Fault(
        "dropout_unscaled", "Dropout does not divide what it keeps by 1 - p.",
        "torch", (), lambda: wrapped_in(F, "dropout", _unscaled_dropout),
    ),
    Fault(
        "batch_norm_eps_large", "Batch normalization uses 1000 times its eps.",
        "torch", ("all_zero_batch_norm_network_stays_zero",), lambda: _eps_times(1000.0),
    ),
)  # fmt: skip
