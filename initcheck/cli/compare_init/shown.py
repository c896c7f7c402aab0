"""A comparison of initializers as text, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from initcheck.cli.compare_init.table import BATCH, STEPS, Row
from initcheck.files.templates import html_template
from initcheck.probes.conformance import RATES

HEAD = ("start", "law", "signal", "gradient", "distinct", "accuracy", "range", "rate")
NUMBERS = HEAD[2:]  # columns that are aligned at their right ends
MISSING = "-"


@dataclass(frozen=True)
class Setting:
    """What a comparison was made with."""

    activation: str
    seeds: int

    def sentence(self) -> str:
        """The setting in words."""
        rates = ", ".join(f"{rate:g}" for rate in RATES)
        return (
            f"{self.activation} networks on mnist5k, {self.seeds} seeds. Signal and gradient: "
            "decades from the first to the last hidden layer, and back. Accuracy: mean and range "
            f"over seeds after {STEPS} steps of Adam, batch {BATCH}, at the best of the learning "
            f"rates {rates}."
        )


def as_text(rows: Sequence[Row], setting: Setting) -> str:
    """A table per regime."""
    parts = [setting.sentence()]
    for regime in dict.fromkeys(row.regime for row in rows):
        cells = [HEAD, *(_cells(row) for row in rows if row.regime == regime)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if name in NUMBERS else cell.ljust(width)
                for cell, width, name in zip(line, widths, HEAD, strict=True)
            ).rstrip()
            for line in cells
        ]
        troubles = [
            f"{row.name} could not be judged: {row.trouble}"
            for row in rows if row.regime == regime and row.trouble
        ]  # fmt: skip
        parts.append("\n".join([f"{regime}:", *lines, *troubles]))
    return "\n\n".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    ends = (min(row.accuracies), max(row.accuracies)) if row.accuracies else None
    return (
        row.name,
        row.law or MISSING,
        _number(row.signal, "+.2f"),
        _number(row.gradient, "+.2f"),
        _number(row.distinct, ".0%"),
        _number(row.accuracy, ".3f"),
        f"{ends[0]:.3f}..{ends[1]:.3f}" if ends else MISSING,
        _number(row.rate, "g"),
    )


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None else format(value, form)


def as_json(rows: Sequence[Row], setting: Setting) -> str:
    """The same numbers for machines; what is missing is null."""
    plain = [asdict(row) | {"accuracy": row.accuracy} for row in rows]
    what = asdict(setting) | {"rates": RATES, "steps": STEPS, "batch": BATCH}
    return json.dumps({"schema": 1, "setting": what, "rows": plain}, indent=1) + "\n"


def as_svg(rows: Sequence[Row], setting: Setting) -> str:
    """A picture: the accuracy of each seed, with law, signal and gradient in words."""
    panels = [
        (regime, [(row, dict(zip(HEAD, _cells(row), strict=True)))
                  for row in rows if row.regime == regime])
        for regime in dict.fromkeys(row.regime for row in rows)
    ]  # fmt: skip
    return html_template("cli/compare_init", "compare.svg.j2").render(
        panels=panels, sentence=setting.sentence()
    )
