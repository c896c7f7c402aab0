"""What an inspection finds, as typed values, as text and as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1

Severity = Literal["fail", "warn", "note"]
SEVERITIES: tuple[Severity, ...] = ("fail", "warn", "note")  # worst first

#: In the order in which they run and are printed.
CHECKS = (
    "written",
    "rebuilt",
    "distinct",
    "asleep",
    "effect",
    "tied",
    "units",
    "scale",
    "signal",
    "start_loss",
    "outliers",
    "dtype",
    "first_gradient",
    "recorded_start",
)
#: So many lines that wrote the parameters of a finding are printed.
_LINES = 3
#: These compute a loss, so they need a batch.
NEED_BATCH = ("asleep", "signal", "start_loss", "first_gradient")


class InspectionError(Exception):
    """The module cannot be inspected. The message is a sentence that says why and what to do."""


class SameModuleError(InspectionError):
    """A build function returned one module twice, so nothing can be compared."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something about the start of some parameters.

    Attributes:
        check: one of `CHECKS`.
        severity: ``fail`` is certainly wrong, ``warn`` is usually wrong, ``note`` is information.
        parameters: their names, as ``named_parameters`` gives them.
        owner: the class of the module that owns them.
        message: what was found, with the number.
        repair: the cheapest repair.
        value: the number in the message, if one decides.
        line: the last line that wrote the first parameter, as ``file.py:12``.
        lines: the same for each parameter; empty if ``line`` is where all of them went wrong.
        allowed: why it is allowed; empty if it is not.
    """

    check: str
    severity: Severity
    parameters: tuple[str, ...]
    owner: str
    message: str
    repair: str = ""
    value: float | None = None
    line: str = ""
    lines: tuple[str, ...] = ()
    allowed: str = ""

    def about(self, names: Collection[str]) -> Finding:
        """The same finding about some of its parameters."""
        places = [place for place, name in enumerate(self.parameters) if name in names]
        lines = tuple(self.lines[place] for place in places) if self.lines else ()
        parameters = tuple(self.parameters[place] for place in places)
        return replace(self, parameters=parameters, lines=lines, line=(lines or (self.line,))[0])


@dataclass(frozen=True)
class NotJudged:
    """Something that a check did not judge, and why.

    Attributes:
        check: one of `CHECKS`, or ``all``.
        what: the parameter; empty for all.
        requested: whether it was asked for and could have been judged; then the inspection is
            not ok, as if a batch cannot be used, a second build raises or memory runs out.
    """

    check: str
    what: str
    why: str
    requested: bool = False


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How much was judged."""

    parameters: int
    of_parameters: int
    buffers: int
    seeds: int
    checks: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Inspection:
    """The result of `inspect_model`. Its text is what ``initcheck inspect`` prints.

    Attributes:
        name: of the module's build function.
        findings: sorted from the worst to the mildest, without those that are allowed.
        allowed: findings that exceptions allow, with the reasons.
        judged: how much was judged.
        not_judged: what was not, and why.
        wakes: for each trainable parameter, the first training step (from 1) at which its gradient
            is not exactly zero; None if there is no such step. Empty without a batch.
        tensors: one row for each parameter and buffer: name, owner, shape, dtype, kind, line, and
            of check ``scale`` std, law and gain; None where they are not known.
        layers: one row for each layer with parameters; see `initcheck.inspection.layers`.
    """

    name: str
    findings: tuple[Finding, ...]
    judged: Judged
    allowed: tuple[Finding, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
    wakes: dict[str, int | None] = field(default_factory=dict)
    tensors: tuple[dict[str, Any], ...] = ()
    layers: tuple[dict[str, Any], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether something was judged, all that was asked for, and nothing failed."""
        refused = any(each.requested for each in self.not_judged)
        return self.judged.parameters > 0 and not refused and not self.of_severity("fail")

    def of_severity(self, *severities: Severity) -> tuple[Finding, ...]:
        """The findings of these severities."""
        return tuple(each for each in self.findings if each.severity in severities)

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each parameter and buffer, with the step at which it wakes."""
        import pandas as pd  # noqa: PLC0415 -- slow to import, and seldom asked for

        rows = [row | {"wakes": self.wakes.get(row["name"])} for row in self.tensors]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        return "\n".join(as_lines(self))

    __repr__ = __str__  # what pytest shows for `assert found.ok, found`

    def as_json(self, environment: dict[str, Any]) -> dict[str, Any]:
        """The content of the JSON file."""
        return {
            "schema": SCHEMA,
            "model": self.name,
            "environment": environment,
            "judged": asdict(self.judged),
            "not_judged": [asdict(each) for each in self.not_judged],
            "findings": [asdict(each) for each in self.findings],
            "allowed": [asdict(each) for each in self.allowed],
            "wakes": self.wakes,
            "tensors": [*self.tensors],
        }


# --- text -----------------------------------------------------------------------------------------


def as_lines(inspection: Inspection, *, verbose: bool = False) -> list[str]:
    """The lines that are printed: findings, what was not judged, and how much was judged.

    Args:
        inspection: what was found.
        verbose: print what is allowed, too.
    """
    lines = finding_lines(inspection.findings)
    if verbose:
        lines += finding_lines(inspection.allowed)
    elif inspection.allowed:
        lines.append(f"allowed  {len(inspection.allowed)} findings, which -v shows")
    lines += _not_judged_lines(inspection.not_judged)
    if not inspection.judged.parameters:
        lines.append("Nothing was judged, so nothing is known about this start.")
    return [*lines, judged_line(inspection)]


def judged_line(inspection: Inspection) -> str:
    """How much was judged."""
    judged = inspection.judged
    return (
        f"judged {judged.parameters} of {judged.of_parameters} parameters, "
        f"{judged.buffers} buffers, {judged.seeds} seeds, {judged.seconds:.1f} s"
    )


def _not_judged_lines(several: Iterable[NotJudged]) -> Iterator[str]:
    """One line for each reason, and for each check if it names tensors."""
    for (check, why), group in groupby(several, lambda each: (each.what and each.check, each.why)):
        found = [*group]
        checks = check or ", ".join(dict.fromkeys(each.check for each in found))
        what = ", ".join(grouped([each.what for each in found if each.what]))
        yield f"not judged  {checks}{': ' + what if what else ''}: {why}"


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """Two or three lines for each finding: which parameters, what is wrong, how to repair it."""
    lines = []
    for finding in findings:
        names = ", ".join(grouped(finding.parameters)) + "  " * bool(finding.parameters)
        severity = f"allowed {finding.severity}" if finding.allowed else finding.severity
        lines.append(f"{severity}  {finding.check}  {names}({finding.owner})")
        lines.append(f"      {finding.message}")
        if finding.allowed:
            lines.append(f"      Allowed: {finding.allowed}.")
            continue
        where = _written_at(finding.lines or (finding.line,))
        if finding.repair or where:
            lines.append(f"      {' '.join(filter(None, [finding.repair, where]))}")
    return lines


def _written_at(lines: Iterable[str]) -> str:
    several = [*dict.fromkeys(filter(None, lines))]
    more = len(several) - _LINES
    shown = ", ".join(several[:_LINES]) + (f" and {more} more" if more > 0 else "")
    return f"Written last at {shown}." if shown else ""


def grouped(names: Iterable[str]) -> list[str]:
    """Names that differ in their numbers alone as one: ``blocks.0-11.mlp.weight``.

    A group stands for every combination of its numbers; other names stay as they are.
    """
    by_pattern: dict[tuple[str, ...], list[tuple[int, ...]]] = {}
    for name in dict.fromkeys(names):
        parts = [part for part in re.split(r"((?<![A-Za-z\d])\d+(?=[._]|$))", name) if part]
        pattern = tuple("#" if part.isdecimal() else part for part in parts)
        by_pattern.setdefault(pattern, []).append(tuple(int(p) for p in parts if p.isdecimal()))
    return [name for pattern, found in by_pattern.items() for name in _grouped(pattern, found)]


def _grouped(pattern: tuple[str, ...], found: Sequence[tuple[int, ...]]) -> list[str]:
    """As few names as this finds, each of which stands for every combination of its numbers."""
    columns = [sorted(set(column)) for column in zip(*found, strict=True)]
    if math.prod(map(len, columns)) == len(found):
        return [_filled(pattern, [_ranges(column) for column in columns])]
    splits = [split for place in range(len(columns)) if len(split := _alike(found, place)) > 1]
    if not splits:
        return [_filled(pattern, [*map(str, numbers)]) for numbers in found]
    return [name for part in min(splits, key=len) for name in _grouped(pattern, part)]


def _alike(found: Sequence[tuple[int, ...]], place: int) -> list[list[tuple[int, ...]]]:
    """The numbers, apart where one at this place occurs with other numbers at the other places."""
    rests: dict[int, set[tuple[int, ...]]] = {}
    for numbers in found:
        rest = numbers[:place] + numbers[place + 1 :]
        rests.setdefault(numbers[place], set()).add(rest)
    parts: dict[frozenset[tuple[int, ...]], list[tuple[int, ...]]] = {}
    for numbers in found:
        parts.setdefault(frozenset(rests[numbers[place]]), []).append(numbers)
    return [*parts.values()]


def _filled(pattern: tuple[str, ...], numbers: Sequence[str]) -> str:
    rest = iter(numbers)
    return "".join(next(rest) if part == "#" else part for part in pattern)


def _ranges(numbers: Sequence[int]) -> str:
    """``0-2,5`` for 0, 1, 2 and 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
