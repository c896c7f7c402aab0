"""What a run prints: its environment at the head, and at the end what needs a look."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from initcheck.report import about, formatting, highlights, short
from initcheck.results import ORDER, ClaimResult, Comparison, Environment, Run, Settings, worst

NARROW, USUAL, WIDE = 80, 100, 160  # columns
COLUMNS = ("claim", "treated", "limit", "control", "margin", "r", "verdict")
RIGHT = {COLUMNS.index("margin"), COLUMNS.index("r")}
RANGE, NARROW_RANGE = 16, 12  # columns for a range; in a narrow table it has fewer digits
SHORT = 12  # comparisons that are all shown: leaving some out would save nothing

KNOWN = "known failures:"

Rows = Sequence[tuple[ClaimResult, Sequence[Comparison]]]


def width() -> int:
    """Columns of the terminal, within reason; 100 where there is none."""
    return min(WIDE, max(NARROW, shutil.get_terminal_size((USUAL, 24)).columns))


def header(
    environment: Environment, settings: Settings, contract: str | None = None, columns: int = USUAL
) -> list[str]:
    """The first lines of a run; ``contract`` is the line on false alarms."""
    lines = [*surroundings(environment, settings), *about.reservations(settings), contract or ""]
    return [folded for line in lines for folded in _fold(line, columns)]


def surroundings(environment: Environment, settings: Settings) -> list[str]:
    """Where and how a run takes place, one line each on versions, devices, arithmetic, settings."""
    ours, *named = [
        f"{name} {version}".strip()
        for name in about.VERSIONS
        if (version := getattr(environment, name)) or name == "initcheck"
    ]
    precision = environment.matmul_precision or "?"
    threads = (
        formatting.counted(environment.threads, "thread") if environment.threads else "? threads"
    )
    seeds = f"seeds {settings.seeds or 'as each claim needs'}"
    baselines = f"baselines {settings.baselines or 'none'}"
    drawn = f"{seeds}, salt {settings.salt}" if settings.salt else seeds
    return [
        f"{ours}: {', '.join([*named, environment.platform or 'unknown platform'])}",
        f"devices: {', '.join(map(about.device, environment.devices))}",
        f"arithmetic: {threads}, float32 matrix products {precision}",
        f"settings: scale {settings.scale}, engine {settings.engine}, {drawn}, {baselines}",
    ]


def ending(run: Run, *, verbose: bool = False, columns: int = USUAL) -> list[str]:
    """The end of a run: the table and the lines below it, or ten lines if many claims all pass."""
    if is_short(run, verbose=verbose):
        return short.ending(run, columns)
    return [
        *table(run.results, verbose=verbose, columns=columns),
        *closing(run, verbose=verbose, columns=columns),
    ]


def is_short(run: Run, *, verbose: bool) -> bool:
    """Whether the end of the run names no claim but the closest: there are many, and all pass."""
    green = all(result.verdict == "pass" for result in run.results) and not run.unfinished
    return green and not verbose and _are_many(run.results)


def _are_many(results: Sequence[ClaimResult]) -> bool:
    return sum(len(result.probes) for result in results) > SHORT


def table(
    results: Sequence[ClaimResult], *, verbose: bool = False, columns: int = USUAL
) -> list[str]:
    """The claims that are not green, those closest to their limits, and a line per mechanism.

    Every claim if ``verbose``, or if there are few. Plain ASCII, in lines of at most ``columns``.
    """
    if not results:
        return ["initcheck: no claim ran"]
    lines = [[*COLUMNS]]
    for title, rows in _parts(results, verbose=verbose).items():
        lines += [[title]] * bool(title)
        lines += [
            line for result, comparisons in rows for line in _rows(result, comparisons, columns)
        ]
    aligned = formatting.aligned(lines, right=RIGHT, columns=columns)
    aligned.insert(1, "-" * len(aligned[0]))
    folded = [
        part for line in aligned for part in textwrap.wrap(line, columns, subsequent_indent="    ")
    ]
    return [*folded, "", *mechanisms(results, verbose=verbose or not _are_many(results))]


def _parts(results: Sequence[ClaimResult], *, verbose: bool) -> dict[str, Rows]:
    """What the table shows, by the title of each part."""
    if verbose or not _are_many(results):
        return {"": [(result, result.probes) for result in results]}
    parts: dict[str, Rows] = {
        "not green:": [(result, result.probes) for result in results if result.fails],
        KNOWN: [(one, one.red) for one in results if one.known and not one.fails],
        "closest to their limits:": _by_claim(highlights.closest(results)),
    }
    return {title: rows for title, rows in parts.items() if rows}


def _rows(
    result: ClaimResult, comparisons: Sequence[Comparison], columns: int
) -> Iterator[list[str]]:
    """A line on the claim, and a row of cells per comparison."""
    yield [f"{_ascii(result.id)}  {_seconds(result.seconds)} s  {_word(result)}"]
    room = RANGE if columns >= USUAL else NARROW_RANGE
    for comparison in comparisons:
        yield [
            f"  {_ascii(comparison.title)}",
            _fit(partial(formatting.arm, comparison, "treated"), room),
            _fit(partial(formatting.limit, comparison), room),
            _fit(partial(formatting.arm, comparison, "control"), room),
            formatting.margin(comparison),
            formatting.ratios(comparison),
            comparison.verdict,
        ]


def mechanisms(results: Sequence[ClaimResult], *, verbose: bool = True) -> list[str]:
    """A line per file of claims: how many there are, the time they took, the worst verdict.

    Those that pass are only counted unless ``verbose``.
    """
    by_name: dict[str, list[ClaimResult]] = {}
    for result in results:
        by_name.setdefault(result.mechanism, []).append(result)
    rows = [
        [
            _ascii(name),
            formatting.counted(len(of_name), "claim"),
            formatting.counted(sum(len(result.probes) for result in of_name), "comparison"),
            f"{_seconds(sum(result.seconds for result in of_name))} s",
            _worst(of_name),
        ]
        for name, of_name in by_name.items()
    ]
    shown = [row for row in rows if verbose or row[-1] != "pass"]
    others = len(rows) - len(shown)
    more = [f"{formatting.counted(others, 'other mechanism')}: pass"] if others else []
    return [*(formatting.aligned(shown, right={1, 2, 3}) if shown else ()), *more]


def closing(run: Run, *, verbose: bool = False, columns: int = USUAL) -> list[str]:
    """The lines below the table: the largest r, what to do next, and how many claims passed.

    If ``verbose``, they name the comparisons closest to their limits; else the table shows those.
    """
    lines = [
        *(highlights.margins(run.results) if verbose else ()),
        *highlights.envelope(run.results),
        *highlights.advice(run.results),
        f"verdicts: {counts(run.results)}",
        run.settings.contract or "",
    ]
    return [folded for line in lines for folded in _fold(line, columns)]


def counts(results: Sequence[ClaimResult]) -> str:
    """The number of claims by verdict, from best to worst."""
    counted = Counter(map(_word, results))
    words = [*ORDER, "known failure", "passing but known to fail"]
    return ", ".join(f"{counted[key]} {key}" for key in words if counted[key]) or "no claim ran"


def _word(result: ClaimResult) -> str:
    """The verdict; of a claim that is known to fail, whether it does."""
    if not result.known:
        return result.verdict
    return "passing but known to fail" if result.fails else "known failure"


def _worst(results: Sequence[ClaimResult]) -> str:
    """The worst verdict of a group; known failures count if there is nothing worse."""
    words = [_word(result) for result in results]
    judged = [result.verdict for result in results if not result.known]
    if judged and worst(judged) != "pass":
        return worst(judged)
    return next((word for word in words if word != "pass"), "pass")


def _fold(line: str, columns: int) -> list[str]:
    return formatting.folded(_ascii(line), columns)


def _ascii(text: str) -> str:
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())


def _seconds(took: float) -> str:
    return f"{took:.1f}" if took < 1000 else f"{took:.0f}"


def _by_claim(named: Sequence[highlights.Named]) -> Rows:
    """Comparisons under their claims, each claim once, in the order of appearance."""
    kept: dict[str, tuple[ClaimResult, list[Comparison]]] = {}
    for result, comparison in named:
        kept.setdefault(result.id, (result, []))[1].append(comparison)
    return [*kept.values()]


def _fit(write: Callable[[int], str], room: int) -> str:
    """`write(digits)` with as many significant digits, three at most, as have room."""
    texts = [write(digits) for digits in (3, 2, 1)]
    return next((text for text in texts if len(text) <= room), texts[-1])
