"""Faults of optimizers: what they were asked for, what they count, what they do with gradients.

``torch.optim`` keeps its options in ``defaults`` and its counters in ``state``, for plain loops and
fused kernels alike, so a change there reaches both engines.
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
    replaced,
    wrapped,
)

ZERO, LAYER = "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns"
CAP, BREAK, HE = "identity_caps_residual_rank", "hadamard_breaks_rank_cap", "he_beats_randn"
BIAS_FREE_CAP = f"{CAP}_without_biases"
TRAINED = (HE, LAYER)


def option(name: str, change: Callable[[Any], Any]) -> Context:
    """An option of every optimizer that has it is changed when the optimizer is made."""

    def around(function: Function) -> Function:
        def made(self: Any, params: Any, defaults: dict[str, Any]) -> None:
            if name in defaults:
                defaults = defaults | {name: change(defaults[name])}
            function(self, params, defaults)

        return made

    return wrapped(TorchOptimizer, "__init__", around)


@contextmanager
def _adam_counters(change: Callable[[Tensor, int, int], Any]) -> Iterator[None]:
    """``change(counter, place, tensors)`` before each of Adam's steps, once a tensor."""

    def around(function: Function) -> Function:
        def group(self: Any, group: dict[str, Any], *lists: Any) -> Any:
            found = function(self, group, *lists)
            active = [p for p in group["params"] if p.grad is not None]
            for place, parameter in enumerate(active):
                change(self.state[parameter]["step"], place, len(active))
            return found

        return group

    with ExitStack() as stack:
        for owner in (Adam, AdamW):
            if "_init_group" in vars(owner):  # AdamW has none of its own since torch 2.7
                stack.enter_context(wrapped(owner, "_init_group", around))
        yield


VERY_LATE = 2.0**20  # a step at which 1 - beta^t is 1 in float32, for any usual beta


def _late(counter: Tensor, _place: int, _tensors: int) -> None:
    if counter < VERY_LATE:
        counter.add_(VERY_LATE)


def _counted_together(counter: Tensor, place: int, tensors: int) -> None:
    counter.add_(place if counter == 0 else tensors - 1)


def _parameters_elsewhere() -> Context:
    """The optimizer is given copies, as when parameters are replaced after it was made."""

    def around(function: Function) -> Function:
        def made(self: Any, params: Any, defaults: dict[str, Any]) -> None:
            copies = [p.detach().clone().requires_grad_() for p in params]
            function(self, copies, defaults)

        return made

    return wrapped(TorchOptimizer, "__init__", around)


def _grad(change: Callable[[Tensor], Tensor]) -> Context:
    """Every gradient is replaced by ``change(gradient)`` before the step."""

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
    Fault(
        "lr_halved", "Every optimizer takes steps of half the learning rate.",
        "torch", TRAINED, lambda: option("lr", lambda lr: lr * 0.5),
    ),
    Fault(
        "lr_lower_by_a_thousandth", "Every optimizer's learning rate is 0.999 of what was asked.",
        "torch", (*TRAINED, CAP, BREAK), lambda: option("lr", lambda lr: lr * 0.999),
    ),
    Fault(
        "momentum_ignored", "Momentum is accepted and not used.",
        "torch", (HE,), lambda: option("momentum", lambda _: 0.0),
    ),
    Fault(
        "momentum_lower_by_a_hundredth", "Momentum is .89 where .9 was asked for.",
        "torch", (HE,), lambda: option("momentum", lambda m: m - 0.01 if m else m),
    ),
    Fault(
        "weight_decay", "Every optimizer has weight decay 0.01 in place of what was asked for.",
        "torch", (CAP, BIAS_FREE_CAP, HE), lambda: option("weight_decay", lambda _: 0.01),
    ),
    Fault(
        "decay_without_lr", "Parameters shrink by 1e-4 at every step, whatever lr: notebook 003.",
        "torch", (CAP, HE, LAYER), lambda: after_each_step(_shrink),
    ),
    Fault(
        "adam_without_bias_correction", "Adam's moments are not corrected for starting at zero.",
        "torch", (LAYER,), lambda: _adam_counters(_late),
    ),
    Fault(
        "adam_counts_every_tensor", "Adam counts a step for each tensor, as in notebook 003.",
        "torch", (), lambda: _adam_counters(_counted_together),  # no bound arm has two tensors
    ),
    Fault(
        "adam_eps_inside_root",
        "Every optimizer's eps, if it has one, is its root: 1e-4 for 1e-8, as inside Adam's root.",
        "torch", (LAYER,), lambda: option("eps", lambda eps: eps**0.5),
    ),
    Fault(
        "adam_beta_off", "Adam's second moment forgets with .99 where .999 was asked for.",
        "torch", (LAYER,), lambda: option("betas", lambda betas: (betas[0], 0.99)),
    ),
    Fault(
        "gradients_accumulated", "Gradients are not cleared between steps, so they add up.",
        "torch", (HE, LAYER),
        lambda: replaced(TorchOptimizer, "zero_grad", lambda self, set_to_none=True: None),
    ),
    Fault(
        "optimizer_holds_copies", "The optimizer holds parameters that the network no longer has.",
        "initcheck", (HE, LAYER, CAP, BREAK), _parameters_elsewhere,
    ),
    Fault(
        "gradients_in_bfloat16", "Gradients are rounded to bfloat16 before the step.",
        "torch", (*TRAINED, CAP, BREAK), lambda: _grad(lambda g: g.bfloat16().to(g.dtype)),
    ),
    Fault(
        "gradients_clipped", "Each entry of a gradient is cut off at 0.001.",
        "torch", TRAINED, lambda: _grad(lambda g: g.clamp(-1e-3, 1e-3)),
    ),
    Fault(
        "zero_gradients_move", "Parameters whose gradient is zero move by 1e-6 all the same.",
        "torch", (ZERO, LAYER, CAP), lambda: after_each_step(_creep),
    ),
    Fault("decay_not_decoupled", "AdamW's decay goes through its moments, as Adam's does.",
          "torch", (), lambda: option("decoupled_weight_decay", lambda _: False)),
    Fault("learning_rate_times_100", "Every learning rate is 100 times too large.", "torch", (),
          lambda: option("lr", lambda lr: lr * 100)),
    Fault("weight_decay_ignored", "Weight decay is accepted and not used.", "torch", (),
          lambda: option("weight_decay", lambda _: 0.0)),
)  # fmt: skip
