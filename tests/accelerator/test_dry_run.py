"""The script for accelerators runs on a CPU, with few claims and examples."""

from __future__ import annotations

import json
import subprocess
import sys

from initcheck import faults
from tests.accelerator.__main__ import FAULTS, PARTS
from tests.helpers.projects import ROOT


def start(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.accelerator", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_dry_run_on_the_cpu_measures_every_part(tmp_path):
    file = tmp_path / "found.json"
    done = start("--device", "cpu", "--json", str(file), "--dry-run", "--minutes", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    whole = json.loads(file.read_text())
    assert whole["dry"] is True
    assert [name for name in PARTS if whole[name]["ok"]] == [*PARTS]
    assert whole["gate"]["ways"].keys() == {"called"}, "a CPU records no steps"
    called = whole["gate"]["ways"]["called"]
    assert called["verdict count"] == {"pass": 1}
    assert called["every"], "r of each arm"
    assert whole["faults"]["faults"]["lr_lower_by_a_thousandth"]["caught"]
    assert whole["followed"]["loops"]["lora"]["r"] < 10


def test_a_part_without_time_is_not_as_expected(tmp_path):
    file = tmp_path / "found.json"
    done = start("--device", "cpu", "--json", str(file), "--dry-run", "--minutes", "0")
    assert done.returncode == 1
    assert json.loads(file.read_text())["gate"]["why"] == "no time was left"


def test_a_device_that_is_missing_is_named(tmp_path):
    done = start("--device", "mps:7", "--json", str(tmp_path / "found.json"))
    assert done.returncode == 4
    assert "Device 'mps:7' was requested but cannot be used" in done.stderr


def test_every_fault_is_one_of_the_project():
    assert [faults.find(name).name for name in FAULTS] == [*FAULTS]
