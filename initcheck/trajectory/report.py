"""What a check or a recording of a loop tells: as lines, and as JSON."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from initcheck.files import write_atomic
from initcheck.trajectory.compare import Comparison
from initcheck.trajectory.reference import Reference
from initcheck.trajectory.seeds import FACTOR, OfSeed

SCHEMA = 1
_WIDTH, _INDENT = 100, 13
_MOST_TENSORS = 5


@dataclass(frozen=True)
class Report:
    """The outcome of `unchanged`.

    Attributes:
        name: what the loop is called.
        verdict: ``unchanged``, ``changed``, ``undecided`` or ``recorded``.
        comparison: of the runs with the reference; of a second run, if it was recorded.
        reference: what was compared with, or recorded.
        file: where the reference is.
        environment: this machine.
        where: where the first step differs first, in a sentence; empty if the loop is unchanged.
        command: records the loop again; empty if it cannot be recorded as it is.
    """

    name: str
    verdict: str
    comparison: Comparison
    reference: Reference
    file: Path
    environment: Mapping[str, str | int]
    where: str
    command: str

    @property
    def ok(self) -> bool:
        """Whether the loop is unchanged."""
        return self.verdict == "unchanged"

    @property
    def r(self) -> float | None:
        """The largest distance of the typical seed in envelopes; None if nothing was judged."""
        return self.comparison.r

    @property
    def loss_r(self) -> float | None:
        """The losses' own distance in envelopes."""
        return self.comparison.loss_r

    @property
    def first_step(self) -> int | None:
        """The first judged step outside the envelope."""
        return self.comparison.first_step

    @property
    def tensor(self) -> str:
        """The tensor that left first; empty for the loss."""
        return self.comparison.tensor

    @property
    def seeds(self) -> tuple[OfSeed, ...]:
        """How far each seed is from its own record; empty if nothing was judged."""
        return self.comparison.seeds

    @property
    def place(self) -> str:
        """The reference's file, from the working directory on if it is below."""
        here = Path.cwd()
        return str(self.file.relative_to(here) if self.file.is_relative_to(here) else self.file)

    def lines(self, *, verbose: bool = False) -> list[str]:
        """The report as text, without colours."""
        head = self.verdict.upper() if self.verdict in {"changed", "undecided"} else self.verdict
        rows = [(head, self.name), *self._body(verbose=verbose)]
        return [line for name, text in rows for line in _row(name, text)]

    def _body(self, *, verbose: bool) -> list[tuple[str, str]]:
        comparison, reference = self.comparison, self.reference
        if self.verdict == "recorded":
            return [
                ("file", self.place),
                ("runs", _runs(reference)),
                *([("float64", f"no twin: {reference.float64}")] if reference.float64 else []),
                *([("repeats", _repeats(reference))] if reference.repeats else []),
                ("judged", _judged(comparison, reference)),
                *(("in training", each) for each in comparison.course),
                ("next", "review and commit the file; then run the same without recording"),
            ]
        rows = [("what", comparison.why)]
        if comparison.tensors is not None:
            seeds = self._of_seeds(everything=verbose)
            alone = (self.r or 0.0) <= FACTOR and any(each.left for each in self.seeds)
            rows.append(("r", _r(comparison) + ", of the typical seed" * (alone or verbose)))
            rows += [("seed", each) for each in seeds]
        if self.verdict == "changed" and comparison.tensors is not None:
            rows += [("outside", each) for each in self._farthest()]
        if self.where:
            rows.append(("loss alone" if comparison.loss_alone else "first step", self.where))
        rows += [("optimizer", each) for each in comparison.notes]
        rows += [("machine", each) for each in self._machine()]
        rows.append(("reference", f"{self.place}: {_runs(reference)}, {reference.reason!r}"))
        if reference.name != self.name:
            rows.append(("recorded as", reference.name))
        if comparison.tensors is not None and (verbose or comparison.not_judged):
            rows.append(("judged", _judged(comparison, reference)))
        if verbose:
            rows += [("tensor", each) for each in self._all()]
        if not self.ok and self.command:
            rows.append(("if meant", self.command))
        return rows

    def _of_seeds(self, *, everything: bool) -> list[str]:
        """What to say about single seeds: about each, or about those that rounding explains."""
        return [
            each.text for each in self.seeds
            if everything or (each.left and not each.changed)
        ]  # fmt: skip

    def _farthest(self) -> list[str]:
        """The tensors outside at the first step outside, farthest first."""
        found, step = self.comparison.tensors, self.comparison.first_step
        if found is None or step is None:
            return []
        if (self.r or 0.0) <= FACTOR:  # the typical seed follows its record
            return [
                line for each in self.seeds if each.changed
                for line in _outside(each.outside, f"step {each.first_step} with seed {each.seed}")
            ]  # fmt: skip
        column = found.r[:, self.reference.judged.index(step)]
        order = column.argsort(descending=True).tolist()
        return _outside(
            [(found.names[k], float(column[k])) for k in order if column[k] > FACTOR],
            f"step {step}",
        )

    def _all(self) -> list[str]:
        found = self.comparison.tensors
        if found is None:
            return []
        largest = found.r.amax(1).tolist()
        return [
            f"{name} {r:.3g}" if judged else f"{name} not judged"
            for name, r, judged in zip(found.names, largest, found.judged.any(1), strict=True)
        ]

    def _machine(self) -> list[str]:
        """What differs between this machine and the recording's."""
        now, then = self.environment, self.reference.environment
        return [
            f"{key}: {now.get(key)} now, {then.get(key)} then"
            for key in dict.fromkeys([*then, *now])
            if now.get(key) != then.get(key)
        ]

    def as_json(self) -> dict[str, Any]:
        """The report as plain data; infinities are null."""
        comparison, found = self.comparison, self.comparison.tensors
        return {
            "schema": SCHEMA, "name": self.name, "verdict": self.verdict,
            "why": comparison.why, "r": _finite(comparison.r), "allowed": FACTOR,
            "loss_r": _finite(comparison.loss_r), "first_step": comparison.first_step,
            "tensor": comparison.tensor or None,
            "by_seed": [each.as_json() for each in comparison.seeds], "where": self.where or None,
            "loss_alone": comparison.loss_alone, "notes": comparison.notes,
            "not_judged": list(comparison.not_judged),
            "steps": self.reference.judged, "seeds": self.reference.seeds,
            "losses": None if comparison.losses is None
            else [_finite(each) for each in comparison.losses.tolist()],
            "tensors": {} if found is None else {
                name: [_finite(each) for each in row.tolist()]
                for name, row in zip(found.names, found.r, strict=True)
            },
            "environment": {
                "initcheck": metadata.version("initcheck"), "python": platform.python_version(),
                "platform": platform.platform(), **self.environment,
            },
            "reference": {
                "file": self.place, "reason": self.reference.reason,
                "date": self.reference.date, "environment": self.reference.environment,
            },
        }  # fmt: skip

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        write_atomic(path, json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n")


def _row(name: str, text: str) -> list[str]:
    if name == "if meant":  # a command, which a line break would cut
        return [f"{name:<{_INDENT - 2}}  {text}"]
    first, *rest = textwrap.wrap(
        text, _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False
    ) or [""]
    return [f"{name:<{_INDENT - 2}}  {first}", *(" " * _INDENT + each for each in rest)]


def _outside(tensors: Sequence[tuple[str, float]], where: str) -> list[str]:
    """Lines about tensors and their distances, farthest first."""
    shown = [f"{name} by {r:.3g} at {where}" for name, r in tensors[:_MOST_TENSORS]]
    more = len(tensors) - len(shown)
    return [*shown, *([f"and {more} more"] if more else [])]


def _runs(reference: Reference) -> str:
    environment = reference.environment
    return (
        f"{_counted(len(reference.seeds), 'seed')}, {_counted(reference.steps, 'step')}, "
        f"{_counted(reference.twins, 'twin')} each; "
        f"recorded on {reference.date} with torch {environment['torch']} on "
        f"{environment['device type']}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _r(comparison: Comparison) -> str:
    def shown(r: float | None) -> str:
        return "not judged" if r is None else f"{r:.3g}"

    return f"{shown(comparison.r)} envelopes, the loss alone {shown(comparison.loss_r)}"


def _judged(comparison: Comparison, reference: Reference) -> str:
    left = comparison.not_judged
    said = f"{len(reference.tensors) - len(left)} of {len(reference.tensors)} tensors"
    if not left:
        return said
    names = ", ".join(left[:_MOST_TENSORS])
    more = f" and {len(left) - _MOST_TENSORS} more" if len(left) > _MOST_TENSORS else ""
    return f"{said}; rounding alone moves {names}{more} by more than 3 % of the way at every step"


def _repeats(reference: Reference) -> str:
    return (
        f"a second run with one seed has other bits in {reference.repeats:.0%} of losses and "
        "tensors, so this device rounds differently each time, or the seed misses a generator; the "
        "envelope contains it, and is the wider for it"
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and torch.tensor(value).isfinite() else None
