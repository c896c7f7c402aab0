"""What is inspected: a function that builds a module, and optionally one that returns a batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from initcheck.inspection.calling import called, what
from initcheck.inspection.findings import InspectionError
from initcheck.inspection.memory import Fill, WatchedMemory
from initcheck.inspection.placing import moved_to, refuse_incomplete
from initcheck.inspection.surroundings import seed_everything, uncompiled, without_network
from initcheck.inspection.watching import watched

#: Added to a seed for the global generators of a build that takes its seed as an argument.
ELSEWHERE = 1_000_003

Build = Callable[..., nn.Module]
Batch = Callable[[], Any]
Loss = Callable[[nn.Module, Any], Tensor]
Init = Callable[[nn.Module], object]


@dataclass(frozen=True)
class Built:
    """A module as its function built it.

    Attributes:
        lines: the last line that wrote a storage, by address.
        random: addresses of storages that hold random numbers of torch.
        memory: what watched the build, if anything did.
    """

    module: nn.Module
    lines: dict[int, str] = field(default_factory=dict)
    random: set[int] = field(default_factory=set)
    memory: WatchedMemory | None = None


@dataclass(frozen=True)
class Subject:
    """A module's build function, with its batch and its loss.

    Attributes:
        name: ``module:function``, or the function's own name.
        build: returns the module; called with a seed if it takes one.
        batch: returns ``(inputs, targets)`` or the inputs alone; None if there is none.
        loss: computes a scalar from the module and a batch; None for the default loss.
        device: where the module is moved.
        init: the user's own initialization of the whole module, called after the build.
    """

    name: str
    build: Build
    batch: Batch | None = None
    loss: Loss | None = None
    device: str = "cpu"
    init: Init | None = None
    seeded_by: str = field(init=False, default="")  # a traceback shows it before it is found

    def __post_init__(self) -> None:
        if isinstance(self.build, nn.Module) or not callable(self.build):
            raise InspectionError(
                f"{self.name} is a {type(self.build).__name__}, not a function that builds it."
                " Give a function, because the start is built several times."
            )
        object.__setattr__(self, "seeded_by", _seed_parameter(self.build, self.name))

    def __call__(self, seed: int, fill: Fill | None = "nan", *, elsewhere: bool = False) -> Built:
        """Build the module from a seed.

        Args:
            seed: is given to the function if it takes one, and else to the global generators.
            fill: fills memory that is allocated and not written; None to build as users do.
            elsewhere: put the global generators into another state, if the function takes a seed.

        Raises:
            InspectionError: the function raised, or returned no module.
        """
        moved = ELSEWHERE if elsewhere and self.seeded_by else 0
        seed_everything(seed + moved, self.device)
        given = {"*": (seed,)} if self.seeded_by == "*" else {}
        named = {self.seeded_by: seed} if self.seeded_by not in {"", "*"} else {}
        memory = WatchedMemory(fill) if fill else None
        with without_network(), uncompiled(), watched(memory):
            module = called(self.build, self.name, *given.get("*", ()), **named)
            if not isinstance(module, nn.Module):
                raise InspectionError(
                    f"{self.name} returned {what(module)}, not a torch.nn.Module. "
                    "Return the module itself."
                )
            refuse_incomplete(module, self.name)
            if self.init is not None:
                if memory:
                    memory.in_init = True
                called(self.init, "the initialization", module)
        if self.device != "cpu":
            module = moved_to(self.device, module, memory)
        if memory is None:
            return Built(module)
        return Built(module, memory.lines, memory.random, memory)

    def first_loss(self, module: nn.Module, batch: Any) -> Tensor:
        """The loss of a module on a batch, as a scalar tensor.

        Raises:
            InspectionError: the forward pass raised, or no loss can be made of its output.
        """
        with uncompiled():
            if self.loss is not None:
                loss = called(self.loss, "the loss", module, batch)
            else:
                loss = default_loss(module, batch)
        if isinstance(loss, Tensor) and loss.numel() != 1:
            raise InspectionError(
                f"The loss has the shape {tuple(loss.shape)}. Return one number, such as its mean."
            )
        if not isinstance(loss, Tensor):
            raise InspectionError(f"The loss is {what(loss)}, not a tensor with one number.")
        return loss.reshape(())

    def next_batch(self) -> Any:
        """A batch on the device.

        Raises:
            InspectionError: the batch's function raised.
        """
        if self.batch is None:
            raise InspectionError("There is no batch. Give one as --batch MODULE:FUNCTION.")
        return torch.utils._pytree.tree_map(  # noqa: SLF001 -- has no public name yet
            lambda leaf: leaf.to(self.device) if isinstance(leaf, Tensor) else leaf,
            called(self.batch, "the batch's function"),
        )


# --- the default loss -----------------------------------------------------------------------------


def default_loss(module: nn.Module, batch: Any) -> Tensor:
    """The module's own loss, or else cross entropy; the mean squared error for float targets.

    Raises:
        InspectionError: the module raised, or its output and the targets do not fit together.
    """
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    inputs, targets = batch if pair else (batch, None)
    if isinstance(inputs, Mapping):
        output = called(module, "the module", **inputs)
    elif isinstance(inputs, (tuple, list)) and not isinstance(inputs, PackedSequence):
        output = called(module, "the module", *inputs)
    else:
        output = called(module, "the module", inputs)
    own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(own, Tensor):
        return own
    if targets is None and isinstance(output, Tensor) and output.numel() == 1:
        return output
    if targets is None:
        raise InspectionError(
            "The module returned no loss and the batch has no targets. Return (inputs, targets), "
            "or put labels among the inputs."
        )
    return _from_targets(_prediction(output), targets)


def _prediction(output: Any) -> Tensor:
    """The logits or the prediction in a module's output."""
    for name in ("logits", "out", "sample", "last_hidden_state"):
        value = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(value, Tensor):
            return value
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(first, Tensor):
        raise InspectionError(
            f"The module returned {what(output)}, from which no loss can be computed. "
            "Give a loss(module, batch)."
        )
    return first


