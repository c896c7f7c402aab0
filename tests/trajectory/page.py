"""The page baselines/UNCHANGED.md, from its raw results."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from scipy.stats import binomtest

from initcheck.files.templates import table
from initcheck.trajectory.seeds import FACTOR
from tests.trajectory.faults import FAULTS
from tests.trajectory.innocent import INNOCENT, PROCESSES
from tests.trajectory.measure import EXAMPLES, SETS, STEPS
from tests.trajectory.variants import USUAL, VARIANTS, in_words

Row = Mapping[str, Any]

WRITTEN = "<!-- Written by `nox -s unchanged` from `baselines/unchanged.jsonl`; do not edit. -->"
NAMED = (
    "Of each fault, the cell with the smallest r: that of the loss alone, the first judged step "
    "outside, and the tensor that leaves first."
)
SETTINGS = (
    "What r would be with other numbers of twins and products per tensor, and with another share "
    "of its way by which rounding may move a tensor that is judged. Faults that are seen at once "
    "have no r and are not counted here."
)
AT_ONCE = "`seen at once`: structure, start or first batch differ, so that there is no r."
CELL = (
    "A cell is one change of one loop with one set of seeds. Cells in which the change does not "
    "occur are `-` and are not counted; `?` is not measured yet."
)
_BFLOAT16 = "autocast gives the gradients of matrices in bfloat16 already"
_COARSE = "rounding to bfloat16 makes the envelope wide under autocast"
_EPS = "the output changes by 4.5e-6 / variance of itself, and Adam removes the scale of gradients"
#: Faults that stay unseen, by change and example, and why; "" stands for all examples.
AS_ROUNDING: dict[tuple[str, str], str] = {
    ("decay x .999", ""): "it moves a weight by 3e-7 of itself per step at most; eps is 1.2e-7",
    ("gradients rounded to bfloat16", "amp"): _BFLOAT16,
    ("gradients rounded to float16", "amp"): _BFLOAT16,
    ("Adam's beta2 .99 for .999", "amp"): _COARSE,
    ("Adam's beta1 .899 for .9", "amp"): _COARSE,
    ("AMSGrad for Adam", "amp"): _COARSE,
    ("clipped at 1.001 for 1", "amp"): _COARSE,
    ("GELU's tanh form for the exact one", "amp"): _COARSE,
    ("label smoothing 1e-3 more", "amp"): _COARSE,
    ("LayerNorm's eps 1e-6 for 1e-5", "amp"): _COARSE,
    ("AMSGrad for Adam", ""): "a second moment falls by a thousandth of itself per step at most",
    ("LayerNorm's eps 1e-6 for 1e-5", "mixture"): _EPS,
    ("LayerNorm's eps 1e-6 for 1e-5", "compiled"): _EPS,
}

#: False alarms whose cause is known, by change and example.
ALARMS: dict[tuple[str, str], str] = {}


def reason(change: str, example: str) -> str:
    """Why a fault stays unseen in an example; empty if that is not known."""
    return AS_ROUNDING.get((change, example), AS_ROUNDING.get((change, ""), ""))


def page(rows: Iterable[Row]) -> str:
    """The Markdown page about all results."""
    known = [*FAULTS, *INNOCENT, *PROCESSES, "another torch"]
    rows = list(rows)
    measured = {(row["change"], row["example"]) for row in rows}
    kept = [row for row in rows if row["applies"] and row["change"] in known]
    faults = [row for row in kept if row["change"] in FAULTS]
    innocent = [row for row in kept if row["change"] not in FAULTS]
    sections = [_head(kept), _rates(faults, innocent)]
    if faults:
        sections += [_matrix(faults, min, measured), _named(faults)]
    if innocent:
        sections += [_matrix(innocent, max, measured), _settings(faults, innocent)]
    return "\n".join(line for section in sections for line in section) + "\n"


def _head(rows: Sequence[Row]) -> list[str]:
    versions = sorted({row["torch"] for row in rows if row["change"] != "another torch"})
    machines = sorted({row["machine"] for row in rows})
    seeds = [SETS[number] for number in sorted({row["set"] for row in rows})]
    judged = (
        f"Judged: the loops of [`examples/`](../examples) over {STEPS} steps, with torch "
        f"{', '.join(versions)} on {', '.join(machines)} with one thread, with the seeds "
        f"{' and with '.join(map(str, seeds))}."
    )
    return [
        "# Training loops with changes",
        "",
        WRITTEN,
        "",
        f"{judged} {CELL}",
        "",
    ]


def _caught(row: Row) -> bool:
    return bool(row["verdict"] in {"changed", "refused"})


def _rates(faults: Sequence[Row], innocent: Sequence[Row]) -> list[str]:
    lines = []
    if faults:
        caught = sum(map(_caught, faults))
        low = binomtest(caught, len(faults)).proportion_ci(0.90, "exact").low
        lines.append(
            f"- Faults caught: {caught} of {len(faults)} cells, at least {low:.1%} with 95 % "
            f"confidence; {len({row['change'] for row in faults})} faults."
        )
        alone = sum(_of_loss(row) for row in faults)
        lines.append(
            f"- The loss alone would have caught {alone} of them, with the same factor of "
            f"{FACTOR:g}."
        )
        for row in faults:
            if not _caught(row):
                why = reason(row["change"], row["example"])
                lines.append(
                    f"- Not caught: {row['change']} in {row['example']}, r {_number(row['r'])}"
                    f"{': ' + why if why else ''}."
                )
    if innocent:
        wrong = [row for row in innocent if row["verdict"] != "unchanged"]
        high = binomtest(len(wrong), len(innocent)).proportion_ci(0.90, "exact").high
        largest = max(row["r"] or 0.0 for row in innocent)
        lines.append(
            f"- False alarms: {len(wrong)} of {len(innocent)} cells "
            f"({len({r['change'] for r in innocent})} innocent changes), at most {high:.1%} with "
            f"95 % confidence. The largest r is {_number(largest)}."
        )
        lines += [
            f"- False alarm: {row['change']} in {row['example']}, r {_number(row['r'])}: "
            f"{ALARMS.get((row['change'], row['example']), 'of unknown cause')}."
            for row in wrong
        ]
    return [*lines, *_single(innocent, faults), ""]


def _single(innocent: Sequence[Row], faults: Sequence[Row]) -> Iterator[str]:
    """What single seeds did: lines, none for results of releases that did not note it."""
    for rows, of in ((innocent, "innocent changes"), (faults, "faults")):
        noted = [row for row in rows if row.get("by_seed")]
        if not noted:
            continue
        needed = [row for row in noted if any(e["nearest"] is not None for e in row["by_seed"])]
        changed = [row for row in needed if _caught(row)]
        coarse = [
            row for row in noted
            if row["verdict"] == "unchanged"
            and any(e["coarse"] and (e["r"] is None or e["r"] > e["allowed"])
                    for e in row["by_seed"])
        ]  # fmt: skip
        yield (
            f"- Single seeds, of {of}: in {len(needed)} of {len(noted)} cells the typical seed was "
            f"inside and another one outside. Twins explained it in {len(needed) - len(changed)}; "
            f"in {len(changed)} the seed has changed. In {len(coarse)} more cells a seed was "
            "outside in half precision, where single seeds do not decide."
        )
    seeds = [e for row in faults for e in row.get("by_seed", ()) if not e["coarse"]]
    if seeds:
        far = sum(e["r"] is None or e["r"] > FACTOR for e in seeds)
        yield (
            f"- Were each fault in one seed alone, {far} of {len(seeds)} such seeds would be "
            f"outside of {FACTOR:g} envelopes, without half precision."
        )


def _of_loss(row: Row) -> bool:
    return row["r"] is None or (row["loss_r"] or 0.0) > FACTOR


def _number(r: float | None) -> str:
    if r is None:
        return "seen at once"
    return f"{r:,.0f}" if r >= 100 else f"{r:.2g}"


def _in_order(rows: Sequence[Row]) -> list[str]:
    names = {row["change"] for row in rows}
    return [n for n in [*FAULTS, *INNOCENT, *PROCESSES, "another torch"] if n in names]


def _cells(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["change"], row["example"]), []).append(row)
    return found


def _matrix(rows: Sequence[Row], which: Any, measured: Container[tuple[str, str]]) -> list[str]:
    """The r of each change in each example: the smallest of the sets of seeds, or the largest."""
    cells = _cells(rows)

    def shown(name: str, example: str) -> str:
        there = cells.get((name, example), [])
        values = [row["r"] for row in there if row["r"] is not None]
        if not there:
            return "-" if (name, example) in measured else "?"
        text = _number(which(values)) if values else _number(None)
        wrong = any(_caught(row) != (name in FAULTS) for row in there)
        return f"**{text}**" if wrong else text

    faulty = which is min
    title = "Faults" if faulty else "Innocent changes"
    of = "smallest" if faulty else "largest"
    wrong = "not caught" if faulty else "a false alarm"
    return [
        f"## {title}",
        "",
        f"r, the {of} over the sets of seeds. Bold: {wrong}. {AT_ONCE}",
        "",
        table(
            ("change", *EXAMPLES),
            [(name, *(shown(name, each) for each in EXAMPLES)) for name in _in_order(rows)],
        ),
        "",
    ]


def _named(faults: Sequence[Row]) -> list[str]:
    """What the message about each fault names."""
    return [
        "## What is named",
        "",
        NAMED,
        "",
        table(
            ("fault", "example", "r", "r of the loss", "step", "tensor, or what is said"),
            list(_weakest(faults)),
        ),
        "",
    ]


def _weakest(faults: Sequence[Row]) -> Iterator[tuple[object, ...]]:
    for name in _in_order(faults):
        rows = [row for row in faults if row["change"] == name]
        row = min(rows, key=lambda row: float("inf") if row["r"] is None else row["r"])
        step = "-" if row.get("step") is None else row["step"]
        words = row.get("tensor") or ("the loss" if step != "-" else row["why"])
        loss = "-" if row.get("loss_r") is None else _number(row["loss_r"])
        yield name, row["example"], _number(row["r"]), loss, step, words


def _settings(faults: Sequence[Row], innocent: Sequence[Row]) -> list[str]:
    """The largest innocent r and the faults below ``FACTOR`` with other settings."""

    def values(rows: Sequence[Row], key: str) -> list[float]:
        return [row["by"][key] for row in rows if "by" in row]

    def line(each: tuple[int, int, float]) -> tuple[object, ...]:
        key = in_words(*each)
        found = sorted(values(innocent, key))
        below = [sum(r <= limit for r in values(faults, key)) for limit in (3, 5, FACTOR)]
        above = [sum(r > limit for r in found) for limit in (2, 3, 5)]
        name = f"{key} (as in the tables above)" if each == USUAL else key
        return name, _number(found[-1]), *above, *below

    return [
        "## Twins, products and the cut",
        "",
        SETTINGS,
        "",
        table(
            ("settings", "largest innocent r", "innocent above 2", "above 3", "above 5",
             "faults at 3 or less", "at 5 or less", f"at {FACTOR:g} or less"),
            [line(each) for each in VARIANTS],
        ),
        "",
    ]  # fmt: skip
