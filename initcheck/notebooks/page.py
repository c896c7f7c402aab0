"""REPRODUCTION.md: every recorded figure next to ours, with the reasons for deviations.

Python computes the figures; the words are in ``templates/reproduction.md.j2``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from initcheck.files import write_atomic
from initcheck.files.templates import markdown_template, single_blank_lines
from initcheck.notebooks.compare import VERDICTS, Comparison, Reason, compare, read_reasons
from initcheck.notebooks.figures import Recorded, Run, by_configuration, read_recorded, read_runs
from initcheck.notebooks.protocols import CONFIGURATIONS, Configuration

DATA = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar10-jpeg": "CIFAR-10 as JPEG files of quality 75 (ImageFolder)",
}
Row = Sequence[object]


@dataclass(frozen=True)
class Material:
    """Everything that the page is made of.

    Attributes:
        absent: why configurations were not run, by pattern of their names.
    """

    recorded: Sequence[Recorded]
    runs: Mapping[str, list[Run]]
    configurations: Sequence[Configuration]
    reasons: Sequence[Reason] = ()
    absent: Mapping[str, str] = field(default_factory=dict)


def write(baselines: Path) -> Path:
    """Write the page from the files of a ``baselines/`` folder, and return its path.

    Stored runs of other protocols than the present ones are ignored.

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
    runs = [
        run for run in read_runs(baselines / "reproduced")
        if run.protocol == protocols.get(run.configuration)
    ]  # fmt: skip
    material = Material(recorded, by_configuration(runs), CONFIGURATIONS, reasons, absent)
    path = baselines / "REPRODUCTION.md"
    write_atomic(path, page(material))
    return path


def page(material: Material) -> str:
    """The whole page; the same material gives the same text."""
    comparisons = compare(material.recorded, material.runs, material.configurations)
    text = markdown_template("notebooks", "reproduction.md.j2").render(
        verdicts=VERDICTS,
        summary=list(_summary(comparisons)),
        explained=list(_explained(material, comparisons)),
        unexplained=[
            [c.configuration, *_comparison_row(c)] for c in comparisons
            if c.verdict == "deviates" and not any(r.explains(c) for r in material.reasons)
        ],
        not_run=[*_not_run(material), *_no_configuration(material)],
        alone=list(_alone(material)),
        sections=list(_sections(material, comparisons)),
    )  # fmt: skip
    return single_blank_lines(text)


def _summary(comparisons: Sequence[Comparison]) -> Iterator[Row]:
    """Configuration, data, seeds, figures, and the figures of each verdict; all at the end."""
    for name in dict.fromkeys(c.configuration for c in comparisons):
        of_name = [c for c in comparisons if c.configuration == name]
        seeds = max(len(c.ours) for c in of_name)
        yield [name, _data(of_name[0].data), seeds, len(of_name), *_counts(of_name)]
    yield ["all", "", "", len(comparisons), *_counts(comparisons)]


def _counts(comparisons: Sequence[Comparison]) -> list[int]:
    counter = Counter(c.verdict for c in comparisons)
    return [counter[verdict] for verdict in VERDICTS]


# --- reasons --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explained:
    """A reason with the verdicts of the figures that it is about, and rows that prove it."""

    title: str
    why: str
    counts: str
    proof: Sequence[Row]


def _explained(material: Material, comparisons: Sequence[Comparison]) -> Iterator[Explained]:
    for reason in material.reasons:
        counts = _counts([c for c in comparisons if reason.explains(c)])
        if any(counts):
            text = ", ".join(f"{n} {v}" for v, n in zip(VERDICTS, counts, strict=True) if n)
            yield Explained(reason.title, reason.why.strip(), text, list(_proof(reason, material)))


