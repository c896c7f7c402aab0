"""A claim's regime in words, generated from its arms and limits, so that it cannot contradict them.

A regime is the experiment that a claim is about: network, optimizer, steps, data and start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from initcheck.baselines.limits import LimitEntry
from initcheck.gate.comparison import Pair
from initcheck.gate.describe import Facts, describe, number

Row = tuple[tuple[str, str], ...]  # some facts, hashable

SECTIONS = (  # of a regime, in their order
    ("activation", "layers", "details", "biases"),
    ("optimizer", "steps"),
    ("batch", "checkpoints"),
    ("dtype",),
    ("data",),
    ("start", "start's biases"),
)
USUAL = ("float32", "with biases")  # left out unless two arms differ in it


def regime(pairs: Sequence[Pair]) -> str:
    """The experiment of a claim: what all arms share, then how the two arms of a pair differ."""
    rows = [(pair, describe(pair.treated), describe(pair.control)) for pair in pairs]
    apart = [key for section in SECTIONS for key in _apart(section, rows)]
    keys = [[key for key in section if key not in apart] for section in SECTIONS]
    shared = [tuple(_only(one, some) for some in keys) for _, one, _ in rows]
    duos = [(pair, _only(one, apart), _only(other, apart)) for pair, one, other in rows]
    parts = [(*some, duo[1:]) for some, duo in zip(shared, duos, strict=True)]
    if math.prod(len(set(part)) for part in zip(*parts, strict=True)) > len(set(parts)):
        return " ".join(_separate(shared, pairs))  # what is shared depends on the arms
    common = [
        _either(rows) for rows, some in zip(zip(*shared, strict=True), keys, strict=True) if some
    ]
    return " ".join([f"{'; '.join(filter(None, common))}.", *(_contrasts(duos) if apart else ())])


def _separate(shared: Sequence[tuple[Row, ...]], pairs: Sequence[Pair]) -> Iterator[str]:
    """One regime for each setting that pairs share, after the names of what they measure."""
    groups: dict[tuple[Row, ...], list[Pair]] = {}
    for some, pair in zip(shared, pairs, strict=True):
        groups.setdefault(some, []).append(pair)
    for group in groups.values():
        names = dict.fromkeys(pair.key.replace("_", " ") for pair in group)
        yield f"For {' and '.join(names)}: {regime(group)}"


def judged(pair: Pair, limit: LimitEntry) -> str:
    """What is measured, in which unit, where each arm must be, and the kind of the limit."""
    name, unit = _probe(pair), limit.unit
    relative = unit.startswith("of ")  # "of the gradient" follows the number
    unitless = pair.form == "rate" or relative or {unit, unit.rstrip("s")} & set(name.split())
    case = f", {pair.case}" if pair.case and pair.case not in name.split() else ""
    sides = _sides(pair.form, limit, f" {unit}" if relative else "")
    return f"{name}{case}{'' if unitless else f' ({unit})'}: {sides} ({limit.kind})"


def _probe(pair: Pair) -> str:
    name = pair.name.replace("_", " ").strip()
    layer = getattr(pair.probe, "keywords", {}).get("layer")
    return f"{name} of {layer}" if layer else name


def _sides(form: str, limit: LimitEntry, unit: str) -> str:
    if form == "rate":
        return f"on at least {number(100 * limit.low)} % of treated seeds, on fewer control seeds"
    if form == "holds":
        return _interval(limit, unit)
    margin = limit.margin or 0.0
    if margin < 0:
        return f"better less than {number(-margin)}{unit} below worse, paired by seed"
    return f"paired gain of better over worse above {number(margin)}{unit}"


def _interval(limit: LimitEntry, unit: str) -> str:
    low, high = f"{number(limit.low)}{unit}", f"{number(limit.high)}{unit}"
    if limit.low == limit.high:
        return f"treated exactly {low}, control not"
    if limit.high == math.inf:
        return f"treated at least {low}, control below"
    if limit.low > -math.inf:
        return f"treated from {number(limit.low)} to {high}, control outside"
    exact = limit.kind == "exact" and limit.high == 0
    return f"treated {'exactly' if exact else 'at most'} {high}, control above"


# --- several experiments in one phrase ------------------------------------------------------------


def _apart(section: Sequence[str], rows: Sequence[tuple[Pair, Facts, Facts]]) -> list[str]:
    """The facts in which paired arms differ, and with them those that vary from pair to pair."""
    apart = [key for key in section if any(one[key] != other[key] for _, one, other in rows)]
    varying = [key for key in section if len({one[key] for _, one, _ in rows}) > 1]
    return [key for key in section if key in apart or (apart and key in varying)]


def _only(facts: Facts, keys: Iterable[str]) -> Row:
    return tuple((key, facts[key]) for key in keys)


def _contrasts(duos: Iterable[tuple[Pair, Row, Row]]) -> Iterator[str]:
    """``Treated: …; control: ….``, with the probes where others have other arms."""
    measured: dict[tuple[bool, str], list[tuple[Row, Row]]] = {}
    for pair, treated, control in duos:
        name = pair.name.replace("_", " ")
        measured.setdefault((pair.form == "gains", name), []).append((treated, control))
    texts: tuple[dict[tuple[str, str], list[str]], ...] = ({}, {})  # of holds and rate, of gains
    for (gains, name), those in measured.items():
        for text in _grouped(those):
            texts[gains].setdefault(text, []).append(f" for {name}")
    for (one, other), found in zip(
        (("Treated", "control"), ("Better", "worse")), texts, strict=True
    ):
        yield from _sentences(one, other, found)


def _sentences(one: str, other: str, found: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    about = [" and".join(names) for names in found.values()]
    about = about if len(set(about)) > 1 else [""] * len(about)
    first = next(iter(found), ("", ""))
    if len(found) == 2 and not any(about) and first[::-1] in found:
        yield f"{one}: {first[0]}; {other}: {first[1]}; and vice versa."
    elif any(about) and len({treated for treated, _ in found}) == 1:
        controls = [f"{other}{n}: {c}" for n, (_, c) in zip(about, found, strict=True)]
        yield f"{one}: {first[0]}; {'; '.join(controls)}."
    else:
        yield from (f"{one}{n}: {t}; {other}: {c}." for n, (t, c) in zip(about, found, strict=True))


def _grouped(duos: Sequence[tuple[Row, Row]]) -> Iterator[tuple[str, str]]:
    """Both sides in words, once for all pairs that share their control, or their treated arms."""
    by_control: dict[Row, list[Row]] = {}
    for treated, control in duos:
        by_control.setdefault(control, []).append(treated)
    by_treated: dict[str, list[Row]] = {}
    for control, those in by_control.items():
        by_treated.setdefault(_either(those, arm=True), []).append(control)
    return ((text, _either(those, arm=True)) for text, those in by_treated.items())


def _either(rows: Sequence[Row], *, arm: bool = False) -> str:
    """All these alternatives, fact by fact where every combination of them occurs."""
    rows = list(dict.fromkeys(rows))
    values = {key: list(dict.fromkeys(dict(row)[key] for row in rows)) for key, _ in rows[0]}
    if math.prod(map(len, values.values())) == len(rows):
        return _phrase({key: _or(those, arm=arm) for key, those in values.items()}, arm=arm)
    groups = min((_same_but(key, rows) for key, those in values.items() if len(those) > 1), key=len)
    return ", or ".join(_either(group, arm=arm) for group in groups)


def _same_but(key: str, rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[Row, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(fact for fact in row if fact[0] != key), []).append(row)
    return list(groups.values())


def _or(values: Sequence[str], *, arm: bool) -> str:
    """``ReLU, ELU or tanh network``: a noun that they all end with appears once."""
    if len(values) == 1:
        return "" if values[0] in USUAL and not arm else values[0]
    listed = [value for value in values if value]
    for noun in (" network", " steps"):
        if all(value.endswith(noun) for value in listed):
            listed = [*(value.removesuffix(noun) for value in listed[:-1]), listed[-1]]
    text = f"{', '.join(listed[:-1])} or {listed[-1]}".removeprefix(" or ")
    return text if "" not in values else f"with or without {text}"


def _phrase(facts: Facts, *, arm: bool) -> str:
    """One experiment, or these facts of it; ``arm``: where it is one side of a pair."""
    noun = facts.get("activation", "" if arm or not facts.get("layers") else "network")
    before = _joined(
        ", ",
        _joined(" ", noun, facts.get("layers")),
        facts.get("details"),
        facts.get("biases"),
        _joined(" for ", facts.get("optimizer"), facts.get("steps")),
        *(facts.get(key) for key in ("batch", "checkpoints", "dtype", "data")),
    )
    start = _joined(" with ", facts.get("start"), facts.get("start's biases"))
    if facts.get("start") and (before or not arm):
        start = f"from {start}"
    return _joined(", " if facts.get("biases") else " ", before, start) or ("plain" if arm else "")


def _joined(by: str, *parts: str | None) -> str:
    return by.join(filter(None, parts))
