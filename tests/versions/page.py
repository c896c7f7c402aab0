"""The page baselines/VERSIONS.md, from the measurements of all pairs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from initcheck.files.templates import table
from initcheck.results import ENVELOPE_LIMIT, ORDER
from tests.versions.environment import Pair
from tests.versions.page_apart import red_claims, sections
from tests.versions.streams import change

Measured = Mapping[str, Any]
HEAD = (
    "torch", "torchvision", "Python", "claims", "pass", "other verdicts", "largest r",
    "of", "arms with another start", "seconds", "of processor", "commit",
)  # fmt: skip

NOTE = (
    "Seconds include the start of Python; the machine had other work. The speed claim is left "
    "out, and so are claims that need other data sets. Evidence is required: an arm that no longer "
    "starts as recorded, and whose outcomes cannot be compared, is `invalid`."
)


#: Modules in which something may be found in one process and not in the next, with any release.
CHANCE = {
    "AttentionVector": "It holds whatever was in memory, so this differs between processes.",
    "NumbersOfNumpy": "It draws from numpy's unseeded numbers, so this differs between processes.",
}


def page(folder: Path) -> str:
    """The Markdown page about the measurements in a folder."""
    pairs = read(folder)
    gates = [(name, pair["gate"]) for name, pair in pairs if "verdicts" in pair.get("gate", {})]
    lines = [
        "# Torch releases",
        "",
        "<!-- Written by `nox -s matrix` from `baselines/versions/`; do not edit. -->",
        "",
        _summary(gates),
        "",
        table(HEAD, [_row(name, pair) for name, pair in pairs if "gate" in pair]),
        "",
        NOTE,
        "",
        *_section("Not green", list(red_claims(gates))),
        *_section("Skipped", list(_skipped(gates))),
        *sections(folder, max((len(gate["verdicts"]) for _, gate in gates), default=0)),
        *_section("Random streams", _streams(pairs)),
        *_section("Examples of `inspect`", list(_inspected(pairs))),
        *_section("Examples of `unchanged`", _followed(pairs)),
        *_section("Not measured", list(_errors(pairs))),
    ]
    return "\n".join(lines).rstrip() + "\n"


def read(folder: Path) -> list[tuple[str, Measured]]:
    """All measurements with a short name, newest torch first."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("torch-*.json")]
    files.sort(key=lambda each: _pair(each).place, reverse=True)
    pythons = {each["python"] for each in files}
    return [
        (each["torch"] + f", {each['python']}" * (len(pythons) > 1), each) for each in files
    ]  # fmt: skip


def _pair(each: Measured) -> Pair:
    return Pair(each["torch"], each["torchvision"], each["python"])


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(lines or ["None."]), ""]


def _summary(gates: Sequence[tuple[str, Measured]]) -> str:
    platforms = sorted({gate["platform"] for _, gate in gates})
    green = sum(not gate["red"] and not gate["not_judged"] for _, gate in gates)
    farthest = max((arm["r"] for _, gate in gates for arm in gate["farthest"]), default=0.0)
    return (
        f"The gate ran with {len(gates)} environments, {green} of them with nothing but `pass`, on "
        f"the CPU ({'; '.join(platforms) or '-'}). The largest r of all is {farthest:.3g}, where "
        f"{ENVELOPE_LIMIT} are allowed. What is not green is explained in "
        "[found in libraries](../docs/found.md)."
    )


def _row(name: str, pair: Measured) -> tuple[object, ...]:
    gate = pair["gate"]
    start = (pair["torch"], pair["torchvision"], pair["python"])
    if "verdicts" not in gate:
        return (*start, "-", "-", gate.get("error", "-"), *["-"] * 5, gate["commit"])
    count = Counter(gate["verdicts"].values())
    others = [f"{count[verdict]} {verdict}" for verdict in ORDER[1:] if count[verdict]]
    others += [f"{len(gate['not_judged'])} not judged"] * bool(gate["not_judged"])
    arm = gate["farthest"][0] if gate["farthest"] else None
    where = f"{arm['claim']}: {arm['arm']}" if arm else "-"
    where += f", {arm['tensor']}" if arm and arm["tensor"] else ""
    return (
        *start, len(gate["verdicts"]), count["pass"], ", ".join(others) or "-",
        f"{arm['r']:.3g}" if arm else "-", where, len(gate["other_starts"]), gate["seconds"],
        gate["processor"], gate["commit"],
    )  # fmt: skip


