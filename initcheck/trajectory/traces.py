"""What one run of a loop leaves: losses and ways at the judged steps, start and first batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from initcheck.envelope.sketches import sketch
from initcheck.trajectory.loops import TrajectoryError

LOW = (torch.bfloat16, torch.float16)
COMPILED = "_orig_mod."  # torch.compile puts it before each name


def watched(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a module by name, each once; compiled modules as plain ones.

    Raises:
        TrajectoryError: a tensor has no shape yet, or no numbers.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors_of(model):
        if is_lazy(tensor):
            raise TrajectoryError(
                f"{name} has no shape before the first forward pass. Run one before the model is "
                "shown."
            )
        if tensor.is_meta:
            raise TrajectoryError(f"{name} is on the meta device, so it has no numbers.")
        found[name] = _dense(tensor.detach())
    return found


def _dense(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        return tensor.int_repr()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of a module with their names, each tensor once."""
    seen = set()
    for prefix, module in model.named_modules():
        for name, tensor in chain(module._parameters.items(), module._buffers.items()):  # noqa: SLF001 -- named_parameters walks the tree twice
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield f"{prefix}.{name}".lstrip(".").replace(COMPILED, ""), tensor


def is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile is used on the module or a part of it."""
    return any(
        type(each).__name__ == "OptimizedModule" or each._compiled_call_impl is not None  # noqa: SLF001 -- has no public name
        for each in model.modules()
    )


def trainable(model: nn.Module) -> set[str]:
    """The names of the parameters that require gradients."""
    return {name for name, each in tensors_of(model) if each.requires_grad}


def ways(tensors: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The sketch ``(K + 1,)`` of the way of each tensor from its start; from zero if it has none.

    Raises:
        TrajectoryError: torch cannot compute with a tensor.
    """
    found = {}
    for name, tensor in tensors.items():
        try:
            found[name] = way(name, tensor, start.get(name))
        except (RuntimeError, TypeError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise TrajectoryError(
                f"{name}, a {type(tensor).__name__} of {in_words(tensor)}, has no sketch: {reason}."
            ) from error
    return found


def way(name: str, now: Tensor, start: Tensor | None = None) -> Tensor:
    """The sketch ``(K + 1,)`` of one tensor's way; from zero if there is no start of its shape.

    If the start has infinities, as masks of attention have, stand-ins show where they are.
    """
    if start is not None and (start.shape != now.shape or start.device != now.device):
        start = None
    found = sketch(name, now[None], None if start is None else start[None])[0]
    if found[-1].isfinite() or (start is not None and _finite(start)):
        return found
    now, start = _stand_ins(now), None if start is None else _stand_ins(start)
    return sketch(name, now[None], None if start is None else start[None])[0]


def _finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all()) and not bool((tensor.abs() > _HUGE).any())


_HUGE = 1e100  # the square is finite in float64


def _stand_ins(tensor: Tensor) -> Tensor:
    return tensor.double().nan_to_num(3.0, 1.0, -1.0).clamp(-_HUGE, _HUGE)


@dataclass
class Trace:
    """One run of a loop.

    Attributes:
        seed: the run's seed.
        shapes: shape and dtype of each tensor at the start, in words, as ``(8, 4) float32``.
        start: the sketch of each tensor at the start, from zero.
        eps: the machine epsilon of each tensor's dtype; 0 for integers.
        batch: sketches of the tensors of the first forward pass; None if the module was not called.
        draws: whether the first forward pass drew random numbers of torch on its device.
        coarse: whether a module's output in the first step is in bfloat16 or float16.
        compiled: whether torch.compile is used on the module or a part of it.
        device: the type of the device of the first parameter.
        losses: of each step.
        ways: ``{step: {name: (K + 1,)}}``, after that step.
        settings: the optimizer's, at the first and last step: ``{"0 lr": 0.1, ...}``.
        trained: names of the tensors that require gradients.
        reshaped: by tensor, the first judged step after which it has another shape or dtype than at
            the start, and which, in words.
    """

    seed: int
    shapes: dict[str, str] = field(default_factory=dict)
    start: dict[str, Tensor] = field(default_factory=dict)
    eps: dict[str, float] = field(default_factory=dict)
    batch: list[Tensor] | None = None
    draws: bool = False
    coarse: bool = False
    compiled: bool = False
    device: str = "cpu"
    losses: list[float] = field(default_factory=list)
    ways: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    settings: dict[int, dict[str, Any]] = field(default_factory=dict)
    trained: set[str] = field(default_factory=set)
    reshaped: dict[str, tuple[int, str]] = field(default_factory=dict)


def in_words(tensor: Tensor) -> str:
    """A tensor's shape and dtype."""
    shape = ", ".join(map(str, tensor.shape))
    return f"({shape}) {str(tensor.dtype).removeprefix('torch.')}"


def epsilon(tensor: Tensor) -> float:
    """The machine epsilon of a tensor's dtype; 0 for integers and booleans."""
    if tensor.is_floating_point() or tensor.is_complex():
        return float(torch.finfo(tensor.dtype).eps)
    return 0.0


#: Settings of an optimizer that choose its kernel, which may change rounding alone.
KERNELS = ("foreach", "fused")


def settings_of(optimizer: Any) -> dict[str, Any]:
    """The numbers, flags and names in an optimizer's parameter groups, and its class.

    Those that choose its kernel are left out.
    """
    groups = getattr(optimizer, "param_groups", None)
    if groups is None:
        return {}
    found: dict[str, Any] = {"class": type(optimizer).__name__}
    for number, group in enumerate(groups):
        for key, value in group.items():
            if key in KERNELS:
                continue
            if isinstance(value, Tensor) and value.numel() == 1:
                value = value.item()  # noqa: PLW2901 -- a capturable learning rate
            if isinstance(value, tuple | list) and all(isinstance(v, float | int) for v in value):
                value = [*value]  # noqa: PLW2901 -- as JSON keeps it
            elif not isinstance(value, bool | int | float | str):
                continue
            found[f"{number} {key}"] = value
    return found
