"""The README says what is there: its commands, its claims and its options."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import goals, names
from initcheck import claims
from initcheck.error_rates import rates
from initcheck.error_rates import runs as shards
from initcheck.plugin.options import OPTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(README.split())


def test_its_first_code_block_is_the_two_commands():
    blocks = re.findall(r"(?:^    [^\n]+\n)+|^```.*?^```\n", README, flags=re.MULTILINE | re.DOTALL)
    assert blocks[0].split("\n") == ["    python3 -m benchmarks", "    python3 -m tests", ""]


def test_its_claims_are_those_of_the_code(monkeypatch):
    monkeypatch.chdir(ROOT)
    table = claims.as_markdown(claims.collect())
    assert table in README, "paste what `initcheck claims --markdown` prints into README.md"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_it_explains_every_option(option):
    assert f"| `--initcheck-{option.name}" in README


def test_it_explains_no_option_that_is_gone():
    explained = set(re.findall(r"^\| `--initcheck-([a-z-]+)", README, flags=re.MULTILINE))
    assert explained == {option.name for option in OPTIONS}


def test_its_error_rates_are_those_of_the_runs():
    runs = shards.read(ROOT / "baselines" / "operating")
    changes = rates.envelopes(run for run in runs if run.kind == "innocent")
    every = [(name, r) for row in changes.values() for name, r in row.items() if r is not None]
    here, there = (max(r for name, r in every if (name == "cuda") is on) for on in (False, True))
    assert f"moved no arm by more than {here:.2f};" in WORDS
    assert f"the farthest arm at {there:.2f}, and each of the five faults" in WORDS
    seeded = {run.name: bool(run.red) for run in runs if "-cuda-" in run.salt}
    assert (len(seeded), all(seeded.values())) == (5, True)
    green = [not run.red for run in runs if run.kind == "clean"]
    assert f"{sum(green)} of {len(green)} were green" in WORDS


def test_its_seconds_and_gigabytes_are_those_that_were_measured():
    file = ROOT / "benchmarks" / "peers" / "results.json"
    gate = json.loads(file.read_text(encoding="utf-8"))["gate"]
    took = np.median(gate["seconds"][names.GATE])
    assert f"the whole gate takes {took:.0f} seconds and {gate['peak'] / 1e9:.1f} GB" in WORDS
    bound = np.median(goals.gate_bound(gate["seconds"]))
    assert f"{bound:.0f} of these seconds go into what no gate" in WORDS
