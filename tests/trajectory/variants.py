"""What r would be with other numbers of twins and products, or another cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope import compare as losses_envelope
from initcheck.envelope import ways
from initcheck.envelope.sketches import COUNT
from initcheck.envelope.twins import TWINS
from initcheck.trajectory import recording, traces
from initcheck.trajectory.compare import loss_ratio
from initcheck.trajectory.reference import Reference, judged_losses, stacked
from initcheck.trajectory.traces import Trace
from tests.trajectory.changes import replaced

PRODUCTS = 16  # that each run keeps; `unchanged` keeps the first COUNT of them
#: (twins, products, cut): as `unchanged` has them, and with one of them changed.
USUAL = (TWINS, COUNT, ways.WAY_CHAOS)
VARIANTS = (
    USUAL,
    *((twins, COUNT, ways.WAY_CHAOS) for twins in (1, 2, 4)),
    *((TWINS, count, ways.WAY_CHAOS) for count in (1, 2, 8, 16)),
    *((TWINS, COUNT, cut) for cut in (0.003, 0.01, 0.1, 0.3)),
)


@dataclass
class Recorded:
    """A reference and the runs that it is made from, with ``PRODUCTS`` products.

    Attributes:
        reference: with ``COUNT`` products.
        twins: of each twin, its runs in the order of the seeds; the float64 twin is the last.
        envelopes: by numbers of twins and products, made when they are needed.
        start: the runs without rounding errors.
    """

    reference: Reference
    start: list[Trace] = field(default_factory=list)
    twins: list[list[Trace]] = field(default_factory=list)
    envelopes: dict[tuple[int, int], Any] = field(default_factory=dict)


@contextmanager
def many_products() -> Iterator[None]:
    """Sketches have ``PRODUCTS`` products."""
    with replaced(traces, "sketch", lambda original: partial(original, count=PRODUCTS)):
        yield


def narrow(trace: Trace, count: int = COUNT) -> Trace:
    """The trace with the first products only."""

    def cut(sketched: Tensor) -> Tensor:
        return torch.cat([sketched[..., :count], sketched[..., -1:]], -1)

    return replace(
        trace,
        start={name: cut(each) for name, each in trace.start.items()},
        batch=None if trace.batch is None else [cut(each) for each in trace.batch],
        ways={
            step: {name: cut(each) for name, each in found.items()}
            for step, found in trace.ways.items()
        },
    )


@contextmanager
def _noted(runs: list[tuple[dict[str, Any], Trace]]) -> Iterator[None]:
    """All runs of a recording, with what was requested; the recording gets narrow ones."""

    def make(original: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Trace:
            with many_products():
                trace: Trace = original(*args, **kwargs)
            runs.append((kwargs, trace))
            return narrow(trace)

        return run

    with replaced(recording, "run", make):
        yield


def recorded(make: Any) -> Recorded:
    """What ``make`` returns, with the runs that it makes."""
    runs: list[tuple[dict[str, Any], Trace]] = []
    with _noted(runs):
        found = Recorded(make())
    seeds = found.reference.seeds
    plain = [t for how, t in runs if not how.get("disturb") and not how.get("dtype")]
    found.start = [plain[0], *plain[2:]]  # the first seed runs twice
    others = [t for how, t in runs if how.get("disturb") or how.get("dtype")]
    found.twins = [others[k : k + len(seeds)] for k in range(0, len(others), len(seeds))]
    assert [t.seed for t in found.start] == seeds
    assert all([t.seed for t in twin] == seeds for twin in found.twins)
    return found


def in_words(twins: int, count: int, cut: float) -> str:
    return f"{twins} twins, {count} products, {cut:.1%}"


@dataclass
class _Envelope:
    """The envelopes of a reference with other settings."""

    then: ways.Sketches
    of_tensors: dict[str, Tensor]
    of_losses: Tensor


def _first(sketches: ways.Sketches, count: int) -> ways.Sketches:
    """The first products only, of stacked sketches."""
    return {
        name: torch.cat([each[..., :count], each[..., -1:]], -1) for name, each in sketches.items()
    }


def _envelope(before: Recorded, twins: int, count: int) -> _Envelope:
    key = (twins, count)
    if key not in before.envelopes:
        judged, names = before.reference.judged, list(before.reference.tensors)
        kept = [t for twin in [*before.twins[:twins], *before.twins[TWINS:]] for t in twin]
        then = _first(stacked(before.start, names, judged), count)
        eps = {name: before.start[0].eps[name] for name in names}
        growth = ways.growth(then, _first(stacked(kept, names, judged), count), eps)
        losses = losses_envelope.growth(
            before.reference.losses, judged_losses(kept, judged), max(eps.values())
        )
        before.envelopes[key] = _Envelope(then, growth, losses)
    return before.envelopes[key]


def all_of(now: Sequence[Trace], before: Recorded) -> dict[str, float]:
    """The r of runs, of losses and tensors, with all settings."""
    judged, names = before.reference.judged, list(before.reference.tensors)
    whole, found = stacked(now, names, judged), {}
    for twins, count, cut in VARIANTS:
        envelope = _envelope(before, twins, count)
        with replaced(ways, "WAY_CHAOS", lambda _, cut=cut: cut):
            outside = ways.outside(_first(whole, count), envelope.then, envelope.of_tensors)
        other = replace(before.reference, loss_envelope=envelope.of_losses)
        ratio, calm = loss_ratio(judged_losses(now, judged), other, len(now))
        losses = float(ratio.max()) if calm.any() else 0.0
        found[in_words(twins, count, cut)] = max(outside.largest or 0.0, losses)
    return found
