"""The slope of the loss along random signs, by finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from initcheck.inspection.exact import Exact
from initcheck.inspection.findings import InspectionError
from initcheck.inspection.passes import LARGE, Gradients, Runner
from initcheck.inspection.sketches import directed, length
from initcheck.inspection.tensors import named_tensors, storage

#: Relative to the size of the parameters. In float64 the error is then near 1e-7 of the slope.
STEP = 1e-6
#: The second step is so many times shorter. Slopes that change with it belong to a kink.
SHORTER = 4.0
#: Parts of the length along all parameters, and along one.
TOGETHER, ALONE = 1e-3, 1e-2
#: Differences are measured up to so many lengths of the gradient.
MOST = 1000.0
#: Parameters whose values are smaller, such as biases of zero, move as if they had this size.
_SMALLEST = 0.01
#: How many subsets are tried to find who differs; each costs two forward passes, or four. The more
#: numbers a module has, the fewer are tried, so that the search takes as long for each.
_MOST, _FEWEST, _NUMBERS = 60, 6, 60_000_000


class Slopes:
    """Compares the gradients of a module with differences of its loss.

    All parameters move together: one pair of losses decides if nothing is wrong. If they differ,
    halves are tried.

    Attributes:
        part: the largest difference of one parameter, as a part of its gradient's length.
    """

    def __init__(self, runner: Runner, exact: Gradients) -> None:
        self.runner = runner
        self.exact = exact
        self.part = 0.0
        self._losses: list[float] = []
        self._tensors = {
            each.name: each.tensor for each in named_tensors(runner.module)
            if each.name in exact.slopes and storage(each.tensor)
        }  # fmt: skip
        self._tries = min(max(_NUMBERS // max(runner.numbers, 1), _FEWEST), _MOST)
        self._scales = self._chosen()

    def _chosen(self) -> dict[str, float]:
        """Steps in each entry that change the loss by about as much for every parameter."""
        sizes = {
            name: max(float(each.detach().double().square().mean().sqrt()), _SMALLEST)
            if each.numel() < LARGE else _SMALLEST
            for name, each in self._tensors.items()
        }  # fmt: skip
        effects = {name: size * length(self.exact.summaries[name]) for name, size in sizes.items()}
        positive = sorted(each for each in effects.values() if each > 0)
        middle = positive[len(positive) // 2] if positive else 1.0
        return {
            name: size * min(max(middle / max(effects[name], 1e-300), 1e-3), 10.0)
            for name, size in sizes.items()
        }

    def differing(self) -> list[str]:
        """Names of parameters whose gradient is not the slope; none if they agree.

        Raises:
            InspectionError: the slope depends on the step, so that nothing can be said.
        """
        names = [*self._tensors]
        if not names or not self._differs(names):
            return []
        return self._search(names)

    def _search(self, names: list[str]) -> list[str]:
        if len(names) == 1:
            return names
        found = []
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            self._tries -= 1
            if self._tries < 0:
                found += half
            elif self._differs(half):
                found += self._search(half)
        return found

    def _differs(self, names: list[str]) -> bool:
        """Whether the slope along these parameters differs from their gradients."""
        expected = sum(self._scales[name] * self.exact.slopes[name] for name in names)
        lengths = [self._scales[name] * length(self.exact.summaries[name]) for name in names]
        size = sum(each**2 for each in lengths) ** 0.5
        allowed = (ALONE if len(names) == 1 else TOGETHER) * size
        slope = self._slope(names, STEP)
        if abs(slope - expected) <= allowed + self._noise(STEP):
            return False
        shorter = self._slope(names, STEP / SHORTER)
        if abs(shorter - expected) <= allowed + self._noise(STEP / SHORTER):
            return False
        if abs(shorter - slope) > 0.1 * min(abs(slope - expected), abs(shorter - expected)):
            raise InspectionError("The slope depends on the step, as near a kink or a jump.")
        gap = min(abs(slope - expected), abs(shorter - expected))
        if abs(sum(self._losses) - 2 * self.exact.loss) > 0.1 * gap * STEP / SHORTER:
            message = "The slopes to both sides differ: the module starts at a kink or a jump."
            raise InspectionError(message)
        if len(names) == 1:
            self.part = max(self.part, min(abs(slope - expected) / max(size, 1e-300), MOST))
        return True

    def _noise(self, step: float) -> float:
        """The error of a slope because the loss is rounded."""
        return 1e-14 * max(abs(self.exact.loss), 1.0) / step

    def _slope(self, names: list[str], step: float) -> float:
        losses = []
        for sign in (1.0, -1.0):
            moved: dict[int, Callable[[], Tensor]] = {}
            for name in names:
                tensor = self._tensors[name]
                if tensor.storage_offset() or tensor.numel() * tensor.element_size() != (
                    tensor.untyped_storage().nbytes()
                ):
                    raise InspectionError(f"{name} shares its memory with another tensor.")
                moved[storage(tensor)] = partial(
                    self._moved, name, sign * step * self._scales[name]
                )
            losses.append(self.runner.loss(Exact(moved), grad=self.exact.differentiates))
        self._losses = losses
        return (losses[0] - losses[1]) / (2 * step)

    def _moved(self, name: str, scale: float) -> Tensor:
        """A parameter in float64 after a step; the row of padding stays."""
        tensor = self._tensors[name]
        moved = directed(tensor, self.runner.seeds[name], scale)
        row = self.exact.padding.get(name)
        if row is not None:
            moved[row] = tensor.detach()[row]
        return moved
