"""How numbers, ranges, limits, tables and commands are written, the same in every report."""

from __future__ import annotations

import math
import re
import shlex
import textwrap
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePath

from initcheck.results import ARMS, ENVELOPE_LIMIT, SIDES, ClaimResult, Comparison, Drift, Settings

#: What `pytest benchmarks` does without options: these values are left out of commands.
DEFAULTS = {"activation": "relu", "scale": "brief", "engine": "ensemble"}


def number(value: float | None, digits: int = 3) -> str:
    """A number in so many significant digits; integers below a million in full."""
    if value is None:
        return "-"
    if math.isnan(value):
        return "NaN"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    rounded = f"{float(f'{value:.{digits}g}'):g}"
    return re.sub(r"e([+-])0*(\d)", lambda e: "e" + e[1].replace("+", "") + e[2], rounded)


def counted(count: int, thing: str) -> str:
    """A count with its noun: ``1 claim``, ``2 claims``."""
    return f"{count} {thing}{'s' * (count != 1)}"


def span(values: Sequence[float], digits: int = 3) -> str:
    """The range `lo..hi` of the finite values, followed by what is not finite."""
    finite = [value for value in values if math.isfinite(value)]
    broken = [number(value) for value in values if not math.isfinite(value)]
    ends = [number(end, digits) for end in (min(finite), max(finite))] if finite else []
    ranges = ["..".join(dict.fromkeys(ends))] if ends else []
    return ", ".join([*ranges, *dict.fromkeys(broken)]) or "-"


def arm(comparison: Comparison, side: str, digits: int = 3) -> str:
    """An arm's range over its seeds; for a rate, the number of seeds that succeed: `9 of 12`."""
    values = comparison.values(side)
    if values and comparison.form == "rate" and set(values) <= {0, 1}:
        return f"{sum(values):g} of {len(values)}"
    return span(values, digits)


def limit(comparison: Comparison, digits: int = 3) -> str:
    """The limit of a comparison: `<= 1.2`, `>= 3`, `0.1..0.2`, `= 0`, `gain > 0.02` or `none`."""
    low, high, margin = (comparison.limit.get(key) for key in ("min", "max", "margin"))
    if margin is not None:
        return f"gain > {number(margin, digits)}"
    if low is None and high is None:
        return "none"
    if low is None or high is None:
        return f">= {number(low, digits)}" if high is None else f"<= {number(high, digits)}"
    return f"= {number(low, digits)}" if low == high else span([low, high], digits)


def margin(comparison: Comparison, digits: int = 3) -> str:
    """The number that decides: the distance to the limit, or the p-value of a gain.

    The distance is in the probe's unit, in decades (`2.9 dec`), or for a rate in `seeds`.
    """
    if comparison.form == "gains":
        p = comparison.p_value
        return "-" if p is None else f"p {number(p, digits)}"
    value = comparison.margin
    if value is None or not math.isfinite(value):
        return number(value, digits)
    unit = " seeds" if comparison.form == "rate" else ""
    return number(value, digits) + (" dec" if comparison.margin_unit == "decades" else unit)


def ratios(comparison: Comparison) -> str:
    """How far treated and control are from their record, in rounding envelopes: `0.2/0`.

    A reference is a third number.
    `~0` is less than 0.05, `>10` is too far, and a dash is an arm that is not judged.
    """
    sides = ARMS if comparison.reference_name else SIDES
    drifts = (comparison.drift.get(side) for side in sides)
    return "/".join(_ratio(drift.r if drift else None) for drift in drifts)


def _ratio(r: float | None) -> str:
    if r is None:
        return "-"
    if not r <= ENVELOPE_LIMIT:  # NaN too
        return f">{ENVELOPE_LIMIT}"
    return "~0" if 0 < r < 0.05 else f"{round(r, 1):g}"


def drifts(comparison: Comparison) -> list[tuple[str, Drift]]:
    """The sides that were compared with their evidence, each with its drift."""
    return [(side, comparison.drift[side]) for side in ARMS if side in comparison.drift]


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + "." * (text[-1:] not in (*".!?", ""))


def sentences(reason: str) -> str:
    """A reason as sentences: one on the comparison, and one on each arm."""
    return re.sub(r"; the (treated|control|reference) arm ", r". The \1 arm ", sentence(reason))


def folded(line: str, columns: int, *, break_words: bool = True) -> list[str]:
    """The line in parts of at most ``columns``, indented from the second one on.

    Paths are not broken at their hyphens; only a word that is longer than a line is broken, if
    ``break_words``.
    """
    return textwrap.wrap(
        line, columns, subsequent_indent="  ", break_on_hyphens=False, break_long_words=break_words
    )


def aligned(
    rows: Sequence[Sequence[str]], *, right: Collection[int] = (), columns: int = 10_000
) -> list[str]:
    """Rows of cells as lines with aligned columns, two spaces apart.

    Args:
        rows: of equal length, except those of one cell, which are lines of their own.
        right: numbers of the columns that are aligned to the right.
        columns: width of the table. The first column is made narrower to fit: a cell that is too
            long for it gets a separate line above the rest of its row.
    """
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    widths[:1] = [max(0, min(widths[0], columns - sum(width + 2 for width in widths[1:])))]
    lines = []
    for first, *others in rows:
        alone = not others or len(first) > widths[0]
        lines += [first] * alone
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip([first, *others], widths, strict=False))
        ]
        cells[:1] = [" " * widths[0]] if alone else cells[:1]
        lines += ["  ".join(cells).rstrip()] * bool(others)
    return lines


def reproduce(result: ClaimResult, settings: Settings, *more: str) -> list[str]:
    """The words of the command that runs this claim again on its device, and no other claim."""
    words = ["pytest", _test(result)]
    if result.device != "none":  # as it is if the claim was stopped before it had a device
        words += ["--initcheck-device", result.device]
    for name in ("seeds", "scale", "engine", "data_root", "salt", "activation"):
        value = getattr(settings, name)
        if value not in (None, "", DEFAULTS.get(name)):
            words += [f"--initcheck-{name.replace('_', '-')}", str(value)]
    if settings.baselines_given:
        words += ["--initcheck-baselines", settings.baselines_given]
    for name in settings.init:
        words += ["--initcheck-init", name]
    # Without these, a claim that is red for lack of evidence, or under a fault, would be green.
    if settings.require_evidence:
        words.append("--initcheck-require-evidence")
    if settings.fault:
        words += ["--initcheck-fault", settings.fault]
    return [*words, *more]


def _test(result: ClaimResult) -> str:
    """The claim's test with its parameters, as pytest names it: the device is its last one."""
    parametrized = result.name != result.claim
    return f"{result.node}[{result.id.partition('[')[2]}" if parametrized else result.node


def limits_file(settings: Settings) -> str:
    """The path of the limits in use, relative to the current folder if they are below it."""
    folder, here = PurePath(settings.baselines or "baselines"), Path.cwd()
    near = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return str(near / "limits.toml")


def command(line: Iterable[str], width: int = 10_000) -> list[str]:
    """Words quoted for a shell, folded with backslashes before an option."""
    parts: list[str] = []
    for word in map(shlex.quote, line):
        if parts and not word.startswith("-"):  # an option keeps its value
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    lines = parts[:1]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 3 > width:  # 3: a space and a space with a backslash
            lines[-1] += " \\"
            lines.append(f"  {part}")
        else:
            lines[-1] += f" {part}"
    return lines
