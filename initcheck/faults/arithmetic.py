"""Faults of arithmetic: activations, losses, and the precision of matrix products."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.faults.fault import Context, Fault, Function, replaced, wrapped
from initcheck.training import perceptrons

LAYER = "zeroed_hidden_layer_still_learns"
CAP, BREAK, HE = "identity_caps_residual_rank", "hadamard_breaks_rank_cap", "he_beats_randn"
EVERY = (HE, LAYER, CAP, BREAK)

PRODUCTS = "mm bmm addmm baddbmm matmul conv2d"
LARGEST_LOSS = 18.42068  # -ln(1e-8) nats: where notebook 003 cut probabilities off


@contextmanager
def _rounded_products(rounded: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Both operands of every float32 product are rounded before they are multiplied."""

    def around(function: Function) -> Function:
        def product(*args: Any, **kwargs: Any) -> Any:
            return function(*map(_only_float32(rounded), args), **kwargs)

        return product

    with ExitStack() as stack:
        stack.enter_context(wrapped(torch, PRODUCTS, around))
        stack.enter_context(wrapped(F, "linear conv2d", around))
        yield


def _only_float32(rounded: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    def one(value: Any) -> Any:
        is_operand = isinstance(value, Tensor) and value.dtype == torch.float32 and value.dim() > 1
        return rounded(value) if is_operand else value

    return one


def _bfloat16(x: Tensor) -> Tensor:
    return x.bfloat16().float()


class _ToTF32(torch.autograd.Function):
    """Rounds to the 10 bits of mantissa that TF32 keeps, gradients too."""

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


@contextmanager
def activation(
    name: str, value: Function, module: type[nn.Module], derivative: Function
) -> Iterator[None]:
    """An activation is another one, in ``torch.nn.functional`` and where its derivative is taken.

    The ensemble goes backwards through a chain of layers by hand, with the derivative it knows of
    the module's type; plain loops leave that to autograd.
    """
    known = perceptrons.DERIVATIVES[module]
    with replaced(F, name, lambda x, *_, **__: value(x)):
        perceptrons.DERIVATIVES[module] = derivative
        try:
            yield
        finally:
            perceptrons.DERIVATIVES[module] = known


def _leaky() -> Context:
    return activation(
        "relu", lambda x: F.leaky_relu(x, 0.01), nn.ReLU,
        lambda m, grad, x, y: torch.ops.aten.leaky_relu_backward(grad, x, 0.01, False),
    )  # fmt: skip


def _celu_without_right_half() -> Context:
    """The value is right; the derivative is 0 where it must be 1, as in notebook 003."""
    celu, derivative = F.celu, perceptrons.DERIVATIVES[nn.CELU]

    def value(x: Tensor) -> Tensor:
        y = celu(x)
        return torch.where(x < 0, y, y.detach())

    return activation(
        "celu", value, nn.CELU,
        lambda m, grad, x, y: torch.where(x < 0, derivative(m, grad, x, y), 0.0),
    )  # fmt: skip


def _capped(function: Function) -> Function:
    def loss(*args: Any, reduction: str = "mean", **kwargs: Any) -> Any:
        each = function(*args, reduction="none", **kwargs).clamp(max=LARGEST_LOSS)
        return {"none": each, "mean": each.mean(), "sum": each.sum()}[reduction]

    return loss


def _summed(function: Function) -> Function:
    return lambda *args, **kwargs: 32 * function(*args, **kwargs)


def _dropout_by_row(_function: Function) -> Function:
    """One coin a sample, where there should be one a unit, as in notebook 003."""

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, *_: Any) -> Tensor:  # noqa: FBT002 -- torch's signature
        if not training or p == 0:
            return x
        coins = torch.full((len(x), *[1] * (x.dim() - 1)), 1 - p, device=x.device)
        return x * torch.bernoulli(coins) / (1 - p)

    return dropout


def _eps_times(factor: float) -> Context:
    def around(function: Function) -> Function:
        signature = inspect.signature(function)

        def batch_norm(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            given.arguments["eps"] *= factor
            return function(*given.args, **given.kwargs)

        return batch_norm

    return wrapped(F, "batch_norm", around)


aten = torch.ops.aten


def _unscaled_dropout(function: Function) -> Function:
    def dropout(x: Tensor, p: float = 0.5, training: bool = True, *_: Any) -> Any:  # noqa: FBT002 -- torch's signature
        return function(x, p, training) * (1 - p) if training else x

    return dropout


def _elu() -> Context:
    return activation(
        "relu", F.elu, nn.ReLU,
        lambda m, grad, x, y: aten.elu_backward(grad, 1, 1, 1, False, x),
    )  # fmt: skip


def _sigmoid() -> Context:
    return activation(
        "relu", torch.sigmoid, nn.ReLU, lambda m, grad, x, y: aten.sigmoid_backward(grad, y)
    )


FAULTS = (
    Fault(
        "leaky_relu", "ReLU lets a hundredth of its negative side through.",
        "torch", (LAYER, CAP), _leaky,
    ),
    Fault(
        "celu_derivative_zero_above", "CELU's derivative is 0 for positive inputs: notebook 003.",
        "torch", (HE,), _celu_without_right_half,
    ),
    Fault(
        "bfloat16_products", "Operands of matrix products are rounded to bfloat16.",
        "torch", EVERY, lambda: _rounded_products(_bfloat16),
    ),
    Fault(
        "tf32_products", "Operands of matrix products keep 10 bits of mantissa, as TF32 does.",
        "torch", EVERY, lambda: _rounded_products(_tf32),
    ),
    Fault(
        "loss_capped", "The loss of an image ends at 18.42 nats, as in notebook 003.",
        "torch", (HE,), lambda: wrapped(F, "cross_entropy", _capped),
    ),
    Fault(
        "loss_summed", "The loss is 32 times too large, as if summed over a batch.",
        "torch", EVERY, lambda: wrapped(F, "cross_entropy", _summed),
    ),
    Fault(
        "dropout_by_row", "Dropout drops whole samples, as in notebook 003.",
        "torch", (), lambda: wrapped(F, "dropout", _dropout_by_row),
    ),
    Fault(
        "batch_norm_eps_large", "Batch normalization divides by a root with a thousandfold eps.",
        "torch", ("all_zero_batch_norm_network_stays_zero",), lambda: _eps_times(1000.0),
    ),
    Fault("dropout_unscaled", "Dropout does not make up for what it drops.", "torch", (),
          lambda: wrapped(F, "dropout", _unscaled_dropout)),
    Fault("elu_for_relu", "ReLU computes ELU.", "torch", (), _elu),
    Fault("sigmoid_for_relu", "ReLU computes the sigmoid.", "torch", (), _sigmoid),
)  # fmt: skip
