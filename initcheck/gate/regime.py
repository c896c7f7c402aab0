"""A claim's regime in words: the network, optimizer, steps, data and start that it is about.

The words are generated from the claim's arms and limits, so they cannot contradict them. They leave
out what is usual: float32, biases, and images in their own size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from initcheck.baselines.limits import LimitEntry
from initcheck.gate.alternatives import other_options, with_alternatives
from initcheck.gate.comparison import Pair
from initcheck.gate.describe import Facts, describe, number

Row = tuple[tuple[str, str], ...]  # some facts of an arm, hashable

SECTIONS = (  # the facts of a regime in their order; sections are separated by semicolons
    ("activation", "layers", "details", "biases"),
    ("optimizer", "steps"),
    ("batch", "checkpoints"),
    ("dtype",),
    ("data",),
    ("start", "start's biases"),
)
USUAL = ("float32", "with biases")  # left out unless the arms of a pair differ in it


def regime(pairs: Sequence[Pair]) -> str:
    """The experiment of a claim: the facts that all arms share, then how compared arms differ."""
    rows = [(pair, describe(pair.treated), describe(pair.control)) for pair in pairs]
    with_references = rows + [
        (pair, treated, describe(pair.reference))
        for pair, treated, _ in rows if pair.reference is not None
    ]  # fmt: skip
    differing = [k for section in SECTIONS for k in _keys_that_differ(section, with_references)]
    sections = [[key for key in section if key not in differing] for section in SECTIONS]
    shared = [tuple(_only(treated, keys) for keys in sections) for _, treated, _ in rows]
    contrasts = [
        (pair, _only(treated, differing), _only(control, differing))
        for pair, treated, control in rows
    ]
    parts = [(*row, contrast[1:]) for row, contrast in zip(shared, contrasts, strict=True)]
    if math.prod(len(set(part)) for part in zip(*parts, strict=True)) > len(set(parts)):
        return " ".join(_one_by_one(shared, pairs))  # not every combination occurs
    common = [
        _either(alternatives)
        for alternatives, keys in zip(zip(*shared, strict=True), sections, strict=True)
        if keys
    ]
    first = f"{'; '.join(filter(None, common))}."
    references = [_only(facts, differing) for _, _, facts in with_references[len(rows) :]]
    last = [f"Reference: {_either(references, arm=True)}."] if references and differing else []
    return " ".join([first, *(_contrasts(contrasts) if differing else ()), *last])


def _one_by_one(shared: Sequence[tuple[Row, ...]], pairs: Sequence[Pair]) -> Iterator[str]:
    """A regime for each set of shared facts, after the names of what is measured there."""
    groups: dict[tuple[Row, ...], list[Pair]] = {}
    for facts, pair in zip(shared, pairs, strict=True):
        groups.setdefault(facts, []).append(pair)
    about = [" and ".join(dict.fromkeys(pair.key.replace("_", " ") for pair in group))
             for group in groups.values()]  # fmt: skip
    for name, group in zip(about, groups.values(), strict=True):
        yield regime(group) if len(set(about)) == 1 else f"For {name}: {regime(group)}"


def judged(pair: Pair, limit: LimitEntry) -> str:
    """A comparison in words: the probe, its unit, where each arm must be, and the limit's kind."""
    name, unit = _probe(pair), limit.unit
    relative = unit.startswith("of ")  # such as "of the gradient", which follows the number
    unitless = pair.form == "rate" or relative or {unit, unit.rstrip("s")} & set(name.split())
    case = f", {pair.case}" if pair.case and pair.case not in name.split() else ""
    sides = _sides(pair.form, limit, f" {unit}" if relative else "")
    of = " from the reference" if pair.reference else ""
    return f"{name}{of}{case}{'' if unitless else f' ({unit})'}: {sides} ({limit.kind})"


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


# --- how arms differ ------------------------------------------------------------------------------


def _keys_that_differ(
    section: Sequence[str], rows: Sequence[tuple[Pair, Facts, Facts]]
) -> list[str]:
    """The facts in which the arms of a pair differ, and with them those that vary between pairs.

    Biases that both arms of each pair share are left out: they need not be said for each arm.
    """
    within = [key for key in section if any(one[key] != other[key] for _, one, other in rows)]
    between = [key for key in section if len({one[key] for _, one, _ in rows}) > 1]
    between = [key for key in between if key != "start's biases"]
    return [key for key in section if key in within or (within and key in between)]


def _only(facts: Facts, keys: Iterable[str]) -> Row:
    return tuple((key, facts[key]) for key in keys)


Texts = Mapping[tuple[str, str], Sequence[str]]  # what is measured, by the two arms in words


def _contrasts(contrasts: Iterable[tuple[Pair, Row, Row]]) -> Iterator[str]:
    """``Treated: …; control: ….`` for holds and rate, then ``Better: …; worse: ….`` for gains.

    Names of probes are added if not all probes compare the same arms.
    """
    by_probe: dict[tuple[bool, str], list[tuple[Row, Row]]] = {}
    for pair, treated, control in contrasts:
        name = pair.name.replace("_", " ")
        by_probe.setdefault((pair.form == "gains", name), []).append((treated, control))
    texts: tuple[dict[tuple[str, str], list[str]], ...] = ({}, {})
    for (gains, name), rows in by_probe.items():
        for text in _grouped(rows):
            texts[gains].setdefault(text, []).append(f" for {name}")
    holds, gains_texts = texts
    yield from _sentences("Treated", "control", holds)
    yield from _sentences("Better", "worse", _referring(gains_texts, holds))


