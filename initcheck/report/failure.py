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
    limit is where it is, and the evidence. Then come the command that reproduces it, and what to do
    if the change is intended.
    """
    blocks = [[_headline(result, probe), *_facts(probe, settings)] for probe in result.red]
    blocks = blocks or [_crash(result)]
    commands = [_command("reproduce", formatting.reproduce(result, settings))]
    # if a fault is seeded, it is what changed: no limit moves and no evidence is kept for it
    seen = [p for p in result.red if p.verdict == "inconclusive" or not settings.fault]
    meant = [_if_meant(result, probe, settings) for probe in seen]
    text = "\n\n".join("\n".join(block) for block in blocks)
    return "\n".join([text, *commands, *dict.fromkeys(filter(None, meant))])


def _measured(probe: Comparison) -> str:
    """Both arms by name with their ranges and the unit, and the limit."""
    arms = [_arm(probe, side) for side in SIDES]
    limit = f"limit {formatting.limit(probe)}".replace(" ", KEPT)
    return f"{probe.title}: {arms[0]}, {arms[1]}, {limit}"


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


def _facts(probe: Comparison, settings: Settings) -> list[str]:
    facts = {
        "measured": _measured(probe),
        "because": formatting.sentence(probe.reason),
        "why": probe.why,
        "fault": probe.fault,
    }
    lines = [_line(label, text) for label, text in facts.items() if text]
    for place, text in enumerate(_evidence(probe)):
        lines.append(_line("" if place else "evidence", text))
    return [*lines, _line("gate", _gate(probe, settings))]


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
        now, mean, std = map(
            formatting.number, (drift.mean, drift.recorded_mean, drift.recorded_std)
        )
        scale = f" in {drift.transform}" if drift.transform in ("log", "logit") else ""
        origin = f"N = {drift.recorded_n or '?'}, {drift.environment or 'unknown'}"
        yield f"{side} {now} now, was {mean} +- {std}{scale} ({origin})"


def _gate(probe: Comparison, settings: Settings) -> str:
    contract = settings.contract or CONTRACT
    treated = probe.drift.get("treated")
    if treated is None or treated.detectable_shift is None:
        return contract
    shift = formatting.number(treated.detectable_shift)
    return f"{contract}; a shift of {shift} is detected in 95 % of runs"


def _if_meant(result: ClaimResult, probe: Comparison, settings: Settings) -> str | None:
    """What to do if the change is intended; recording alone never moves a limit."""
    limit = f"[{result.claim}.{probe.probe}] in {formatting.limits_file(settings)}"
    if probe.verdict == "inconclusive":
        more = formatting.reproduce(result, replace(settings, seeds=2 * len(probe.treated)))
        return _command("more seeds", more)
    if settings.init:  # neither limits nor evidence belong to a custom initializer
        return _line("next", "change the initializer: no limit moves for it, no evidence is kept")
    plain = replace(settings, require_evidence=False)  # recording requires none
    record = formatting.reproduce(result, plain, "--initcheck-record", "why it changed")
    if probe.verdict == "refuted" and probe.kind != "measured":
        never = f"a limit of kind {probe.kind} never moves: fix the code or withdraw the claim"
        return _line("if meant", never)
    if probe.verdict == "refuted":
        move = _line("if meant", f"move {limit}, with its why, then")
        return "\n".join([move, _command("", record)])
    if formatting.limit(probe) == "none":
        return _line("if meant", f"write {limit}: min, max or margin, unit, kind, why, fault")
    lacking = any(drift.verdict in LACKING for _, drift in formatting.drifts(probe))
    return _command("if meant", record) if probe.verdict == "drifted" or lacking else None


def _crash(result: ClaimResult) -> list[str]:
    """The end of what stopped a claim whose comparisons are all green."""
    tail = result.message.strip().splitlines()[-TAIL:]
    lines = [folded for line in tail for folded in textwrap.wrap(line, WIDTH - 4)]
    head = f"{result.verdict.upper()}  {result.id}  {result.kind}"
    done = f"{len(result.probes)} comparisons, all green; then" if result.probes else "nothing"
    return [head, _line("measured", done), *(f"    {line}" for line in lines)]
