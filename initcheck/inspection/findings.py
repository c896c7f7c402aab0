"""What an inspection finds, as typed values and as JSON."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from initcheck.inspection.text import as_lines

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
    """The result of `inspect_model`. Its text is what ``initcheck inspect`` prints, with repairs.

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
        return "\n".join(as_lines(self, detailed=True))

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
