"""The end of a run of many claims that all pass, in about ten lines for a first reader."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from initcheck.report import formatting, highlights
from initcheck.results import SIDES, ClaimResult, Run

LABEL = 13  # columns of the words on the left
SHOWN = 2  # comparisons that are named as closest to a limit
ODD = 0.01  # a smaller q says that many arms have shifted; it gates nothing


def ending(run: Run, columns: int) -> list[str]:
    """How many claims pass, what is closest to failing, what was left out, where to look next.

    Plain ASCII, in lines of at most ``columns``.
    """
    rows = [
        *(("closest", named) for named in _closest(run.results)),
        ("record", highlights.followed(run.results)),
        *(("skipped", reason) for reason in skipped(run)),
        ("look next", "-v shows every claim; `initcheck explain NAME` says what one claim tests"),
        ("", _page(run)),
    ]
    q = highlights.smallest_q(run.results)
    if q is not None and q < ODD:
        rows += [("advice", line) for line in highlights.advice(run.results)]
    if run.settings.contract:
        label, _, words = run.settings.contract.partition(": ")
        rows.append((label, words))
    return [
        *_wrapped(_counted(run.results), columns, indent=2),
        *(line for label, words in rows if words for line in _row(label, words, columns)),
    ]


def _page(run: Run) -> str:
    """Where the page of this run is, or the option that writes one."""
    if run.settings.html:
        return f"open {run.settings.html} in a browser"
    return "--initcheck-html page.html writes a page with pictures"


def skipped(run: Run) -> Iterator[str]:
    """How many claims were skipped, and the first sentence of each reason."""
    reasons = Counter(claim.reason for claim in run.not_judged if claim.skipped)
    for reason, number in reasons.items():
        first, cut, _ = (reason or "no reason was given").partition(". ")
        rest = "; -rs says what to do" if cut else ""
        yield f"{formatting.counted(number, 'claim')}: {first}{rest}"


def _counted(results: Sequence[ClaimResult]) -> str:
    """The first line: how many claims there are, and how long they took."""
    devices = ", ".join(dict.fromkeys(result.device for result in results))
    mechanisms = len({result.mechanism for result in results})
    seconds = sum(result.seconds for result in results)
    return (
        f"{formatting.counted(len(results), 'claim')} in "
        f"{formatting.counted(mechanisms, 'mechanism')} on {devices}, "
        f"{formatting.counted(sum(len(result.probes) for result in results), 'comparison')}, "
        f"{seconds:.0f} s: all pass"
    )


def _closest(results: Sequence[ClaimResult]) -> Iterator[str]:
    """The comparisons with the least room, of one claim each, with their values and limits."""
    first: dict[str, highlights.Named] = {}
    for named in highlights.closest(results):
        first.setdefault(named[0].claim, named)
    for result, comparison in [*first.values()][:SHOWN]:
        treated, control = (formatting.arm(comparison, side) for side in SIDES)
        yield (
            f"{result.id}: {comparison.title} {treated}, limit "
            f"{formatting.limit(comparison)} {comparison.unit}".rstrip()
            + f", control {control}"
        )


def _row(label: str, words: str, columns: int) -> list[str]:
    first = f"  {label:<{LABEL}}" if len(label) < LABEL else f"  {label}: "
    return _wrapped(first + " ".join(words.split()), columns, indent=LABEL + 2)


def _wrapped(text: str, columns: int, *, indent: int) -> list[str]:
    plain = text.encode("ascii", "backslashreplace").decode()
    return textwrap.wrap(
        plain, columns, subsequent_indent=" " * indent, break_on_hyphens=False
    )  # fmt: skip
