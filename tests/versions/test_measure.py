"""Measurements of a pair: kept by part, measured again when their code changes, resumable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from initcheck.results import Run
from tests.helpers.results import ENVIRONMENT, SETTINGS, drift, passing, probe, result
from tests.versions import __main__ as command
from tests.versions import environment, measure
from tests.versions.environment import Pair, PairError

PAIR = Pair("2.4.1", "0.19.1", "3.11")


@pytest.fixture
def code(monkeypatch):
    """A fingerprint of the code that a test can change."""
    now = {"gate": "a", "examples": "b"}
    monkeypatch.setattr(
        measure, "code", lambda part, selected="": f"{now[part]} {selected}".strip()
    )
    return now


def test_a_part_is_measured_again_when_its_code_changes(tmp_path, code):
    assert measure.missing(PAIR, tmp_path) == ["gate", "examples"]
    measure.keep(PAIR, tmp_path, gate={"code": "a"})
    assert measure.missing(PAIR, tmp_path) == ["examples"]
    measure.keep(PAIR, tmp_path, examples={"code": "b"})
    assert measure.missing(PAIR, tmp_path) == []
    code["gate"] = "c"
    assert measure.missing(PAIR, tmp_path) == ["gate"]


def test_a_part_of_the_claims_is_not_the_whole_gate(tmp_path, code):
    measure.keep(PAIR, tmp_path, gate={"code": "a he_beats_randn"})
    assert "gate" in measure.missing(PAIR, tmp_path)
    assert "gate" not in measure.missing(PAIR, tmp_path, "he_beats_randn")


def test_the_fingerprint_of_examples_is_of_the_examples(tmp_path, monkeypatch):
    before = measure.code("examples")
    example = measure.ROOT / "examples" / "lora.py"
    monkeypatch.setattr(
        Path, "read_bytes",
        lambda self, read=Path.read_bytes: read(self) + b" " * (self == example),
    )  # fmt: skip
    assert measure.code("examples") != before


def test_a_run_is_condensed_to_its_verdicts_reasons_and_distances():
    red = result(
        "he_moves", probe("refuted", reason="it left", drift={"treated": drift(r=2.5)}),
        probe(probe="start", drift={"treated": drift("other start", r=None)}),
    )  # fmt: skip
    found = measure.condensed(
        Run(environment=ENVIRONMENT, settings=SETTINGS, results=[passing(), red])
    )
    assert found["verdicts"] == {"he_beats_randn[cpu]": "pass", "he_moves[cpu]": "refuted"}
    (one,) = found["red"]
    assert one["reasons"] == ["training_loss refuted: it left"]
    assert found["farthest"][0]["r"] == 2.5
    assert found["farthest"][0]["claim"] == "he_moves"
    assert len(found["other_starts"]) == 1


def run(monkeypatch, tmp_path, *arguments):
    page = tmp_path / "VERSIONS.md"
    given = ["--runs", str(tmp_path / "versions"), "--page", str(page), *arguments]
    given += ["--environments", str(tmp_path / "pairs")]
    monkeypatch.setattr(sys, "argv", ["tests.versions", *given])
    return command.main(), page


@pytest.fixture
def measured(monkeypatch, code):
    """Pairs whose environments and runs are made up; returns the names of those measured."""
    names = []

    def make(pair, python, folder):
        if pair.torch == "2.13.0":
            raise PairError("No matching distribution found")
        folder.mkdir(parents=True)
        return folder

    def gate(python, selected=""):
        names.append(python.name)
        whole = Run(environment=ENVIRONMENT, settings=SETTINGS, results=[passing()])
        return measure.about("gate", selected) | {
            "seconds": 1, "processor": 1, **measure.condensed(whole),
        }  # fmt: skip

    def examples(python, folder, *, record):
        return measure.about("examples") | {"streams": {}, "inspected": [], "followed": []}

    monkeypatch.setattr(environment, "make", make)
    monkeypatch.setattr(measure, "gate", gate)
    monkeypatch.setattr(measure, "examples", examples)
    return names


PAIRS = ("--pair", "2.4.1,0.19.1", "--pair", "2.13.0,0.28.0", "--pair", "2.10.0,0.25.0")


def test_a_pair_that_fails_does_not_stop_the_others(monkeypatch, tmp_path, measured):
    status, page = run(monkeypatch, tmp_path, *PAIRS)
    assert status == 1
    assert [name.rpartition("-python")[0] for name in measured] == ["torch-2.10.0", "torch-2.4.1"]
    text = page.read_text()
    assert "torch 2.13.0: No matching distribution found" in text
    assert "The gate ran with 2 environments, 2 of them with nothing but `pass`" in text
    assert not [*(tmp_path / "pairs").iterdir()], "environments are removed"


def test_what_was_measured_is_not_measured_again(monkeypatch, tmp_path, measured, code):
    run(monkeypatch, tmp_path, *PAIRS)
    measured.clear()
    run(monkeypatch, tmp_path, *PAIRS)
    assert measured == []
    code["gate"] = "changed"
    run(monkeypatch, tmp_path, *PAIRS)
    assert len(measured) == 2


def test_an_installed_pair_stays(monkeypatch, tmp_path, measured):
    run(monkeypatch, tmp_path, "--installed", sys.executable)
    assert measured == [Path(sys.executable).name]
    assert Path(sys.executable).exists()


def test_a_pair_without_torchvision_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "tests.versions", "--pair", "2.4.1"],
        cwd=measure.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "'2.4.1' is not TORCH,TORCHVISION, such as 2.9.1,0.24.1" in done.stderr


def test_a_written_measurement_does_not_change_the_commit_and_code_does(tmp_path):
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        command = ["git", *who, *words]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    measured, code = tmp_path / "baselines" / "versions" / "torch-1.json", tmp_path / "code.py"
    measured.parent.mkdir(parents=True)
    measured.write_text("{}")
    code.write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    clean = measure.commit_of_code(tmp_path)
    assert len(clean) == 12
    measured.write_text("[]")
    assert measure.commit_of_code(tmp_path) == clean
    code.write_text("2")
    assert measure.commit_of_code(tmp_path) == clean + "+"
