"""Faults of optimizers, schedules, clipping and gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler, swa_utils
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.trajectory.changes import Change, Edit, Reach, replaced


def setting(name: str, new: Callable[[Any], Any], *kinds: str) -> Edit:
    """Changes one setting in all groups of optimizers of these kinds, where it has an effect."""

    def edit(model: nn.Module, optimizer: Optimizer) -> bool:
        if kinds and type(optimizer).__name__ not in kinds:
            return False
        groups = [group for group in optimizer.param_groups if name in group]
        changed = [group for group in groups if new(group[name]) != group[name]]
        for group in changed:
            group[name] = new(group[name])
        return bool(changed)

    return edit


def rate(factor: float) -> Change:
    """Every group's learning rate times a factor, before a schedule reads it."""

    def context(reach: Reach) -> AbstractContextManager[None]:
        def make(original: Any) -> Any:
            def add_param_group(self: Optimizer, group: dict[str, Any]) -> None:
                original(self, group)
                self.param_groups[-1]["lr"] *= factor
                reach()

            return add_param_group

        return replaced(Optimizer, "add_param_group", make)

    return Change(f"learning rate x {factor:g}".replace("0.", "."), context)


def gradients(name: str, change: Callable[[Tensor], Tensor]) -> Change:
    """All gradients are changed before each step of the optimizer."""

    @contextmanager
    def context(reach: Reach) -> Iterator[None]:
        def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            reach()
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad.copy_(change(parameter.grad))

        handle = register_optimizer_step_pre_hook(before)
        try:
            yield
        finally:
            handle.remove()

    return Change(name, context)


def l2_for_decay(model: nn.Module, optimizer: Optimizer) -> bool:
    """Decay becomes a part of the gradient, as in Adam."""
    if type(optimizer).__name__ != "AdamW":
        return False
    for group in optimizer.param_groups:
        group["decoupled_weight_decay"] = False
    return True


def decay_everywhere(model: nn.Module, optimizer: Optimizer) -> bool:
    """Groups without decay get that of the others."""
    decays = {group.get("weight_decay", 0.0) for group in optimizer.param_groups}
    for group in optimizer.param_groups:
        group["weight_decay"] = max(decays)
    return len(decays) > 1


def left_out(model: nn.Module, optimizer: Optimizer) -> bool:
    """The optimizer does not get the last parameter of its last group."""
    optimizer.param_groups[-1]["params"].pop()
    return True


def clipping(name: str, factor: float) -> Change:
    """The largest norm of the gradient times a factor."""

    def context(reach: Reach) -> AbstractContextManager[None]:
        def make(original: Any) -> Any:
            def clip(parameters: Any, max_norm: float, *args: Any, **kwargs: Any) -> Tensor:
                norm: Tensor = original(parameters, max_norm * factor, *args, **kwargs)
                if norm > max_norm:
                    reach()
                return norm

            return clip

        return replaced(nn.utils, "clip_grad_norm_", make)

    return Change(name, context)


def one_step_ahead(reach: Reach) -> AbstractContextManager[None]:
    """A schedule makes its first step before the optimizer does."""

    def make(original: Any) -> Any:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            with warnings.catch_warnings(action="ignore"):  # torch warns of just this
                self.optimizer._opt_called = True
                self.step()
            reach()

        return init

    return replaced(lr_scheduler.LRScheduler, "__init__", make)


def not_divided(reach: Reach) -> AbstractContextManager[None]:
    """The gradient of a divided loss is as large as if it had not been divided by two."""

    def make(original: Any) -> Any:
        def backward(self: Tensor, *args: Any, **kwargs: Any) -> None:
            if self.grad_fn is not None and self.grad_fn.name() == "DivBackward0":
                reach()
                original(self * 2, *args, **kwargs)
            else:
                original(self, *args, **kwargs)

        return backward

    return replaced(Tensor, "backward", make)


def not_zeroed(reach: Reach) -> AbstractContextManager[None]:
    """Gradients of all steps add up."""

    def make(original: Any) -> Any:
        return lambda self, *args, **kwargs: reach()

    return replaced(Optimizer, "zero_grad", make)


def slower_average(reach: Reach) -> AbstractContextManager[None]:
    """The average of weights decays by .979 for .98."""

    def make(original: Any) -> Any:
        def get(decay: float) -> Any:
            reach()
            return original(decay - 0.001)

        return get

    return replaced(swa_utils, "get_ema_multi_avg_fn", make)


FAULTS = [
    rate(0.999),
    rate(0.9995),
    gradients("gradients rounded to bfloat16", lambda gradient: gradient.bfloat16().to(gradient)),
    gradients("gradients rounded to float16", lambda gradient: gradient.half().to(gradient)),
    Change("Adam's L2 for AdamW's decay", edit=l2_for_decay),
    Change(
        "decay x .999",
        edit=setting("weight_decay", lambda decay: decay * 0.999),
    ),
    Change("decay on biases", edit=decay_everywhere),
    Change("Adam's eps 1e-7 for 1e-8", edit=setting("eps", lambda eps: 1e-7, "Adam", "AdamW")),
    Change(
        "Adam's beta2 .99 for .999",
        edit=setting("betas", lambda betas: (betas[0], 0.99), "Adam", "AdamW"),
    ),
    Change(
        "Adam's beta1 .899 for .9",
        edit=setting("betas", lambda betas: (0.899, betas[1]), "Adam", "AdamW"),
    ),
    Change("AMSGrad for Adam", edit=setting("amsgrad", lambda _: True, "Adam", "AdamW")),
    Change("momentum .899 for .9", edit=setting("momentum", lambda _: 0.899, "SGD")),
    Change("dampened momentum", edit=setting("dampening", lambda _: 0.1, "SGD")),
    Change("Nesterov's momentum", edit=setting("nesterov", lambda _: True, "SGD")),
    Change("one parameter left out of the optimizer", edit=left_out),
    Change("schedule off by one step", one_step_ahead),
    clipping("clipping lost", 1e9),
    clipping("clipped at 1.001 for 1", 1.001),
    Change("accumulation without division", not_divided),
    Change("gradients not zeroed", not_zeroed),
    Change("average of weights decays by .979 for .98", slower_average),
]