def _referring(gains: Texts, holds: Texts) -> Texts:
    """The texts of gains with ``treated`` and ``control`` for the arms described under holds."""
    words = {}
    for side, texts in (("control", {c for _, c in holds}), ("treated", {t for t, _ in holds})):
        if len(texts) == 1:
            words[texts.pop()] = side
    return {
        (words.get(better, better), words.get(worse, worse)): names
        for (better, worse), names in gains.items()
    }


def _sentences(one: str, other: str, texts: Texts) -> Iterator[str]:
    """The sentences about all pairs of texts; ``one`` and ``other`` name their sides."""
    about = [" and".join(names) for names in texts.values()]
    about = about if len(set(about)) > 1 else [""] * len(about)
    shown = [(first, _shortened(first, second)) for first, second in texts]
    if len(texts) == 2 and not any(about) and shown[0][::-1] in texts:
        yield f"{one}: {shown[0][0]}; {other}: {shown[0][1]}; and vice versa."
    elif any(about) and len({first for first, _ in texts}) == 1:
        seconds = [f"{second}{name}" for name, (_, second) in zip(about, shown, strict=True)]
        yield f"{one}: {shown[0][0]}; {other}: {'; '.join(seconds)}."
    else:
        by_name: dict[str, list[tuple[str, str]]] = {}
        for name, pair in zip(about, shown, strict=True):
            by_name.setdefault(name, []).append(pair)
        yield from (_sentence(one, other, name, group) for name, group in by_name.items())


def _sentence(one: str, other: str, about: str, pairs: Sequence[tuple[str, str]]) -> str:
    if len(pairs) == 1:
        return f"{one}{about}: {pairs[0][0]}; {other}: {pairs[0][1]}."
    firsts, seconds = zip(*pairs, strict=True)
    if len({*seconds}) == 1 and seconds[0].startswith("the same"):
        return f"{one}{about}: {_or(firsts, arm=True)}; {other}: {seconds[0]}."
    listed = "; ".join(f"{first} vs {second}" for first, second in pairs)
    return f"{one} vs {other}{about}: {listed}."


def _shortened(first: str, second: str) -> str:
    """The second text without what it repeats of the first."""
    if second.startswith((f"{first} but ", f"{first} x ")):
        return second.replace(first, "the same", 1)
    network, _, start = second.partition(" from ")
    if start and first.endswith(f" from {start}"):
        return f"{network} from the same start"
    options = other_options(first.rpartition(" from ")[2], start or second)
    if not options:
        return second
    return f"{network} from the same but {options}" if start else f"the same but {options}"


def _grouped(rows: Sequence[tuple[Row, Row]]) -> Iterator[tuple[str, str]]:
    """Texts on the treated and the control side, one pair of texts per group of pairs.

    A group has one control and several treated arms, or one set of treated arms and several
    controls.
    """
    by_control: dict[Row, list[Row]] = {}
    for treated, control in rows:
        by_control.setdefault(control, []).append(treated)
    by_treated: dict[str, list[Row]] = {}
    for control, treated_rows in by_control.items():
        by_treated.setdefault(_either(treated_rows, arm=True), []).append(control)
    return ((text, _either(controls, arm=True)) for text, controls in by_treated.items())


# --- alternatives in one phrase -------------------------------------------------------------------


def _either(rows: Sequence[Row], *, arm: bool = False) -> str:
    """All alternatives in words; ``arm``: they describe one side of a pair.

    If every combination of facts occurs, each fact is written once with its alternatives.
    """
    rows = list(dict.fromkeys(rows))
    values = {key: list(dict.fromkeys(dict(row)[key] for row in rows)) for key, _ in rows[0]}
    if math.prod(map(len, values.values())) == len(rows):
        return _phrase({key: _or(texts, arm=arm) for key, texts in values.items()}, arm=arm)
    groups = min(
        (_grouped_without(key, rows) for key, texts in values.items() if len(texts) > 1), key=len
    )
    return ", or ".join(_either(group, arm=arm) for group in groups)


def _grouped_without(key: str, rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in groups that differ in this fact only."""
    groups: dict[Row, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(fact for fact in row if fact[0] != key), []).append(row)
    return list(groups.values())


def _or(values: Sequence[str], *, arm: bool) -> str:
    """``ReLU, ELU or tanh network``: a noun that ends every value is written once."""
    if len(values) == 1:
        return "" if values[0] in USUAL and not arm else values[0]
    listed = [value for value in values if value]
    for noun in (" network", " steps"):
        if all(value.endswith(noun) for value in listed):
            listed = [*(value.removesuffix(noun) for value in listed[:-1]), listed[-1]]
    listed = with_alternatives(listed)
    text = f"{', '.join(listed[:-1])} or {listed[-1]}".removeprefix(" or ")
    return text if "" not in values else f"with or without {text}"


def _phrase(facts: Facts, *, arm: bool) -> str:
    """Some facts of an experiment in words; ``arm``: they describe one side of a pair."""
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