def _from_targets(prediction: Tensor, targets: Any) -> Tensor:
    if not isinstance(targets, Tensor):
        raise InspectionError(f"The targets are {what(targets)}, not a tensor. Give a loss.")
    shapes = f"The output is {tuple(prediction.shape)} and the targets are {tuple(targets.shape)}"
    if targets.is_floating_point():
        if prediction.shape != targets.shape:
            raise InspectionError(
                f"{shapes}. The mean squared error needs equal shapes. Make them equal, or pass "
                "a loss."
            )
        return nn.functional.mse_loss(prediction, targets)
    if prediction.dim() > 2 and prediction.shape[:-1] == targets.shape:  # (batch, time, classes)
        prediction = prediction.movedim(-1, 1)
    if prediction.dim() != targets.dim() + 1 or prediction.shape[:1] != targets.shape[:1]:
        raise InspectionError(
            f"{shapes}. For integer targets the output needs one more dimension, of classes; "
            "or give a loss."
        )
    loss: Tensor = called(nn.functional.cross_entropy, "cross entropy", prediction, targets)
    return loss


@dataclass(frozen=True)
class _Applied:
    """Calls a function with every part of a module, as ``module.apply`` does."""

    function: Init

    def __call__(self, module: nn.Module) -> None:
        module.apply(self.function)  # type: ignore[arg-type]


def whole_init(init: Init | None, init_apply: Init | None) -> Init | None:
    """The initialization of a whole module, from either form in which users write one.

    Raises:
        InspectionError: both are given, or one cannot be called.
    """
    if init is not None and init_apply is not None:
        raise InspectionError(
            "Both init and init_apply are given. Give init to call a function once with the whole "
            "module, or init_apply to call it with every part."
        )
    given = init if init is not None else init_apply
    if given is not None and not callable(given):
        raise InspectionError(f"The initialization is {what(given)}, which cannot be called.")
    return _Applied(init_apply) if init_apply is not None else init


# --- the seed -------------------------------------------------------------------------------------


def _seed_parameter(build: Build, name: str) -> str:
    """The keyword for the seed, ``*`` if it is the only positional argument, or nothing.

    Raises:
        InspectionError: the function needs other arguments.
    """
    try:
        parameters = inspect.signature(build).parameters.values()
    except (ValueError, TypeError):
        return ""
    if any(each.name == "seed" and each.kind != each.POSITIONAL_ONLY for each in parameters):
        required = [each for each in _required(parameters) if each.name != "seed"]
        seeded = "seed"
    else:
        required = _required(parameters)
        seeded = ""
        if len(required) == 1 and required[0].kind == inspect.Parameter.POSITIONAL_ONLY:
            return "*"
    if required:
        names = ", ".join(each.name for each in required)
        raise InspectionError(
            f"{name} needs arguments: {names}. Write a function without arguments, or with a seed, "
            "that calls it, and name that one."
        )
    return seeded


def _required(parameters: Any) -> list[inspect.Parameter]:
    variadic = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return [
        each for each in parameters
        if each.default is inspect.Parameter.empty and each.kind not in variadic
    ]  # fmt: skip
