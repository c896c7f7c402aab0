"""What a pull request shows: a summary for the job's page, and annotations on the run."""

import html
import re
from collections.abc import Iterable, Iterator

from initcheck.report import about, failure, formatting, highlights, terminal
from initcheck.results import ORDER, ClaimResult, Run, Settings

LIMIT = 1_000_000  # bytes; GitHub drops a step's summary above 1 MiB, and others append to it
ANNOTATIONS = 10  # GitHub shows no more errors of one step
LONGEST = 20_000  # bytes of one failing claim's message
COLUMNS = ("verdict", "claim", "comparison", "treated", "limit", "control", "margin", "r")


def summary(run: Run) -> str:
    """The run as Markdown under 1 MiB: counts, red claims in full, then all claims, worst first.

    What does not fit is left out from the end, and a sentence says how many lines that are.
    """
    ordered = _worst_first(run)
    reservations = about.reservations(run.settings)
    details = (_details(one, run.settings) for one in ordered if one.fails or one.known)
    rows = [row for result in ordered for row in _rows(result)]
    return "".join(
        [
            f"**{_escaped(run.unfinished)}**\n\n" if run.unfinished else "",
            f"## initcheck: {terminal.counts(run.results)}\n\n",
            *(f"**{_escaped(formatting.sentence(note))}**\n\n" for note in reservations),
            f"{_surroundings(run)}\n",
            *_fitting(details, "failing claims", LIMIT // 2),
            "\n|" + "|".join(COLUMNS) + "|\n" + "|---" * len(COLUMNS) + "|\n",
            *_fitting(rows, "lines of the table", LIMIT // 3),
        ]
    )


def annotations(run: Run) -> list[str]:
    """At most ten `::error` lines on the claims that are not green, worst first."""
    lines = [f"::error title=initcheck::{_data(run.unfinished)}"] if run.unfinished else []
    lines += [_annotation(result) for result in _worst_first(run) if result.fails]
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
    """Where and how the run took place, and its extremes, one line each."""
    lines = [
        *highlights.margins(run.results),
        *highlights.envelope(run.results),
        *highlights.advice(run.results),
    ]
    head = terminal.surroundings(run.environment, run.settings)
    return "".join(f"- {_escaped(line)}\n" for line in [*head, *lines])


def _details(result: ClaimResult, settings: Settings) -> str:
    text = result.message or failure.failure(result, settings)
    if len(text.encode()) > LONGEST:
        text = text.encode()[:LONGEST].decode(errors="ignore") + "\n(the rest is left out)"
    known = " (known failure)" if result.known and not result.fails else ""
    head = f"{result.verdict}{known} <code>{html.escape(result.id)}</code>"
    return (
        f"\n<details><summary>{head}</summary>\n\n<pre>\n{html.escape(text)}\n</pre>\n</details>\n"
    )


def _rows(result: ClaimResult) -> Iterator[str]:
    """A row per comparison, each with the claim and its parameters, so that none are identical.

    A claim that made no comparison, or whose verdict no comparison explains, has a row on itself.
    """
    claim = _code(result.id)
    if result.verdict not in {probe.verdict for probe in result.probes}:
        yield _row([result.verdict, claim, *["-"] * (len(COLUMNS) - 2)])
    for probe in result.probes:
        yield _row(
            [
                probe.verdict,
                claim,
                _escaped(probe.title),
                formatting.arm(probe, "treated"),
                html.escape(formatting.limit(probe)),
                formatting.arm(probe, "control"),
                formatting.margin(probe),
                html.escape(formatting.ratios(probe)),
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