def _skipped(gates: Sequence[tuple[str, Measured]]) -> Iterator[str]:
    """Each claim that ran with some releases only: it skips itself where torch lacks something."""
    for claim in sorted({claim for _, gate in gates for claim in gate["verdicts"]}):
        without = [
            name for name, gate in gates
            if claim not in {*gate["verdicts"], *(each["id"] for each in gate["not_judged"])}
        ]  # fmt: skip
        if without:
            yield f"- `{claim}`: not with {'; '.join(without)}."


def _streams(pairs: Sequence[tuple[str, Measured]]) -> list[str]:
    """The draws that differ from those of the newest torch."""
    drawn = [(name, pair["examples"]["streams"]) for name, pair in pairs if _has(pair, "streams")]
    if not drawn:
        return []
    (newest, reference), *others = drawn
    rows = []
    for draw, new in reference.items():
        cells = [change(old.get(draw, {"error": ""}), new) for _, old in others]
        if any(cells):
            rows.append((f"`{draw}`", *(cell or "same" for cell in cells)))
    same = (
        f"{len(reference) - len(rows)} of {len(reference)} draws have the same bits in all "
        f"{len(drawn)} environments. Compared with torch {newest}:"
    )
    if not rows:
        return [same.partition(" Compared")[0]]
    return [same, "", table(("draw", *(name for name, _ in others)), rows)]


def _has(pair: Measured, key: str) -> bool:
    return key in pair.get("examples", {})


def _inspected(pairs: Sequence[tuple[str, Measured]]) -> Iterator[str]:
    for name, pair in pairs:
        if not _has(pair, "inspected"):
            continue
        judged = pair["examples"]["inspected"]
        wrong = [each for each in judged if not each["ok"]]
        yield f"- torch {name}: {len(judged) - len(wrong)} of {len(judged)} as expected."
        for each in wrong:
            what = each.get("error") or (
                f"expected {_or_nothing(each['expected'])}, found {_or_nothing(each['found'])}"
            )
            yield f"    - {each['name']}: {what}"
    yield from _varied(pairs)


def _varied(pairs: Sequence[tuple[str, Measured]]) -> Iterator[str]:
    """Each module in which something else than the expected was found with some releases only."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, pair in pairs:
        for each in pair.get("examples", {}).get("inspected", []):
            if each["ok"]:
                found.setdefault(each["name"], {})[name] = each["found"]
    for module, releases in sorted(found.items()):
        always = set.intersection(*map(set, releases.values()))
        also = {name: sorted({*words} - always) for name, words in releases.items()}
        where = "; ".join(
            f"{', '.join(words)} with {name}" for name, words in also.items() if words
        )
        if where:
            yield f"- `{module}`: also {where}. {CHANCE.get(module, 'Not explained.')}"


def _or_nothing(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _followed(pairs: Sequence[tuple[str, Measured]]) -> list[str]:
    """The distance of each example with each release, and why one is not unchanged."""
    ran = [(name, pair["examples"]["followed"]) for name, pair in pairs if _has(pair, "followed")]
    if not ran:
        return []
    recorded = sorted({each["reference"] for _, all_of in ran for each in all_of
                       if "reference" in each})  # fmt: skip
    rows = [(name, *(_distance(each) for each in all_of)) for name, all_of in ran]
    notes = [
        f"- torch {name}, {each['name']}: {each['verdict']}. {each['why']}"
        for name, all_of in ran for each in all_of if each["verdict"] != "unchanged"
    ]  # fmt: skip
    head = ("torch", *(each["name"] for each in ran[0][1]))
    note = (
        f"r of each loop against references recorded with torch {', '.join(recorded)}; "
        f"{ENVELOPE_LIMIT} are allowed. A loop whose start or data are others has no r."
    )
    return [
        note, "", table(head, rows), *[""] * bool(notes), *notes,
    ]  # fmt: skip


def _distance(each: Measured) -> str:
    return each["verdict"] if each.get("r") is None else f"{each['r']:.2g}"


def _errors(pairs: Sequence[tuple[str, Measured]]) -> Iterator[str]:
    for name, pair in pairs:
        parts = {part: pair.get(part, {}).get("error") for part in ("gate", "examples")}
        for what, error in {"": pair.get("error"), **parts}.items():
            if error:
                yield f"- torch {name}{', ' * bool(what)}{what}: {error}"
