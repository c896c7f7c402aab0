"""The failure message: one screen that needs no source reading, numbers first, commands last."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from initcheck.report import formatting
from initcheck.results import LACKING, SIDES, ClaimResult, Comparison, Settings

WIDTH = 99
LABEL = 11
TAIL = 12  # lines kept of a crash
KEPT = "\N{NO-BREAK SPACE}"  # keeps a line together, and is printed as a space
CONTRACT = "false alarms at most 1 % of runs of the suite"


def failure(result: ClaimResult, settings: Settings) -> str:
    """The message on a claim that is not green, under 100 columns.

    It has a block per comparison that is not green: what was measured, why it is not green, why the
    limit is where it is, and the evidence. Then come how often the gate is wrong, the command that
    reproduces the failure, and what to do if the change is intended.
    """
    blocks = [[_headline(result, probe), *_facts(probe)] for probe in result.red]
    last = [
        *[_line("gate", settings.contract or CONTRACT)] * bool(blocks),
        _command("reproduce", formatting.reproduce(result, settings)),
        *next_steps(result, settings),
    ]
    blocks = blocks or [_crash(result)]
    parts = [*blocks, last] if len(blocks) > 1 else [[*blocks[0], *last]]
    return "\n\n".join("\n".join(part) for part in parts)


def measured(probe: Comparison) -> str:
    """Both arms by name with their ranges and the unit, and the limit."""
    arms = [_arm(probe, side) for side in SIDES]
    limit = f"limit {formatting.limit(probe)}".replace(" ", KEPT)
    name = probe.reference_name
    of = f"{probe.title} from the reference ({name})" if name else probe.title
    return f"{of}: {arms[0]}, {arms[1]}, {limit}"


def _headline(result: ClaimResult, probe: Comparison) -> str:
    parts = [probe.verdict.upper(), result.id, probe.kind]
    if probe.stage == 2 and _confirmed(probe):
        parts.append("(confirmed on fresh seeds)")
    return "  ".join(parts)


def _confirmed(probe: Comparison) -> bool:
    """Whether fresh seeds agreed: they do not decide about NaN, envelopes and starts."""
    drifts = {drift.verdict for _, drift in formatting.drifts(probe)}
    left = drifts & {"left", "changed start", "alike"}
    return probe.verdict != "invalid" and not (probe.verdict == "drifted" and left)


def _facts(probe: Comparison) -> list[str]:
    facts = {
        "measured": measured(probe),
        "because": formatting.sentence(probe.reason),
        "why": probe.why,
        "must catch": probe.fault,
    }
    lines = [_line(label, text) for label, text in facts.items() if text]
    for place, text in enumerate(_evidence(probe)):
        lines.append(_line("" if place else "evidence", text))
    return lines


def _line(label: str, text: str) -> str:
    one = re.sub(r"\s+", " ", text, flags=re.ASCII)  # keeps what is KEPT
    folded = textwrap.wrap(one, WIDTH - LABEL - 2, break_long_words=False, break_on_hyphens=False)
    return _labelled(label, [line.replace(KEPT, " ") for line in folded])


def _command(label: str, command: Sequence[str]) -> str:
    """A command that can be copied: folded between words only."""
    return _labelled(label, formatting.command(command, WIDTH - LABEL - 2))


def _labelled(label: str, lines: Sequence[str]) -> str:
    labels = [label, *[""] * (len(lines) - 1)]
    return "\n".join(f"  {name:<{LABEL}}{line}" for name, line in zip(labels, lines, strict=True))


def _arm(probe: Comparison, side: str) -> str:
    if not probe.values(side):
        return f"no {side} arm"
    name = f" ({probe.name(side)})" if probe.name(side) else ""
    return f"{side} {formatting.arm(probe, side)} {probe.unit}".rstrip() + name


def _evidence(probe: Comparison) -> Iterator[str]:
    """Each arm's mean now, its recorded mean and deviation, and where it was recorded."""
    for side, drift in formatting.drifts(probe):
        if drift.verdict in LACKING or drift.recorded_mean is None:
            yield f"{side}: {drift.verdict}"
            continue
        now, mean, std, seen = map(
            formatting.number,
            (drift.mean, drift.recorded_mean, drift.recorded_std, drift.detectable_shift),
        )
        scaled = drift.transform in ("log", "logit")
        unit = f"on the {drift.transform} scale" if scaled else probe.unit
        origin = f"N = {drift.recorded_n or '?'}, {drift.environment or 'unknown'}"
        detects = f"; a shift of {seen} is detected in 95 % of runs" if seen != "-" else ""
        was = " ".join(filter(None, [f"was {mean} +- {std}", unit]))
        yield f"{side} {now} now, {was} ({origin}){detects}"


