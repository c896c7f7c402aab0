"""Why a probe is not green, in sentences made from its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from initcheck.report import formatting
from initcheck.report.formatting import Record

LACKING = ("no evidence", "stale")
STARTS = ("changed start", "alike")
MANY = 6  # seeds listed by name; more are counted

# What the gate says in short, and the words of the sentence that says it with seeds and numbers.
TWICE = (
    ("seeds are outside the limit", "lie outside the limit"),
    ("seeds are on the treated side", "lie inside the limit"),
    ("values are not finite", "are not finite"),
    ("is neither shown nor excluded", "The gain is neither shown nor excluded"),
)


def sentences(probe: Record) -> list[str]:
    """The reason as the gate gave it, then every cause that the numbers show, each said once."""
    causes = list(_BY_VERDICT.get(probe["verdict"], _nothing)(probe))
    shown = " ".join(causes)
    parts = str(probe.get("reason") or "").strip().split("; ")
    once = "; ".join(part for part in parts if not any(a in part and b in shown for a, b in TWICE))
    return [*([_sentence(once)] if once else []), *causes]


def drifts(probe: Record) -> list[tuple[str, Record]]:
    """The arms that were compared with their evidence, each with how it compares."""
    known = probe.get("drift") or {}
    return [(arm, known[arm]) for arm in formatting.ARMS if known.get(arm)]


def confirmed(probe: Record) -> bool:
    """Whether fresh seeds said the same: the envelope has its own, and nothing mends a NaN."""
    left = any(drift.get("verdict") in ("left", *STARTS) for _, drift in drifts(probe))
    return probe["verdict"] != "invalid" and not (probe["verdict"] == "drifted" and left)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "." * (text[-1] not in ".!?")


def _nothing(_: Record) -> Iterator[str]:
    yield from ()


def _seeds(probe: Record, arm: str, wrong: Callable[[float], bool]) -> str | None:
    """How many seeds of an arm are wrong, and which."""
    values = probe[arm]
    seeds = probe.get("seeds") or []
    places = [place for place, value in enumerate(values) if wrong(value)]
    if not places:
        return None
    names = [str(seeds[place]) if place < len(seeds) else f"#{place}" for place in places[:MANY]]
    more = ", ..." if len(places) > MANY else ""
    plural = "s" if len(places) > 1 else ""
    return f"{len(places)} of {len(values)} {arm} seeds (seed{plural} {', '.join(names)}{more})"


def _sides(probe: Record) -> Iterator[str]:
    """Which seeds are on the wrong side of the limit, each arm by itself."""
    bounds = probe.get("limit") or {}
    if probe["form"] != "holds" or formatting.limit(probe) == "none":
        return
    if outside := _seeds(
        probe, "treated", lambda v: math.isfinite(v) and not formatting.inside(v, bounds)
    ):
        yield f"{outside} lie outside the limit."
    if within := _seeds(probe, "control", lambda v: formatting.inside(v, bounds)):
        yield f"{within} lie inside the limit, on the treated side."


def _paired(probe: Record) -> str:
    pairs = list(zip(probe["treated"], probe["control"], strict=False))
    above = sum(treated > control for treated, control in pairs)
    text = f"the treated arm is above the control on {above} of {len(pairs)} seeds"
    p_value = probe.get("p_value")
    return text if p_value is None else f"{text}, p = {formatting.number(p_value)}"


def _refuted(probe: Record) -> Iterator[str]:
    yield from _sides(probe)
    if probe["form"] == "gains":
        yield f"The gain is excluded: {_paired(probe)}."


def _inconclusive(probe: Record) -> Iterator[str]:
    yield f"The gain is neither shown nor excluded: {_paired(probe)}; more seeds would decide."


def _drifted(probe: Record) -> Iterator[str]:
    for arm, drift in drifts(probe):
        if drift.get("verdict") in ("left", "moved"):
            yield f"The {arm} arm {_left(drift)}; {_outcomes(drift)}."


def _left(drift: Record) -> str:
    """How an arm departed from its recorded trajectory, and where first."""
    if drift["verdict"] == "moved":
        return "no longer has its recorded distribution"
    ratio = f"r = {formatting.number(drift.get('r'))}, {formatting.ENVELOPE_LIMIT} allowed"
    step, layer = drift.get("first_step"), drift.get("first_layer")
    where = [f"step {step}"] * (step is not None) + [f"layer {layer}"] * bool(layer)
    first = f", first at {', '.join(where)}" if where else ""
    return f"left its rounding envelope ({ratio}){first}"


def _outcomes(drift: Record) -> str:
    """What a drift amounts to, in recorded standard deviations."""
    moved = formatting.moved(drift)
    if moved is None:
        return "outcomes were not compared"
    allowed = drift.get("allowed")
    distance = abs(drift["mean"] - drift["recorded_mean"])
    near = allowed is not None and distance <= allowed  # ranks may call a further mean unmoved
    if drift["verdict"] != "moved" and (near or drift.get("moved") is False):
        return f"outcomes unmoved ({moved:+.1f} s)"
    return f"outcomes moved by {moved:+.1f} s"


def _invalid(probe: Record) -> Iterator[str]:
    """Why nothing can be concluded: every cause that the numbers show, or evidence that lacks."""
    shown = list(_wrong(probe))
    yield from shown
    for arm, drift in drifts(probe):
        if drift.get("verdict") in LACKING and not shown:
            yield f"The {arm} arm has {_missing(drift)}, and evidence is required."


def _wrong(probe: Record) -> Iterator[str]:
    for arm in formatting.ARMS:
        if broken := _seeds(probe, arm, lambda v: not math.isfinite(v)):
            yield f"{broken} are not finite: {formatting.span(probe[arm])}."
    yield from _sides(probe)
    if formatting.limit(probe) == "none":
        yield "The probe has no limit."


def _missing(drift: Record) -> str:
    stale = drift["verdict"] == "stale"
    return "only evidence that is stale" if stale else "no evidence"


_BY_VERDICT = {
    "refuted": _refuted,
    "inconclusive": _inconclusive,
    "drifted": _drifted,
    "invalid": _invalid,
}
