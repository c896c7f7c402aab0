"""The failure message: one screen that needs no source reading, numbers first, commands last."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from initcheck.report import formatting, reasons
from initcheck.report.formatting import Record

WIDTH = 99
LABEL = 11
TAIL = 12  # lines kept of a crash
KEPT = "\N{NO-BREAK SPACE}"  # keeps a line together, and is printed as a space
CONTRACT = "false alarms at most 1 % of runs of the suite"


def failure(result: Record, settings: Record) -> str:
    """The whole message on a claim that is not green, under 100 columns, commands last.

    A block for each probe that is not green: what was measured, why the limit is where it is, how
    the arms compare with their evidence. Then how to see it again, and what to do if it is meant.
    """
    red = [probe for probe in result["probes"] if probe["verdict"] != "pass"]
    blocks = [[_headline(result, probe), *_facts(probe, settings)] for probe in red]
    blocks = blocks or [_crash(result)]
    commands = [_command("reproduce", formatting.reproduce(result, settings))]
    meant = [_if_meant(result, probe, settings) for probe in red]
    text = "\n\n".join("\n".join(block) for block in blocks)
    return "\n".join([text, *commands, *dict.fromkeys(filter(None, meant))])


def _measured(probe: Record) -> str:
    """What was measured, beside the limit: both arms by name, with the unit."""
    arms = [_arm(probe, arm) for arm in formatting.ARMS]
    limit = f"limit {formatting.limit(probe)}".replace(" ", KEPT)
    return f"{formatting.title(probe)}: {arms[0]}, {arms[1]}, {limit}"


def _headline(result: Record, probe: Record) -> str:
    parts = [probe["verdict"].upper(), result["id"], probe.get("kind") or result["kind"]]
    if probe.get("stage") == 2 and reasons.confirmed(probe):
        parts.append("(confirmed on fresh seeds)")
    return "  ".join(parts)


def _facts(probe: Record, settings: Record) -> list[str]:
    facts = {
        "measured": _measured(probe),
        "because": " ".join(reasons.sentences(probe)),
        "why": probe.get("why") or "",
        "fault": probe.get("fault") or "",
    }
    lines = [_line(label, text) for label, text in facts.items() if text]
    for place, text in enumerate(_evidence(probe)):
        lines.append(_line("" if place else "evidence", text))
    return [*lines, _line("gate", _gate(probe, settings))]


def _line(label: str, text: str) -> str:
    one = re.sub(r"\s+", " ", text, flags=re.ASCII)  # keeps what is KEPT
    folded = textwrap.wrap(one, WIDTH - LABEL - 2)
    return _labelled(label, [line.replace(KEPT, " ") for line in folded])


def _command(label: str, command: Sequence[str]) -> str:
    """A command that can be copied as it stands: folded between words only."""
    return _labelled(label, formatting.command(command, WIDTH - LABEL - 2))


def _labelled(label: str, lines: Sequence[str]) -> str:
    labels = [label, *[""] * (len(lines) - 1)]
    return "\n".join(f"  {name:<{LABEL}}{line}" for name, line in zip(labels, lines, strict=True))


def _arm(probe: Record, arm: str) -> str:
    if not probe[arm]:
        return f"no {arm} arm"
    name = f" ({probe[f'{arm}_name']})" if probe.get(f"{arm}_name") else ""
    return f"{arm} {formatting.arm(probe, arm)} {probe['unit']}".rstrip() + name


def _evidence(probe: Record) -> Iterator[str]:
    """Each arm's recorded mean and deviation, where they are from, beside the mean now."""
    for arm, drift in reasons.drifts(probe):
        if drift.get("verdict") in reasons.LACKING or drift.get("recorded_mean") is None:
            yield f"{arm}: {drift.get('verdict', 'no evidence')}"
            continue
        now, mean, std = (
            formatting.number(drift.get(key)) for key in ("mean", "recorded_mean", "recorded_std")
        )
        scale = f" in {drift['transform']}" if drift.get("transform") in ("log", "logit") else ""
        origin = f"N = {drift.get('recorded_n', '?')}, {drift.get('environment') or 'unknown'}"
        yield f"{arm} {now} now, was {mean} +- {std}{scale} ({origin})"


def _gate(probe: Record, settings: Record) -> str:
    contract = settings.get("contract") or CONTRACT
    drifts = dict(reasons.drifts(probe))
    shift = drifts.get("treated", {}).get("detectable_shift")
    if shift is None:
        return str(contract)
    return f"{contract}; a shift of {formatting.number(shift)} is seen in 95 % of runs"


def _if_meant(result: Record, probe: Record, settings: Record) -> str | None:
    """What to do if the change is wanted; recording alone never moves a limit."""
    verdict, kind = probe["verdict"], probe.get("kind") or result["kind"]
    limit = f"[{result['claim']}.{probe['probe']}] in {formatting.limits_file(settings)}"
    # evidence is of packaged initializers alone, unbroken, and recording it needs none
    plain = {**settings, "init": (), "fault": None, "require_evidence": False}
    record = formatting.reproduce(result, plain, "--initcheck-record", "why it changed")
    if verdict == "inconclusive":
        more = {**settings, "seeds": 2 * len(probe["treated"])}
        return _command("more seeds", formatting.reproduce(result, more))
    if verdict == "refuted" and kind != "measured":
        return _line(
            "if meant", f"a limit of kind {kind} never moves: mend the code or withdraw the claim"
        )
    if verdict == "refuted":
        move = _line("if meant", f"move {limit}, with its why, then")
        return "\n".join([move, _command("", record)])
    if formatting.limit(probe) == "none":
        return _line("if meant", f"write {limit}: min, max or margin, unit, kind, why, fault")
    lacking = any(drift.get("verdict") in reasons.LACKING for _, drift in reasons.drifts(probe))
    return _command("if meant", record) if verdict == "drifted" or lacking else None


def _crash(result: Record) -> list[str]:
    """The end of what stopped a claim none of whose probes is to blame."""
    tail = str(result.get("message") or "").strip().splitlines()[-TAIL:]
    lines = [folded for line in tail for folded in textwrap.wrap(line, WIDTH - 4)]
    head = f"{result['verdict'].upper()}  {result['id']}  {result['kind']}"
    found = f"{len(result['probes'])} probes, all green; then" if result["probes"] else "nothing"
    return [head, _line("measured", found), *(f"    {line}" for line in lines)]