def next_steps(result: ClaimResult, settings: Settings) -> Iterator[str]:
    """What to do if the change is intended; recording alone never moves a limit."""
    red = result.red
    for probe in [probe for probe in red if probe.verdict == "inconclusive"][:1]:
        more = formatting.reproduce(result, replace(settings, seeds=2 * len(probe.treated)))
        yield _command("more seeds", more)
    red = [probe for probe in red if probe.verdict != "inconclusive"]
    if settings.fault:  # it is what changed: no limit moves and no evidence is kept for it
        return
    if settings.init and red:  # neither limits nor evidence belong to a custom initializer
        yield _line("next", "change the initializer: no limit moves for it, no evidence is kept")
    elif red:
        yield from _if_meant(result, red, settings)


def _if_meant(result: ClaimResult, red: Sequence[Comparison], settings: Settings) -> Iterator[str]:
    """The limits to write or to move, then the command that records; each at most once."""
    file = formatting.limits_file(settings)
    names = {probe.title: f"[{result.claim}.{probe.probe}]" for probe in red}
    refuted = [probe for probe in red if probe.verdict == "refuted"]
    fixed = sorted({probe.kind for probe in refuted if probe.kind != "measured"})
    if fixed:
        kinds = " and ".join(fixed)
        never = f"a limit of kind {kinds} never moves: fix the code or withdraw the claim"
        yield _line("if meant", never)
        return  # a refuted claim is not recorded
    unlimited = [probe for probe in red if formatting.limit(probe) == "none"]
    for limit in dict.fromkeys(names[probe.title] for probe in unlimited):
        yield _line(
            "if meant", f"write {limit} in {file}: min, max or margin, unit, kind, why, fault"
        )
    # evidence is recorded without a fault, and recording it requires none
    plain = replace(settings, fault=None, require_evidence=False)
    record = formatting.reproduce(result, plain, "--initcheck-record", "why it changed")
    moved = list(dict.fromkeys(names[probe.title] for probe in refuted))
    if moved:
        each = "with its why" if len(moved) == 1 else "each with its why"
        yield _line("if meant", f"move {' and '.join(moved)} in {file}, {each}, then")
    lacking = [probe for probe in red if probe not in unlimited and _lacks_evidence(probe)]
    if moved or lacking:
        yield _command("" if moved else "if meant", record)


def _lacks_evidence(probe: Comparison) -> bool:
    drifts = formatting.drifts(probe)
    return probe.verdict == "drifted" or any(drift.verdict in LACKING for _, drift in drifts)


def _crash(result: ClaimResult) -> list[str]:
    """The message on a claim that an error stopped although no comparison failed.

    It ends with the last lines of that error.
    """
    tail = result.message.strip().splitlines()[-TAIL:]
    lines = [folded for line in tail for folded in textwrap.wrap(line, WIDTH - 4)]
    head = f"{result.verdict.upper()}  {result.id}  {result.kind}"
    done = f"{len(result.probes)} comparisons, all green; then" if result.probes else "nothing"
    return [head, _line("measured", done), *(f"    {line}" for line in lines)]
