"""An inspection as lines of text: one for each finding, and more of them where that is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from initcheck.inspection.names import few, listed

if TYPE_CHECKING:
    from initcheck.inspection.findings import Finding, Inspection, NotJudged

#: So many lines that wrote the parameters of a finding are printed.
_LINES = 3


def as_lines(inspection: Inspection, *, detailed: bool = False, verbose: bool = False) -> list[str]:
    """The lines that are printed: findings, what was not judged, and how much was judged.

    Args:
        inspection: what was found.
        detailed: print all names, repairs and lines below each finding.
        verbose: the same, and what is allowed.
    """
    detailed = detailed or verbose
    lines = finding_lines(inspection.findings, detailed=detailed)
    if verbose:
        lines += finding_lines(inspection.allowed, detailed=True)
    elif inspection.allowed:
        lines.append(f"allowed  {len(inspection.allowed)} findings, which -v shows")
    lines += _not_judged_lines(inspection.not_judged)
    if not inspection.judged.parameters:
        lines.append("Nothing was judged, so nothing is known about this start.")
    hint = "; -v shows repairs" if any(each.repair for each in inspection.findings) else ""
    return [*lines, judged_line(inspection) + hint * (not detailed)]


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
        what = listed(each.what for each in found if each.what)
        yield f"not judged  {checks}{': ' + what if what else ''}: {why}"


def finding_lines(findings: Iterable[Finding], *, detailed: bool = False) -> list[str]:
    """One line for each finding: severity, check, parameters, and what is wrong.

    Args:
        findings: in the order in which they are printed.
        detailed: print what does not fit below each line: all names, the repair, the lines that
            wrote the parameters, and why the finding is allowed.
    """
    findings = [*findings]
    width = max((len(each.check) for each in findings), default=0)
    lines = []
    for finding in findings:
        names = few(finding.parameters)
        owner = f"({finding.owner}{', written at ' + finding.line if finding.line else ''})"
        what, _, more = _SENTENCE.sub("\n", finding.message, count=1).partition("\n")
        severity = f"allowed {finding.severity}" if finding.allowed else finding.severity
        place = " ".join(filter(None, [names, owner]))
        lines.append(f"{severity}  {finding.check:{width}}  {place}: {what}")
        if detailed:
            every = listed(finding.parameters)
            why = finding.allowed and f"Allowed: {finding.allowed}."
            repair = "" if why else finding.repair
            where = "" if why else _written_at(finding.lines)
            rest = (f"All of them: {every}." if every != names else "", more, why, repair, where)
            lines += [f"      {each}" for each in rest if each]
    return lines


#: The space between two sentences.
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z])")


def _written_at(lines: Iterable[str]) -> str:
    """A sentence about the lines that wrote the parameters, if there are more than one."""
    several = [*dict.fromkeys(filter(None, lines))]
    if len(several) < 2:  # the first is on the finding's own line
        return ""
    more = len(several) - _LINES
    shown = ", ".join(several[:_LINES]) + (f" and {more} more" if more > 0 else "")
    return f"Written last at {shown}."
