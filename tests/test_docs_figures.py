"""Figures in pages are those of the pages with measured figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


OPERATING, RESULTS, REPRODUCTION = (
    "baselines/OPERATING.md", "benchmarks/peers/RESULTS.md", "baselines/REPRODUCTION.md",
)  # fmt: skip
SMALL = r"## 784-64-32-32-10, Adam.*?### One core.*?\| {} \| [\d,]+ \| ([\d.]+) "
WIDE = r"## 784-784-1024-1024-10, Adam.*?### One core.*?\| {} \| [\d,]+ \| ([\d.]+) "
TOOLS = (
    "JAX scan, one by one", "JAX vmap, scan", "initcheck", "torch.func vmap",
    "plain loop, fused optimizer", "initcheck, module engine", "notebook loop, DataLoader",
    "skorch", "scikit-learn MLPClassifier",
)  # fmt: skip

# A page, its words, the page with the measured figures, and a pattern that finds them there.
FIGURES = [
    ("error-rates", "at most {1} of {0} values", OPERATING,
     r"of which (\d+) were judged. The largest r is \*\*([\d.]+)\*\*"),
    ("error-rates", "of {0} arms recorded on an Intel Xeon", OPERATING,
     r"(\d+) arms were judged.\s\d+ of them differ"),
    ("error-rates", "{} envelopes. ```sh", OPERATING,
     r"judged by the envelopes recorded here.*?\| ([\d.]+) \|\n"),
    ("error-rates", "all gains together turn {} % of runs red", OPERATING,
     r"all gains together turn ([\d.]+)% of runs red"),
    ("error-rates", "| {} of {} were caught,", OPERATING,
     r"- (\d+) of (\d+) seeded faults were caught in each"),
    ("error-rates", "of {} gains", OPERATING, r"Of (\d+) gains, the table lists"),
    ("speed", "| the whole gate, two cores | {} s (quartiles {} to {} s) |", RESULTS,
     r"\| the whole gate, 2 cores \| 60 s \| (\d+) \((\d+) to (\d+)\) s"),
    ("speed", "| the claims of the five notebooks alone | {} s |", RESULTS,
     r"\| the claims of the five notebooks, 2 cores \| 60 s \| (\d+) "),
    ("speed", "| peak memory | {} GB |", RESULTS, r"peak memory \| 2 GB \| ([\d.]+) GB"),
    ("speed", "| processor time of all processes | {} s |", RESULTS, r"take (\d+) \(\d+ to"),
    ("speed", "optimizers | {} s |", RESULTS, r"products and traffic \| ([\d.]+) "),
    ("speed", "It is {} % of the gate's time", RESULTS, r"The bound is (\d+)% "),
    ("speed", "initcheck runs at {} % of the bound", RESULTS,
     r"wide network, Adam, one core: share of the bound \| 60% \| (\d+)%"),
    ("speed", "JAX takes {} of its time there", RESULTS, WIDE.format(TOOLS[0])),
    ("speed", "a plain loop with a fused optimizer {}.", RESULTS, WIDE.format(TOOLS[4])),
    ("speed", "takes {} s on one core, {} times as fast", RESULTS,
     r"\| one core \| initcheck \| ([\d.]+) .*?float64 \| [\d.]+ \([^)]*\) \| ([\d.]+) "),
    ("speed", "the plugin adds {} ms", RESULTS, r"torch not imported \| 50 ms \| (\d+) \("),
    *(("speed", f"| {tool} | {{}} |", RESULTS, SMALL.format(tool)) for tool in TOOLS),
    ("notebooks",
     "Of {} compared figures, {} are as recorded, {} deviate, {} are not judged and {} are not",
     REPRODUCTION, r"\| all \|  \|  \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| \d+ \| (\d+) \|"),
    ("notebooks", "- {} of the 32 come from runs", REPRODUCTION,
     r"CELU's derivative.*?as recorded, (\d+) deviates"),
    ("notebooks", "- {} are first epochs", REPRODUCTION,
     r"cause not established.*?as recorded, (\d+) deviates"),
]  # fmt: skip


def filled_in(template: str, measured: str, pattern: str) -> str:
    """The template with the figures of a measured page."""
    match = re.search(pattern, read(ROOT / measured), flags=re.DOTALL)
    assert match, f"{measured} has no {pattern}"
    return template.format(*match.groups())


@pytest.mark.parametrize(
    ("page", "template", "measured", "pattern"), FIGURES, ids=[f"{f[0]}: {f[1]}" for f in FIGURES]
)
def test_figures_are_the_measured_ones(page, template, measured, pattern):
    words = " ".join(read(ROOT / "docs" / f"{page}.md").split())
    assert filled_in(template, measured, pattern) in words


def innocent() -> dict[str, float]:
    """The largest r of each innocent change."""
    section = read(ROOT / OPERATING).partition("## Innocent changes")[2].partition("\n## ")[0]
    lines = section.partition("| claim | arm |")[1:]
    head, _, *rows = (
        line.strip("| ").split(" | ") for line in "".join(lines).splitlines() if "|" in line
    )
    names = head[2:]
    return {
        name: max(float(row[place]) for row in rows if row[place] != "-")
        for place, name in enumerate(names, start=-len(names))
    }


def test_the_largest_r_of_innocent_changes_is_measured():
    largest_r = innocent()
    on_accelerator = largest_r.pop("cuda")
    words = " ".join(read(ROOT / "docs" / "error-rates.md").split())
    assert f"The largest r among them is {max(largest_r.values()):g}." in words
    assert len(largest_r) == 16, "the page says sixteen"
    largest = filled_in("{}", OPERATING, r"The largest r is \*\*([\d.]+)\*\*")
    assert f"On an NVIDIA H200 with torch 2.11.0 it is {largest}." in words
    assert f"{float(largest):.2g}" == f"{on_accelerator:g}", "the largest is the accelerator's"
