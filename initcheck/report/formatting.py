"""How numbers, ranges, limits and commands are written: the same in every report."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

Record = Mapping[str, Any]
ARMS = ("treated", "control")

#: Unchanged while the distance to the reference is at most this many rounding envelopes.
ENVELOPE_LIMIT = 10

#: What `pytest benchmarks` does when no option is given: such options need no repeating.
DEFAULTS = {"scale": "brief", "engine": "ensemble"}


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


def span(values: Sequence[float], digits: int = 3) -> str:
    """The range `lo..hi` of the finite values; what is not finite is named after it."""
    finite = [value for value in values if math.isfinite(value)]
    broken = [number(value) for value in values if not math.isfinite(value)]
    ends = [number(end, digits) for end in (min(finite), max(finite))] if finite else []
    ranges = ["..".join(dict.fromkeys(ends))] if ends else []
    return ", ".join([*ranges, *dict.fromkeys(broken)]) or "-"


def arm(probe: Record, name: str, digits: int = 3) -> str:
    """An arm's range over its seeds; for a rate, on how many seeds it happened: `9 of 12`."""
    values = probe.get(name) or []
    if values and probe.get("form") == "rate" and set(values) <= {0, 1}:
        return f"{sum(values):g} of {len(values)}"
    return span(values, digits)


def limit(probe: Record, digits: int = 3) -> str:
    """The limit of a probe: `<= 1.2`, `>= 3`, `0.1..0.2`, `= 0`, `gain > 0.02` or `none`."""
    bounds = probe.get("limit") or {}
    low, high, margin = (bounds.get(key) for key in ("min", "max", "margin"))
    if margin is not None:
        return f"gain > {number(margin, digits)}"
    if low is None and high is None:
        return "none"
    if low is None or high is None:
        return f">= {number(low, digits)}" if high is None else f"<= {number(high, digits)}"
    return f"= {number(low, digits)}" if low == high else span([low, high], digits)


def margin(probe: Record, digits: int = 3) -> str:
    """How far the arms are from the limit; `dec` stands for decades."""
    value = probe.get("margin")
    decades = probe.get("margin_unit") == "decades" and value is not None and math.isfinite(value)
    return number(value, digits) + " dec" * decades


def ratios(probe: Record) -> str:
    """How closely treated and control follow their record, in rounding envelopes: `0.2/0`.

    `~0` is less than 0.05, `>10` too far; a dash stands for an arm that is not judged.
    """
    drifts = probe.get("drift") or {}
    return "/".join(_ratio((drifts.get(side) or {}).get("r")) for side in ARMS)


def _ratio(r: float | None) -> str:
    if r is None:
        return "-"
    if not r <= ENVELOPE_LIMIT:  # so is NaN
        return f">{ENVELOPE_LIMIT}"
    return "~0" if 0 < r < 0.05 else f"{round(r, 1):g}"


def title(probe: Record) -> str:
    """The probe's name, with its case where it has one."""
    return f"{probe['probe']} ({probe['case']})" if probe.get("case") else str(probe["probe"])


def inside(value: float, bounds: Record) -> bool:
    """Whether a value lies within `min` and `max`; what is not finite never does."""
    low, high = bounds.get("min"), bounds.get("max")
    return (
        math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    )


def moved(drift: Record) -> float | None:
    """By how many recorded standard deviations an arm's mean has moved; None if not known."""
    mean, recorded, std = (drift.get(key) for key in ("mean", "recorded_mean", "recorded_std"))
    if mean is None or recorded is None or not std:
        return None
    return float((mean - recorded) / std)


def reproduce(result: Record, settings: Record, *more: str) -> list[str]:
    """The words of the command that runs one claim again on its device, and no other claim."""
    # a file from before nodes were kept has none
    where = [result["node"]] if result.get("node") else ["benchmarks", "-k", result["claim"]]
    words = ["pytest", *where, "--initcheck-device", result["device"]]
    for name in ("seeds", "scale", "engine", "data_root", "salt"):
        value = settings.get(name)
        if value not in (None, "", DEFAULTS.get(name)):
            words += [f"--initcheck-{name.replace('_', '-')}", str(value)]
    baselines = _baselines_given(settings)
    if baselines:
        words += ["--initcheck-baselines", str(baselines)]
    for name in settings.get("init") or ():
        words += ["--initcheck-init", str(name)]
    # without these a claim that is red for want of evidence, or under a fault, would be green
    if settings.get("require_evidence"):
        words.append("--initcheck-require-evidence")
    if settings.get("fault"):
        words += ["--initcheck-fault", str(settings["fault"])]
    return [*words, *more]


def _baselines_given(settings: Record) -> str | None:
    """The folder that was asked for; a file that does not say has only the folder in use."""
    if "baselines_given" in settings:
        return settings["baselines_given"]  # type: ignore[no-any-return]
    used = settings.get("baselines")
    return used if used and PurePath(used).name != "baselines" else None


def limits_file(settings: Record) -> str:
    """Where the limits in use stand, as seen from here."""
    folder, here = PurePath(settings.get("baselines") or "baselines"), Path.cwd()
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
