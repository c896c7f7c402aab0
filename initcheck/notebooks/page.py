"""REPRODUCTION.md: every recorded figure, ours, and for each that deviates the reason and proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from initcheck.files import write_atomic
from initcheck.notebooks.compare import VERDICTS, Comparison, Reason, compare, read_reasons
from initcheck.notebooks.figures import (
    Recorded,
    Run,
    by_configuration,
    read_recorded,
    read_runs,
)
from initcheck.notebooks.protocols import CONFIGURATIONS, Configuration

DATA = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar10-jpeg": "CIFAR-10 as JPEG files of quality 75 (ImageFolder)",
}

HEAD = """# Reproduction

The notebooks' own protocols at full scale, and what they recorded beside what we got. Written by
`python -m initcheck.notebooks` from `recorded.csv`, `reasons.toml` and `reproduced/`; do not
edit. Losses are in nats, accuracies are shares; training figures are the running means of an
epoch, as the notebooks print them. `[low, high]` spans our seeds.

A recorded figure counts as one more draw of ours. It *deviates* where it lies outside the 99 %
interval for a further draw (Student's, from the spread between our seeds of the same notebook and
optimizer, losses by logarithm and accuracies by logit) by more than its last digit. About one
figure in a hundred does so by chance, and the epochs of one run go together. Where fewer than
three seeds give no spread, it is *not judged*, and the deviation stands for itself. *Not reached*
are epochs beyond those of our runs, *not measured* what cannot be had again."""


@dataclass(frozen=True)
class Material:
    """All that the page is made of."""

    recorded: Sequence[Recorded]
    runs: Mapping[str, list[Run]]
    configurations: Sequence[Configuration]
    reasons: Sequence[Reason] = ()
    absent: Mapping[str, str] = field(default_factory=dict)


def write(baselines: Path) -> Path:
    """Write the page from the files of a ``baselines/`` folder.

    Raises:
        ValueError: the folder has no raw runs.
    """
    recorded = read_recorded(baselines / "recorded.csv")
    if not (baselines / "reproduced").is_dir():
        raise ValueError(
            f"{baselines / 'reproduced'} does not exist, so there are no runs to write a page "
            "from. Raw runs are kept in the project's checkout and are not part of a wheel. Run "
            "this in a checkout, or leave out --report to make new runs."
        )
    reasons, absent = read_reasons(baselines / "reasons.toml")
    protocols = {c.name: str(c.protocol) for c in CONFIGURATIONS}
    runs = [r for r in read_runs(baselines / "reproduced")
            if r.protocol == protocols.get(r.configuration)]  # fmt: skip
    material = Material(
        recorded, by_configuration(runs), CONFIGURATIONS, reasons, absent,
    )  # fmt: skip
    path = baselines / "REPRODUCTION.md"
    write_atomic(path, page(material))
    return path


def page(material: Material) -> str:
    """The whole page."""
    comparisons = compare(material.recorded, material.runs, material.configurations)
    sections = (
        _summary(comparisons),
        _reasons(material, comparisons),
        _not_run(material),
        _alone(material),
        _figures(comparisons, material),
    )
    lines = [HEAD]
    for section in sections:
        lines += ["", *section]
    return "\n".join(lines) + "\n"


# --- summary --------------------------------------------------------------------------------------


def _summary(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "## Summary"
    yield ""
    yield from _row("configuration", "data", "seeds", "figures", *VERDICTS)
    yield from _rule(4 + len(VERDICTS))
    for name in dict.fromkeys(c.configuration for c in comparisons):
        mine = [c for c in comparisons if c.configuration == name]
        seeds = max(len(c.ours) for c in mine)
        yield from _row(name, _data(mine[0].data), seeds, len(mine), *_counts(mine))
    yield from _row("all", "", "", len(comparisons), *_counts(comparisons))


def _counts(comparisons: Sequence[Comparison]) -> list[int]:
    counted = Counter(c.verdict for c in comparisons)
    return [counted[verdict] for verdict in VERDICTS]


def _data(name: str) -> str:
    return DATA.get(name, name)


# --- reasons --------------------------------------------------------------------------------------


def _reasons(material: Material, comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "## What deviates, and why"
    for reason in material.reasons:
        about = [c for c in comparisons if reason.explains(c)]
        if not about:
            continue
        counted = ", ".join(f"{n} {v}" for v, n in zip(VERDICTS, _counts(about), strict=True) if n)
        yield from ("", f"### {reason.title}", "", reason.why.strip(), "", f"Figures: {counted}.")
        yield from _proof(reason, material)
    left = [
        c for c in comparisons
        if c.verdict == "deviates" and not any(r.explains(c) for r in material.reasons)
    ]  # fmt: skip
    if left:
        yield from ("", "### Not explained", "")
        yield from _comparison_table(left, with_name=True)


def _proof(reason: Reason, material: Material) -> Iterator[str]:
    rows = [
        (name, metric, epoch)
        for metric in reason.proof_metrics
        for epoch in reason.epochs
        for name in reason.proof
    ]
    if not rows:
        return
    yield ""
    yield from _row("configuration", "metric", "epoch", "data", "recorded", "ours")
    yield from _rule(6)
    known = {c.name: c for c in material.configurations}
    for name, metric, epoch in rows:
        mine = material.runs.get(name, [])
        values = [run.figures.curve(metric).get(epoch) for run in mine]
        ours = [value for value in values if value is not None]
        theirs = [
            f"{row.value:g}"
            for row in material.recorded
            if row.value is not None
            and row.configuration in (known[name].compared if name in known else ())
            and (row.metric, row.epoch) == (metric, epoch)
        ]
        yield from _row(
            name, metric, epoch, _data(mine[0].data) if mine else "", " and ".join(theirs),
            _ours(ours) if ours else "not run",
        )  # fmt: skip


# --- what is missing ------------------------------------------------------------------------------


def _not_run(material: Material) -> Iterator[str]:
    yield "## Not run, or nothing to set beside"
    yield ""
    yield from _row("configuration", "figures recorded", "reason")
    yield from _rule(3)
    names = {c.name: c for c in material.configurations}
    covered = {
        name for c in material.configurations if c.name in material.runs for name in c.compared
    }
    for name, configuration in names.items():
        if name not in material.runs:
            yield from _row(name, _count(material, configuration.compared),
                            _why_not(material, name, configuration))  # fmt: skip
    named = {name for c in material.configurations for name in c.compared}
    rows = [r for r in material.recorded if r.configuration not in named | covered]
    for name in dict.fromkeys(row.configuration for row in rows):
        note = "; ".join(dict.fromkeys(r.note for r in rows if r.configuration == name))
        yield from _row(name, _count(material, (name,)), _stated(material, name) or note)


def _count(material: Material, names: Sequence[str]) -> int:
    return sum(r.configuration in names and r.value is not None for r in material.recorded)


def _why_not(material: Material, name: str, configuration: Configuration) -> str:
    default = f"about {configuration.minutes:g} minutes on one core: `--only {name}`"
    return _stated(material, name) or default


def _stated(material: Material, name: str) -> str:
    return next((why for glob, why in material.absent.items() if fnmatchcase(name, glob)), "")


# --- ours alone -----------------------------------------------------------------------------------


def _alone(material: Material) -> Iterator[str]:
    """Last figures of runs beside which nothing was recorded."""
    yield "## Ours, where nothing was recorded"
    yield ""
    yield from _row("configuration", "data", "metric", "epoch", "ours", "note")
    yield from _rule(6)
    for configuration in material.configurations:
        mine = material.runs.get(configuration.name, [])
        rows = [r for r in material.recorded if r.configuration in configuration.compared]
        if not mine or any(row.value is not None for row in rows):
            continue
        note = "; ".join(dict.fromkeys(row.note for row in rows))
        for metric, curve in sorted(mine[0].figures.curves.items()):
            epoch = max(curve)
            ours = [run.figures.curve(metric)[epoch] for run in mine]
            yield from _row(
                configuration.name, _data(mine[0].data), metric, epoch, _ours(ours), note
            )  # fmt: skip


# --- every figure ---------------------------------------------------------------------------------


def _figures(comparisons: Sequence[Comparison], material: Material) -> Iterator[str]:
    yield "## Every figure"
    for configuration in material.configurations:
        mine = [c for c in comparisons if c.configuration == configuration.name]
        if not mine:
            continue
        yield from ("", f"### {configuration.name}", "", f"`{configuration.protocol}`", "")
        yield from _comparison_table([c for c in mine if c.reached])
        later = [c.recorded.epoch for c in mine if not c.reached]
        if later:
            yield from (
                "",
                f"Not reached: {len(later)} figures of epochs {min(later)} to {max(later)}.",
            )


def _comparison_table(
    comparisons: Sequence[Comparison], *, with_name: bool = False
) -> Iterator[str]:
    head = ("recorded as", "metric", "epoch", "data", "recorded", "ours", "deviation", "verdict")
    yield from _row(*(("configuration",) if with_name else ()), *head)
    yield from _rule(len(head) + with_name)
    for c in comparisons:
        row = c.recorded
        cells = [row.configuration, row.metric, row.epoch, _data(c.data), f"{row.value:.10g}"]
        cells += [_ours(c.ours), f"{c.deviation:+.2g}"] if c.ours else ["", ""]
        said = f"{c.verdict}: {row.note}" if c.verdict == "not measured" else c.verdict
        yield from _row(*((c.configuration,) if with_name else ()), *cells, said)


def _ours(values: Sequence[float]) -> str:
    """Mean, seeds and range."""
    mean = f"{float(np.mean(values)):.4g}"
    if len(values) == 1:
        return f"{mean} (1 seed)"
    return f"{mean} ({len(values)} seeds) [{min(values):.4g}, {max(values):.4g}]"


def _row(*cells: object) -> Iterator[str]:
    yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _rule(columns: int) -> Iterator[str]:
    yield "|" + "---|" * columns
