"""What a run prints: its surroundings at the head, one line a probe, the extremes at the end."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from initcheck.report import formatting, highlights
from initcheck.report.formatting import Record
from initcheck.results import ORDER

WIDTH = 100
GAP = "  "
COLUMNS = ("device", "treated", "limit", "control", "margin", "r", "seconds", "verdict")
RIGHT = {"margin", "r", "seconds"}
RANGE = 16  # -1e-300..-2e-300 just fits, so some significant digit always does
MARGIN = 11  # -1e-300 dec, likewise


def header(environment: Record, settings: Record, contract: str | None = None) -> list[str]:
    """What ran where and how, for the head of a run; `contract` is the line on false alarms."""
    versions = ("torch", "torchvision", "numpy", "scipy", "python")
    found = [f"{name} {environment[name]}" for name in versions if environment.get(name)]
    seeds = settings.get("seeds") or "as each claim needs"
    precision, threads = environment.get("matmul precision", "?"), environment.get("threads", "?")
    scale, engine = settings.get("scale", "?"), settings.get("engine", "?")
    baselines = settings.get("baselines") or "none"
    lines = [
        f"initcheck: {', '.join([*found, environment.get('platform') or 'unknown platform'])}",
        f"devices: {', '.join(_device(device) for device in environment.get('devices', []))}",
        f"arithmetic: {threads} threads, float32 matrix products {precision}",
        f"settings: scale {scale}, engine {engine}, seeds {seeds}, baselines {baselines}",
    ]
    if settings.get("record"):
        lines.append(f"recording ({settings['record']}): this run fails once, whatever it finds")
    if settings.get("fault"):
        lines.append(f"FAULT {settings['fault']} is seeded: this run must fail")
    return [folded for line in [*lines, contract or ""] for folded in _fold(line)]


def table(results: Record) -> list[str]:
    """One line a probe under a head of column names; at most 100 columns of plain ASCII."""
    rows = [row for result in results["results"] for row in _rows(result)]
    if not rows:
        return ["initcheck: no claim ran"]
    widths = [
        max(len(name), *(len(cells[column]) for _, cells in rows))
        for column, name in enumerate(COLUMNS)
    ]
    room = WIDTH - sum(widths) - len(GAP) * len(widths)
    longest = max(len("claim"), *(len(name) for name, _ in rows))
    first = max(0, min(longest, room))
    lines = [_line("claim", COLUMNS, first, widths)]
    lines.append("-" * len(lines[0]))
    for name, cells in rows:
        if len(name) > first:
            lines.append(name[:WIDTH])
        lines.append(_line(name if len(name) <= first else "", cells, first, widths))
    return lines


def closing(results: Record, contract: str | None = None) -> list[str]:
    """The extremes of a run, the number of each verdict, and what the p-values look like."""
    lines = [
        *highlights.margins(results),
        *highlights.envelope(results),
        f"verdicts: {counts(results)}",
        *highlights.advice(results),
        contract or "",
    ]
    return [folded for line in lines for folded in _fold(line)]


def counts(results: Record) -> str:
    """The number of claims by verdict, from best to worst."""
    found = Counter(result["verdict"] for result in results["results"])
    return ", ".join(f"{found[key]} {key}" for key in ORDER if found[key]) or "no claim ran"


def _fold(line: str) -> list[str]:
    return textwrap.wrap(_ascii(line), WIDTH, subsequent_indent="  ")


def _ascii(text: str) -> str:
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())


def _device(device: Record) -> str:
    hardware = device.get("hardware")
    return f"{device['name']} ({hardware})" if hardware else str(device["name"])


def _rows(result: Record) -> Iterator[tuple[str, list[str]]]:
    """The first column and the others, for each probe; for one line if there is no probe."""
    device, seconds = _ascii(result["device"])[:7], _seconds(result["seconds"])
    for place, probe in enumerate(result["probes"] or [{}]):
        cells = [
            device,
            _fit(partial(formatting.arm, probe, "treated")),
            _fit(partial(formatting.limit, probe)),
            _fit(partial(formatting.arm, probe, "control")),
            _fit(partial(formatting.margin, probe), MARGIN),
            formatting.ratios(probe),
        ]
        if place == 0:
            yield _ascii(result["claim"]), [*cells, seconds, result["verdict"]]
        else:
            yield f"  {_ascii(formatting.title(probe))}", [*cells, "", probe["verdict"]]


def _seconds(took: float) -> str:
    return f"{took:.1f}" if took < 1000 else f"{took:.0f}"


def _fit(write: Callable[[int], str], room: int = RANGE) -> str:
    """`write(digits)` with as many significant digits, three at most, as have room."""
    texts = [write(digits) for digits in (3, 2, 1)]
    fitting = (text for text in texts if len(text) <= room)
    broken = texts[-1].partition(", ")[2]  # what is not finite comes last
    return next(fitting, (broken or texts[-1])[:room])


def _line(first: str, cells: Sequence[str], room: int, widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if name in RIGHT else cell.ljust(width)
        for name, cell, width in zip(COLUMNS, cells, widths, strict=True)
    ]
    return GAP.join([first.ljust(room), *padded]).rstrip()
