"""Findings that a person allows, per parameter and check, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from initcheck.inspection.findings import CHECKS, Finding, InspectionError, NotJudged

#: Their findings are about a group as a whole, so all parameters of it must be allowed.
_OF_GROUPS = frozenset({"distinct", "tied"})
#: The name of the whole module, as ``named_modules`` gives it.
WHOLE = ""


@dataclass(frozen=True)
class Exempt:
    """What one check may find about some parameters.

    Attributes:
        pattern: of parameter names, as in ``blocks.*.gate``; ``*`` matches dots, too.
        check: one of `CHECKS`.
        why: the reason, which is shown with what is allowed.
    """

    pattern: str
    check: str
    why: str

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise InspectionError(
                f"The exception {self.pattern!r} names the check {self.check!r}, which does not "
                f"exist. Name one of {', '.join(CHECKS)}."
            )
        if not (self.pattern.strip() and self.why.strip()):
            raise InspectionError(
                f"The exception {self.pattern!r} for {self.check} has no "
                f"{'reason. Say why it is right' if self.pattern.strip() else 'parameter name'}."
            )

    def __str__(self) -> str:
        return f"{self.pattern} {self.check}"

    def covers(self, name: str) -> bool:
        """Whether a parameter's name matches."""
        return fnmatchcase(name, self.pattern)


def exception(text: str) -> Exempt:
    """Read ``PATTERN CHECK REASON``, as in ``blocks.*.gate asleep adaLN-Zero``.

    Raises:
        InspectionError: a part is missing, or there is no such check.
    """
    parts = text.split(maxsplit=2)
    if len(parts) < 3:
        raise InspectionError(
            f"The exception {text!r} is not PATTERN CHECK REASON, as in "
            "'blocks.*.gate asleep adaLN-Zero'."
        )
    return Exempt(*parts)


def exceptions(allow: Iterable[object]) -> tuple[Exempt, ...]:
    """Read exceptions, each a text or a tuple ``(pattern, check, why)``.

    Raises:
        InspectionError: one of them is neither, or names no check.
    """
    if isinstance(allow, str):
        raise InspectionError("Give allow as a list of exceptions, not as one text.")
    found = []
    for each in allow:
        if isinstance(each, str):
            found.append(exception(each))
        elif isinstance(each, (tuple, list)) and len(each) == 3 and all(map(_is_text, each)):
            found.append(Exempt(*each))
        else:
            raise InspectionError(f"The exception {each!r} is not (pattern, check, why).")
    return tuple(dict.fromkeys(found))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def divided(
    findings: Iterable[Finding],
    allow: Sequence[Exempt],
    ran: Sequence[str],
    names: Sequence[str],
) -> tuple[list[Finding], list[Finding], list[NotJudged]]:
    """What remains of the findings, what is allowed, and exceptions that could not be tried.

    A finding about several parameters is divided, unless it is about them as a group. One that
    names no parameter is about the whole module, and the pattern ``*`` covers it. An exception that
    allows nothing, although its check ran, is a finding itself.

    Args:
        findings: of all checks.
        allow: the exceptions.
        ran: the checks that ran.
        names: of all parameters and buffers.
    """
    remaining: list[Finding] = []
    allowed: list[Finding] = []
    used: set[Exempt] = set()
    for finding in findings:
        if not finding.parameters:
            whole = _first(allow, finding.check, WHOLE)
            if whole is None:
                remaining.append(finding)
            else:
                allowed.append(replace(finding, allowed=whole.why))
                used.add(whole)
            continue
        reasons = {name: _first(allow, finding.check, name) for name in finding.parameters}
        if finding.check in _OF_GROUPS and not all(reasons.values()):
            remaining.append(finding)
            continue
        rest = tuple(name for name, each in reasons.items() if each is None)
        if rest:
            remaining.append(finding.about(rest))
        for each in dict.fromkeys(filter(None, reasons.values())):
            mine = tuple(name for name, other in reasons.items() if other == each)
            allowed.append(replace(finding.about(mine), allowed=each.why))
        used |= {
            each for each in allow
            if each.check == finding.check and any(map(each.covers, finding.parameters))
        }  # fmt: skip
    unused = [each for each in allow if each not in used]
    remaining += [_allows_nothing(each, findings, names) for each in unused if each.check in ran]
    untried = [
        NotJudged(each.check, "", f"the exception {str(each)!r} was not tried")
        for each in unused if each.check not in ran
    ]  # fmt: skip
    return remaining, allowed, untried


def _first(allow: Sequence[Exempt], check: str, name: str) -> Exempt | None:
    return next((each for each in allow if each.check == check and each.covers(name)), None)


def _allows_nothing(unused: Exempt, findings: Iterable[Finding], names: Sequence[str]) -> Finding:
    """A finding about an exception without effect."""
    covered = [name for name in names if unused.covers(name)]
    group = [
        each for each in findings
        if each.check == unused.check and any(map(unused.covers, each.parameters))
    ]  # fmt: skip
    if group:
        missing = [name for name in group[0].parameters if not unused.covers(name)]
        message = (
            f"The exception {str(unused)!r} covers a part of a finding about "
            f"{len(group[0].parameters)} parameters, which it cannot divide."
        )
        repair = f"Allow {missing[0]} and all others of the finding, or remove the exception."
    elif covered:
        message = (
            f"The exception {str(unused)!r} allows nothing: {unused.check} finds nothing about "
            f"the {len(covered)} tensors that it names."
        )
        repair = "Remove it."
    else:
        message = f"The exception {str(unused)!r} allows nothing: no parameter has such a name."
        repair = "Correct the name, or remove the exception."
    return Finding(
        check=unused.check, severity="fail", parameters=(unused.pattern,), owner="exception",
        message=message, repair=repair,
    )  # fmt: skip
