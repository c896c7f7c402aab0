"""Where the first step differs: each layer's output and each parameter's gradient, in one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from initcheck.envelope.ways import apart
from initcheck.trajectory import traces
from initcheck.trajectory.first_pass import compiled, seen_from_outside
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.run import run
from initcheck.trajectory.twins import Disturbance

TWINS = 4  # runs of one step that say how far rounding moves a layer's output
FACTOR = 10.0  # of that distance; beyond it a layer differs
FLOOR = 1e-6  # relative: outputs and gradients are not compared more closely


@dataclass
class Layer:
    """The output of a layer, or the gradient of a parameter, in the first step of the first seed.

    Attributes:
        sketch: ``(K + 1,)``.
        envelope: how far rounding alone moves it.
    """

    sketch: Tensor
    envelope: float


class _Hooks:
    """Sketches what passes through a model until its first optimizer step is over."""

    def __init__(self) -> None:
        self.outputs: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}

    def __call__(self, model: nn.Module) -> None:
        names = {module: name for name, module in model.named_modules()}
        for module in dict.fromkeys(seen_from_outside(model)):
            name = names[module]
            if compiled(module) or next(module.children(), None) is None:
                module.register_forward_hook(self._output(name.replace(traces.COMPILED, "")))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and parameter.is_leaf:
                hook = self._gradient(name.replace(traces.COMPILED, ""))
                parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def _output(self, name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if name in self.outputs:
                return
            for leaf in tree_leaves(output):
                if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel():
                    self.outputs[name] = traces.way(name, leaf.detach())
                    return

        return hook

    def _gradient(self, name: str) -> Any:
        def hook(parameter: Tensor) -> None:
            if parameter.grad is not None and parameter.grad.layout == torch.strided:
                self.gradients[name] = traces.way(name, parameter.grad)

        return hook

    def found(self) -> dict[str, Tensor]:
        """Outputs in the order of the forward pass, then gradients from the last layer on."""
        return self.outputs | {f"{name} gradient": g for name, g in self.gradients.items()}


def first_step(loop: Loop, seed: int, twin: int | None = None) -> dict[str, Tensor]:
    """What each layer puts out in the first step, and each parameter's gradient: ``(K + 1,)``.

    Empty if the loop cannot run with hooks.
    """
    hooks = _Hooks()
    disturb = None if twin is None else Disturbance(seed, twin)

    def once(model: nn.Module) -> None:
        if disturb:
            disturb(model)
        hooks(model)

    try:
        run(loop, seed, 1, disturb=once)
    except TrajectoryError:
        return {}
    return hooks.found()


def recorded(loop: Loop, seed: int) -> dict[str, Layer]:
    """The layers of the first step, with how far rounding moves each."""
    before = first_step(loop, seed)
    twins = [first_step(loop, seed, twin) for twin in range(TWINS)]
    return {
        name: Layer(each, max(float(apart(twin.get(name, each), each)) for twin in twins))
        for name, each in before.items()
    }


def first_difference(loop: Loop, seed: int, before: Mapping[str, Layer]) -> str:
    """Where the first step of a loop first differs from its record, in words; empty if nowhere."""
    now = first_step(loop, seed)
    for name, layer in before.items():
        if name not in now:
            continue
        width = max(layer.envelope, FLOOR * float(layer.sketch[-1]))
        far = float(apart(now[name], layer.sketch))
        if far > FACTOR * width:
            what = "the gradient of " + name.removesuffix(" gradient")
            return what if name.endswith(" gradient") else f"the output of {name or 'the model'}"
    return ""
