"""Sketches of tensors' ways while an arm trains, at the steps at which its losses are judged.

Only the seeds of the reference are followed. Tensors are copied at each judged step, and small ones
are sketched together after the last, since a call costs more than their arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from initcheck.envelope.compare import steps_judged
from initcheck.envelope.sketches import in_order, sketch

PRODUCTS = 2  # per tensor, seed and judged step
SMALL = 2**14  # numbers of a tensor, over replicas, up to which steps are sketched together

Tensors = Callable[[], Mapping[str, Tensor]]
Ways = dict[str, Tensor]  # by name: (J, PRODUCTS + 1), as `sketch` returns them at J judged steps


class Sketcher:
    """Follows some replicas of a chunk: `initcheck.training.work.Watch`."""

    def __init__(self, followed: Sequence[bool], steps: Collection[int]) -> None:
        """Follow these of the R replicas at these steps."""
        self._rows = [row for row, chosen in enumerate(followed) if chosen]
        self._index = torch.tensor(self._rows, dtype=torch.int64)
        self._count = len(followed)
        self._steps = frozenset(steps)
        self._start: dict[str, Tensor] = {}
        self._small: dict[str, list[Tensor]] = {}
        self._sketched: dict[str, list[Tensor]] = {}

    def start(self, tensors: Tensors) -> None:
        """Copy the floating-point tensors from which ways begin, in the order of their numbers."""
        if self._rows:
            self._start = {
                name: in_order(self._copied(tensor)) for name, tensor in tensors().items()
                if tensor.is_floating_point() or tensor.is_complex()
            }  # fmt: skip

    def after(self, step: int, tensors: Tensors) -> None:
        """Sketch or copy every tensor after a judged step."""
        if step not in self._steps or not self._rows:
            return
        now = tensors()
        for name, start in [*self._start.items()]:
            if name not in now or now[name].shape[1:] != start.shape[1:]:
                del self._start[name]  # a custom module may replace its buffers
            elif start.numel() > SMALL:
                way = sketch(name, self._chosen(now[name]), start, count=PRODUCTS)
                self._sketched.setdefault(name, []).append(way)
            else:
                self._small.setdefault(name, []).append(self._copied(now[name]))

    def ways(self) -> tuple[Ways | None, ...]:
        """The ways of each of the R replicas, in the order of its tensors; None if not followed."""
        each = {name: self._of(name) for name in self._start}  # (rows, J, PRODUCTS + 1)
        found: list[Ways | None] = [None] * self._count
        for place, row in enumerate(self._rows if each else ()):
            found[row] = {name: way[place] for name, way in each.items()}
        return tuple(found)

    def _of(self, name: str) -> Tensor:
        if name in self._sketched:
            return torch.stack(self._sketched[name], 1)
        copies, rows = self._small[name], len(self._rows)
        start = self._start[name].repeat(len(copies), *[1] * (copies[0].dim() - 1))
        together = sketch(name, torch.cat(copies), start, count=PRODUCTS)  # (J * rows, ...)
        return together.view(len(copies), rows, -1).transpose(0, 1)

    def _chosen(self, tensor: Tensor) -> Tensor:
        """The replicas that are followed, in the module's layout: a view if they are neighbours."""
        first, last = self._rows[0], self._rows[-1]
        if last - first + 1 == len(self._rows):
            return tensor.detach()[first : last + 1]
        return tensor.detach().index_select(0, self._index.to(tensor.device))

    def _copied(self, tensor: Tensor) -> Tensor:
        """The same, as numbers that later steps do not change."""
        return self._chosen(tensor).clone()


def following(seeds: Collection[int], steps: int) -> Callable[[Sequence[int]], Sketcher]:
    """The ``watch`` option of ``train``: sketch replicas with one of the seeds.

    Args:
        seeds: of the replicas that are sketched.
        steps: of the recipe.
    """
    wanted, judged = frozenset(seeds), steps_judged(steps)
    return lambda replicas: Sketcher([seed in wanted for seed in replicas], judged)
