"""Faults of optimizers: their options, their step counters, and their use of gradients.

``torch.optim`` keeps options in ``defaults`` and counters in ``state``, for plain loops and fused
kernels, so a change there reaches both engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW
from torch.optim import Optimizer as TorchOptimizer

from initcheck.faults.fault import (
    Context,
    Fault,
    Function,
    after_each_step,
    before_each_step,
    groups_of,
    replaced,
    wrapped_in,
)

ZERO, LAYER = "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns"
CAP, BREAK, HE = "identity_caps_residual_rank", "hadamard_breaks_rank_cap", "he_beats_randn"


# --- options --------------------------------------------------------------------------------------


def option(name: str, change: Callable[[Any], Any]) -> Context:
    """Change an option of every optimizer that has it, when the optimizer is constructed."""

    def around(function: Function) -> Function:
        def construct(self: Any, params: Any, defaults: dict[str, Any]) -> None:
            if name in defaults:
                defaults = defaults | {name: change(defaults[name])}
            function(self, params, defaults)

        return construct

    return wrapped_in(TorchOptimizer, "__init__", around)


# --- step counters --------------------------------------------------------------------------------


@contextmanager
def _adam_counters(change: Callable[[Tensor, int, int], Any]) -> Iterator[None]:
    """Call ``change(counter, place, tensors)`` for each tensor before each of Adam's steps."""

    def around(function: Function) -> Function:
        def init_group(self: Any, group: dict[str, Any], *lists: Any) -> Any:
            result = function(self, group, *lists)
            active = [p for p in group["params"] if p.grad is not None]
            for place, parameter in enumerate(active):
                change(self.state[parameter]["step"], place, len(active))
            return result

        return init_group

    with ExitStack() as stack:
        for owner in (Adam, AdamW):
            if "_init_group" in vars(owner):  # since torch 2.7, AdamW inherits Adam's
                stack.enter_context(wrapped_in(owner, "_init_group", around))
        yield


VERY_LATE = 2.0**20  # a step at which 1 - beta^t is 1 in float32, for any usual beta


def _late(counter: Tensor, _place: int, _tensors: int) -> None:
    if counter < VERY_LATE:
        counter.add_(VERY_LATE)


def _counted_together(counter: Tensor, place: int, tensors: int) -> None:
    counter.add_(place if counter == 0 else tensors - 1)


# --- parameters and gradients ---------------------------------------------------------------------


def _copies_held() -> Context:
    """The optimizer gets copies, as if parameters were replaced after its construction."""

    def around(function: Function) -> Function:
        def construct(self: Any, params: Any, defaults: dict[str, Any]) -> None:
            groups = [
                group | {"params": [p.detach().clone().requires_grad_() for p in group["params"]]}
                for group in groups_of(params)
            ]
            function(self, groups, defaults)

        return construct

    return wrapped_in(TorchOptimizer, "__init__", around)


def _gradients(change: Callable[[Tensor], Tensor]) -> Context:
    """Replace every gradient by ``change(gradient)`` before the step."""

    def replace(parameter: Tensor) -> None:
        if parameter.grad is not None:
            parameter.grad.copy_(change(parameter.grad))

    return before_each_step(replace)


def _creep(parameter: Tensor) -> None:
    if parameter.grad is not None:
        parameter.add_(torch.where(parameter.grad == 0, 1e-6, 0.0))


def _shrink(parameter: Tensor) -> None:
    parameter.mul_(1 - 1e-4)


FAULTS = (
    # options
    Fault(
        "lr_halved", "Every optimizer uses half the requested learning rate.",
        "torch", (HE, LAYER), lambda: option("lr", lambda lr: lr * 0.5),
    ),
    Fault(
        "lr_lower_by_a_thousandth",
        "Every optimizer uses 0.999 times the requested learning rate.",
        "torch", (HE, LAYER, CAP, BREAK), lambda: option("lr", lambda lr: lr * 0.999),
    ),
    Fault(
        "learning_rate_times_100", "Every optimizer uses 100 times the requested learning rate.",
        "torch", (), lambda: option("lr", lambda lr: lr * 100),
    ),
    Fault(
        "momentum_ignored", "Momentum is accepted and not used.",
        "torch", (HE,), lambda: option("momentum", lambda _: 0.0),
    ),
    Fault(
        "momentum_lower_by_a_hundredth",
        "Momentum is 0.01 below the requested value, 0.89 instead of 0.9.",
        "torch", (HE,), lambda: option("momentum", lambda m: m - 0.01 if m else m),
    ),
    Fault(
        "weight_decay", "Every optimizer uses weight decay 0.01, whatever was requested.",
        "torch", (CAP, HE), lambda: option("weight_decay", lambda _: 0.01),
    ),
    Fault(
        "weight_decay_ignored", "Weight decay is accepted and not used.",
        "torch", (), lambda: option("weight_decay", lambda _: 0.0),
    ),
    Fault(
        "decay_not_decoupled", "AdamW adds its decay to the gradient, as Adam does.",
        "torch", (), lambda: option("decoupled_weight_decay", lambda _: False),
    ),
    Fault(
        "decay_without_lr",
        "Parameters shrink by a factor of 1 - 1e-4 at every step, whatever lr, as in notebook 003.",
        "torch", (CAP, HE, LAYER), lambda: after_each_step(_shrink),
    ),
    Fault(
        "adam_eps_inside_root",
        "Every optimizer that has an eps uses its square root, 1e-4 instead of 1e-8, "
        "as if eps were added inside Adam's root.",
        "torch", (LAYER,), lambda: option("eps", lambda eps: eps**0.5),
    ),
    Fault(
        "adam_beta_off", "Adam's second beta is 0.99, whatever was requested.",
        "torch", (LAYER,), lambda: option("betas", lambda betas: (betas[0], 0.99)),
    ),
    # step counters
    Fault(
        "adam_without_bias_correction", "Adam's moments are not corrected for starting at zero.",
        "torch", (LAYER,), lambda: _adam_counters(_late),
    ),
    Fault(
        "adam_counts_every_tensor", "Adam counts one step per tensor, as in notebook 003.",
        "torch", (), lambda: _adam_counters(_counted_together),  # no bound arm has two tensors
    ),
    # parameters and gradients
    Fault(
        "gradients_accumulated", "Gradients are not cleared between steps, so they add up.",
        "torch", (HE, LAYER),
        lambda: replaced(TorchOptimizer, "zero_grad", lambda self, set_to_none=True: None),
    ),
    Fault(
        "optimizer_holds_copies",
        "The optimizer holds copies of the parameters, so the network does not change.",
        "initcheck", (HE, LAYER, CAP, BREAK), _copies_held,
    ),
    Fault(
        "gradients_in_bfloat16", "Gradients are rounded to bfloat16 before the step.",
        "torch", (HE, LAYER, CAP, BREAK), lambda: _gradients(lambda g: g.bfloat16().to(g.dtype)),
    ),
    Fault(
        "gradients_clipped", "Each entry of a gradient is clipped to 0.001.",
        "torch", (HE, LAYER), lambda: _gradients(lambda g: g.clamp(-1e-3, 1e-3)),
    ),
    Fault(
        "zero_gradients_move", "Parameters whose gradient is zero still move by 1e-6 per step.",
        "torch", (ZERO, LAYER, CAP), lambda: after_each_step(_creep),
    ),
)  # fmt: skip
