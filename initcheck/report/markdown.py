"""What a pull request shows: a summary for the job's page, and annotations on the run."""

import html
import re
from collections.abc import Iterable, Iterator

from initcheck.report import failure, formatting, highlights, reasons, terminal
from initcheck.report.formatting import Record
from initcheck.results import ORDER

LIMIT = 1_000_000  # GitHub drops a step's summary above 1 MiB; the rest is for what others append
ANNOTATIONS = 10  # GitHub shows no more errors of one step
LONGEST = 20_000  # bytes of one failing claim's message
COLUMNS = ("verdict", "claim", "treated", "limit", "control", "margin", "seconds")


def summary(results: Record) -> str:
    """The run as Markdown under 1 MiB: counts, failing claims in full, then all, worst first.

    What does not fit is left out from the end, and a sentence says how many lines that are.
    """
    ordered = _worst_first(results)
    red = [result for result in ordered if result["verdict"] != "pass"]
    settings = results["settings"]
    rows = [row for result in ordered for row in _rows(result)]
    return "".join(
        [
            f"## initcheck: {terminal.counts(results)}\n\n{_surroundings(results)}\n",
            *_fitting((_details(result, settings) for result in red), "failing claims", LIMIT // 2),
            "\n|" + "|".join(COLUMNS) + "|\n" + "|---" * len(COLUMNS) + "|\n",
            *_fitting(rows, "lines of the table", LIMIT // 3),
        ]
    )


def annotations(results: Record) -> list[str]:
    """At most ten `::error` lines for the claims that are not green, worst first."""
    lines = [_annotation(result) for result in _worst_first(results) if result["verdict"] != "pass"]
    if len(lines) > ANNOTATIONS:
        left = len(lines) - ANNOTATIONS + 1
        more = f"::error title=initcheck::{left} more claims are not green; see the summary."
        return [*lines[: ANNOTATIONS - 1], more]
    return lines


def _worst_first(results: Record) -> list[Record]:
    return sorted(results["results"], key=lambda one: -ORDER.index(one["verdict"]))


def _fitting(blocks: Iterable[str], what: str, limit: int) -> Iterator[str]:
    """The blocks that fit into so many bytes, and a sentence about the others."""
    left = 0
    for block in blocks:
        limit -= len(block.encode())
        if limit < 0:
            left += 1
        else:
            yield block
    if left:
        yield f"\n{left} {what} are left out here, to stay under 1 MiB: the results file has all.\n"


def _surroundings(results: Record) -> str:
    """The head and the extremes of the run, a line each."""
    lines = [
        *highlights.margins(results),
        *highlights.envelope(results),
        *highlights.advice(results),
    ]
    head = terminal.header(results["environment"], results["settings"])
    return "".join(f"- {_escaped(line)}\n" for line in [*_unfolded(head), *lines])


def _unfolded(lines: list[str]) -> list[str]:
    return re.sub(r"\n  +", " ", "\n".join(lines)).splitlines()


def _details(result: Record, settings: Record) -> str:
    text = result.get("message") or failure.failure(result, settings)
    if len(text.encode()) > LONGEST:
        text = text.encode()[:LONGEST].decode(errors="ignore") + "\n(the rest is left out)"
    head = f"{result['verdict']} <code>{html.escape(result['id'])}</code>"
    return (
        f"\n<details><summary>{head}</summary>\n\n<pre>\n{html.escape(text)}\n</pre>\n</details>\n"
    )


def _rows(result: Record) -> Iterator[str]:
    for place, probe in enumerate(result["probes"] or [{}]):
        first = place == 0
        cells = [
            result["verdict"] if first else probe["verdict"],
            _code(result["id"]) if first else _escaped(formatting.title(probe)),
            formatting.arm(probe, "treated"),
            html.escape(formatting.limit(probe)),
            formatting.arm(probe, "control"),
            formatting.margin(probe),
            f"{result['seconds']:.1f}" if first else "",
        ]
        yield f"|{'|'.join(cells)}|\n"


def _code(text: str) -> str:
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    one_line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~#])", r"\\\1", one_line)


def _annotation(result: Record) -> str:
    red = [probe for probe in result["probes"] if probe["verdict"] != "pass"]
    why = [" ".join([f"{formatting.title(p)}:", *reasons.sentences(p)]) for p in red]
    text = "\n".join(why) or result.get("message") or "Nothing was measured."
    title = f"{result['verdict']} {result['id']}"
    return f"::error title={_property(title)}::{_data(text[:2000])}"


def _data(text: str) -> str:
    """Text as GitHub's workflow commands want it: one line, percent-encoded."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