def _proof(reason: Reason, material: Material) -> Iterator[Row]:
    """Configuration, metric, epoch, data, recorded figures and ours."""
    compared = {c.name: c.compared for c in material.configurations}
    cells = [
        (name, metric, epoch)
        for metric in reason.proof_metrics
        for epoch in reason.epochs
        for name in reason.proof
    ]
    for name, metric, epoch in cells:
        runs = material.runs.get(name, [])
        curves = [run.figures.curve(metric) for run in runs]
        ours = [curve[epoch] for curve in curves if epoch in curve]
        recorded = [
            f"{row.value:g}"
            for row in material.recorded
            if row.value is not None
            and row.configuration in compared.get(name, ())
            and (row.metric, row.epoch) == (metric, epoch)
        ]
        data = _data(runs[0].data) if runs else ""
        yield [name, metric, epoch, data, " and ".join(recorded), _ours(ours) or "not run"]


# --- what is missing on one side ------------------------------------------------------------------


def _not_run(material: Material) -> Iterator[Row]:
    """Configuration, number of recorded figures, and the reason why it was not run."""
    for configuration in material.configurations:
        name = configuration.name
        if name not in material.runs:
            minutes = f"about {configuration.minutes:g} minutes on one core: `--only {name}`"
            why = _stated(material, name) or minutes
            yield [name, _recorded_figures(material, configuration.compared), why]


def _no_configuration(material: Material) -> Iterator[Row]:
    """The same for recorded names that no configuration reproduces."""
    reproduced = {name for c in material.configurations for name in c.compared}
    rows = [row for row in material.recorded if row.configuration not in reproduced]
    for name in dict.fromkeys(row.configuration for row in rows):
        note = "; ".join(dict.fromkeys(row.note for row in rows if row.configuration == name))
        yield [name, _recorded_figures(material, (name,)), _stated(material, name) or note]


def _recorded_figures(material: Material, names: Sequence[str]) -> int:
    return sum(r.configuration in names and r.value is not None for r in material.recorded)


def _stated(material: Material, name: str) -> str:
    """The reason in ``reasons.toml`` why a configuration was not run, or an empty text."""
    return next((why for glob, why in material.absent.items() if fnmatchcase(name, glob)), "")


def _alone(material: Material) -> Iterator[Row]:
    """The last figure of every curve of runs for which nothing was recorded."""
    for configuration in material.configurations:
        runs = material.runs.get(configuration.name, [])
        rows = [r for r in material.recorded if r.configuration in configuration.compared]
        if not runs or any(row.value is not None for row in rows):
            continue
        note = "; ".join(dict.fromkeys(row.note for row in rows))
        for metric, curve in sorted(runs[0].figures.curves.items()):
            epoch = max(curve)
            ours = _ours([run.figures.curve(metric)[epoch] for run in runs])
            yield [configuration.name, _data(runs[0].data), metric, epoch, ours, note]


# --- every figure ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """All figures of one configuration, and the epochs of those that our runs did not reach."""

    name: str
    protocol: str
    rows: Sequence[Row]
    later: Sequence[int]


def _sections(material: Material, comparisons: Sequence[Comparison]) -> Iterator[Section]:
    for configuration in material.configurations:
        of_name = [c for c in comparisons if c.configuration == configuration.name]
        if of_name:
            rows = [_comparison_row(c) for c in of_name if c.reached]
            later = [c.recorded.epoch for c in of_name if not c.reached]
            yield Section(configuration.name, str(configuration.protocol), rows, later)


def _comparison_row(c: Comparison) -> list[object]:
    """Recorded as, metric, epoch, data, recorded, ours, deviation, verdict."""
    row = c.recorded
    deviation = f"{c.deviation:+.2g}" if c.ours else ""
    verdict = f"{c.verdict}: {row.note}" if c.verdict == "not measured" else c.verdict
    return [
        row.configuration, row.metric, row.epoch, _data(c.data), f"{row.value:.10g}",
        _ours(c.ours), deviation, verdict,
    ]  # fmt: skip


def _data(name: str) -> str:
    return DATA.get(name, name)


def _ours(values: Sequence[float]) -> str:
    """Mean, number of seeds and range; an empty text without values."""
    if not values:
        return ""
    mean = f"{float(np.mean(values)):.4g}"
    if len(values) == 1:
        return f"{mean} (1 seed)"
    return f"{mean} ({len(values)} seeds) [{min(values):.4g}, {max(values):.4g}]"
