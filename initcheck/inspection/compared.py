"""Gradients as the module computes them, compared with those in float64 on the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from initcheck.inspection.exact import Exact, SameRandom
from initcheck.inspection.findings import InspectionError
from initcheck.inspection.passes import (
    LARGE,
    Gradients,
    Runner,
    first_sample,
    in_float64,
    on_cpu,
)
from initcheck.inspection.sketches import jittered, length
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import named_tensors
from initcheck.inspection.unchanged import cloned

#: A gradient may differ from float64 by so many times what flipping last bits changes. Sound
#: modules of five libraries reach 3.7 (docs/inspect.md).
ENVELOPES = 30.0
#: And by so large a part of its length. A ReLU or a maximum that flips changes less.
PART = 0.01
#: A gradient is rounding alone if it is so many times smaller in float64.
VANISHES = 0.01
#: Devices may round products of float32 to 10 bits of the 23.
_BIT_OF_DEVICES = 13
#: A float64 copy is made only of smaller modules: 64 million bytes more.
_COPY = 8_000_000


@dataclass(frozen=True)
class Compared:
    """A gradient as the module computes it, compared with float64.

    Attributes:
        difference: the length of the difference, and of both gradients.
        envelope: how far flipped last bits move it.
    """

    name: str
    difference: float
    length: float
    exact: float
    envelope: float

    @property
    def wrong(self) -> bool:
        """Whether rounding cannot explain the difference."""
        return self.difference > ENVELOPES * self.envelope and self.difference > PART * max(
            self.length, self.exact
        )

    @property
    def rounding_alone(self) -> bool:
        """Whether nothing is left of the gradient in float64."""
        return self.exact < VANISHES * self.length and self.difference <= ENVELOPES * self.envelope


def runner_of(start: Start, module: torch.nn.Module) -> Runner:
    """A module with a batch, or with the first sample of it if the module is large."""
    runner = Runner.of(start.subject, module, start.subject.next_batch())
    if runner.numbers <= LARGE:
        return runner
    one = replace(runner, batch=first_sample(runner.batch))
    try:
        one.loss(SameRandom())
    except (InspectionError, RuntimeError):  # as batch normalization of a single sample
        return runner
    return one


def exact_gradients(runner: Runner) -> tuple[Runner, Gradients]:
    """The gradients in float64, without a copy of the module if that is possible.

    Raises:
        InspectionError: an operation does not exist in float64.
    """
    try:
        return runner, runner.gradients(Exact())
    except (InspectionError, RuntimeError, TypeError, ValueError) as error:
        if runner.numbers > _COPY:
            raise InspectionError(f"It cannot be computed in float64: {error}") from error
    copy = in_float64(runner)
    try:
        return copy, copy.gradients(Exact())
    except (InspectionError, RuntimeError, TypeError, ValueError) as error:
        raise InspectionError(f"It cannot be computed in float64: {error}") from error


def compared_with(runner: Runner, low: Gradients, exact: Gradients) -> list[Compared]:
    """All gradients; without an envelope, and so without another pass, if all are near."""
    near = low
    if any(
        length(one - exact.summaries[name]) > PART * length(one)
        for name, one in low.summaries.items() if name in exact.summaries
    ):  # fmt: skip
        near = _jittered(runner)
    return _with_envelope(runner, low, exact, near)


def _jittered(runner: Runner) -> Gradients:
    batch = cloned(runner.batch)
    bit = 0 if runner.subject.device == "cpu" else _BIT_OF_DEVICES
    with jittered(runner.module.parameters(), batch, bit):
        return replace(runner, batch=batch).gradients(SameRandom())


def _with_envelope(
    runner: Runner, low: Gradients, exact: Gradients, near: Gradients
) -> list[Compared]:
    dtypes = {name: each.dtype for name, each in runner.module.named_parameters()}
    found = []
    for name, one in low.summaries.items():
        if name in exact.summaries and name in near.summaries and name in dtypes:
            info = torch.finfo(dtypes[name])
            rounding = info.eps * length(one) + info.smallest_normal * info.eps * len(one) ** 0.5
            found.append(
                Compared(
                    name,
                    difference=length(one - exact.summaries[name]),
                    length=length(one),
                    exact=length(exact.summaries[name]),
                    envelope=max(length(one - near.summaries[name]), rounding),
                )
            )
    return found


def of_second_seed(start: Start, *, moved: bool = False) -> list[Compared]:
    """All gradients from the second seed; with ``moved``, after a random move of all parameters.

    Raises:
        InspectionError: as `exact_gradients`.
    """
    seed = start.seeds[1]
    runner = runner_of(start, start.subject(seed, None).module)
    wide = on_cpu(runner, seed)
    if moved:
        for each in {id(runner): runner, id(wide): wide}.values():
            _move(each.module, seed)
    low = runner.gradients(SameRandom())
    _, exact = exact_gradients(wide)
    return compared_with(runner, low, exact)


@torch.no_grad()
def _move(module: torch.nn.Module, seed: int) -> None:
    """Move each trainable parameter by a tenth of its size, and zeros by a hundredth."""
    generator = torch.Generator().manual_seed(seed)
    for each in named_tensors(module):
        if each.trainable and each.tensor.is_floating_point():
            noise = torch.randn(each.tensor.shape, generator=generator)
            size = float(each.tensor.float().square().mean().sqrt()) or 0.1
            each.tensor.add_((0.1 * size * noise).to(each.tensor))
