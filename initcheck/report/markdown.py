"""What a pull request shows: a summary for the job's page, and annotations on the run."""

import html
import re
from collections.abc import Iterable, Iterator

from initcheck.report import failure, formatting, highlights, terminal
from initcheck.results import ORDER, ClaimResult, Run, Settings

LIMIT = 1_000_000  # bytes; GitHub drops a step's summary above 1 MiB, and others append to it
ANNOTATIONS = 10  # GitHub shows no more errors of one step
LONGEST = 20_000  # bytes of one failing claim's message
COLUMNS = ("verdict", "claim", "treated", "limit", "control", "margin", "seconds")


def summary(run: Run) -> str:
    """The run as Markdown under 1 MiB: counts, red claims in full, then all claims, worst first.

    What does not fit is left out from the end, and a sentence says how many lines that are.
    """
    ordered = _worst_first(run)
    unfinished = f"**{_escaped(run.unfinished)}**\n\n" if run.unfinished else ""
    details = (_details(one, run.settings) for one in ordered if one.verdict != "pass")
    rows = [row for result in ordered for row in _rows(result)]
    return "".join(
        [
            unfinished,
            f"## initcheck: {terminal.counts(run.results)}\n\n{_surroundings(run)}\n",
            *_fitting(details, "failing claims", LIMIT // 2),
            "\n|" + "|".join(COLUMNS) + "|\n" + "|---" * len(COLUMNS) + "|\n",
            *_fitting(rows, "lines of the table", LIMIT // 3),
        ]
    )


def annotations(run: Run) -> list[str]:
    """At most ten `::error` lines on the claims that are not green, worst first."""
    lines = [f"::error title=initcheck::{_data(run.unfinished)}"] if run.unfinished else []
    lines += [_annotation(result) for result in _worst_first(run) if result.verdict != "pass"]
    if len(lines) > ANNOTATIONS:
        left = len(lines) - ANNOTATIONS + 1
        more = f"::error title=initcheck::{left} more claims are not green; see the summary."
        return [*lines[: ANNOTATIONS - 1], more]
    return lines


def _worst_first(run: Run) -> list[ClaimResult]:
    return sorted(run.results, key=lambda one: -ORDER.index(one.verdict))


def _fitting(blocks: Iterable[str], what: str, limit: int) -> Iterator[str]:
    """The blocks that fit into ``limit`` bytes, and a sentence about the others."""
    left = 0
    for block in blocks:
        limit -= len(block.encode())
        if limit < 0:
            left += 1
        else:
            yield block
    if left:
        yield f"\n{left} {what} are left out here, to stay under 1 MiB: the results file has all.\n"


def _surroundings(run: Run) -> str:
    """The head and the extremes of the run, a line each."""
    lines = [
        *highlights.margins(run.results),
        *highlights.envelope(run.results),
        *highlights.advice(run.results),
    ]
    head = terminal.header(run.environment, run.settings)
    return "".join(f"- {_escaped(line)}\n" for line in [*_unfolded(head), *lines])


def _unfolded(lines: list[str]) -> list[str]:
    return re.sub(r"\n  +", " ", "\n".join(lines)).splitlines()


def _details(result: ClaimResult, settings: Settings) -> str:
    text = result.message or failure.failure(result, settings)
    if len(text.encode()) > LONGEST:
        text = text.encode()[:LONGEST].decode(errors="ignore") + "\n(the rest is left out)"
    head = f"{result.verdict} <code>{html.escape(result.id)}</code>"
    return (
        f"\n<details><summary>{head}</summary>\n\n<pre>\n{html.escape(text)}\n</pre>\n</details>\n"
    )


def _rows(result: ClaimResult) -> Iterator[str]:
    """A row on the claim with its first comparison, and one per further comparison."""
    claim, seconds = _code(result.id), f"{result.seconds:.1f}"
    if not result.probes:
        yield _row([result.verdict, claim, *["-"] * 4, seconds])
    for place, probe in enumerate(result.probes):
        first = place == 0
        yield _row(
            [
                result.verdict if first else probe.verdict,
                claim if first else _escaped(probe.title),
                formatting.arm(probe, "treated"),
                html.escape(formatting.limit(probe)),
                formatting.arm(probe, "control"),
                formatting.margin(probe),
                seconds if first else "",
            ]
        )


def _row(cells: Iterable[str]) -> str:
    return f"|{'|'.join(cells)}|\n"


def _code(text: str) -> str:
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    """Text on one line, escaped for Markdown and HTML."""
    one_line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~#])", r"\\\1", one_line)


def _annotation(result: ClaimResult) -> str:
    why = [f"{probe.title}: {formatting.sentence(probe.reason)}".rstrip() for probe in result.red]
    text = "\n".join(why) or result.message or "Nothing was measured."
    title = f"{result.verdict} {result.id}"
    return f"::error title={_property(title)}::{_data(text[:2000])}"


def _data(text: str) -> str:
    """Text as GitHub's workflow commands require it: one line, percent-encoded."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
