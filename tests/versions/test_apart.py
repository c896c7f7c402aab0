"""Files of claims in separate processes: a crash makes its claims invalid, and not the run."""

from __future__ import annotations

import json
import sys
import time

import pytest
import torch

from initcheck import results
from initcheck.plugin.known import KnownFailure
from tests.helpers.results import ENVIRONMENT, SETTINGS, passing
from tests.versions import apart
from tests.versions.page import page

FILE = apart.ROOT / "benchmarks" / "test_zeroed_layer.py"
RELEASE = torch.__version__.partition("+")[0]


def python(program):
    return [sys.executable, "-c", program]


def test_a_process_that_is_killed_by_a_signal_is_noticed():
    status, _ = apart.ended(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), 60)
    assert status < 0


def test_at_the_limit_a_process_can_still_write_what_it_has():
    program = (
        "import time\n"
        "try:\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('written')\n    raise SystemExit(2)"
    )
    began = time.monotonic()
    status, output = apart.ended(python(program), 3)
    assert (status, output.strip()) == (2, "written")
    assert time.monotonic() - began < 30


@pytest.fixture
def crashing(monkeypatch):
    monkeypatch.setattr(apart, "ended", lambda command, limit: (-11, "Fatal Python error"))
    monkeypatch.setattr(apart, "collected", lambda path, device: ["a.py::test_he_learns[cpu]"])


def test_a_crash_makes_each_claim_of_its_file_invalid(crashing):
    found = apart.judged(FILE, "cpu", 60)
    assert found["verdicts"] == {"he_learns[cpu]": "invalid"}
    (red,) = found["red"]
    assert "The process of test_zeroed_layer.py ended with signal 11" in red["reasons"][0]


def test_a_crash_can_be_a_known_failure(crashing, monkeypatch):
    entry = KnownFailure(
        "he_learns", "cpu", RELEASE, "invalid", "", "ended with signal 11", "It crashes.", "-"
    )
    monkeypatch.setattr(apart, "read_known", lambda folder: (entry,))
    found = apart.judged(FILE, "cpu", 60)
    assert found["red"] == []
    assert found["known"] == [{"id": "he_learns[cpu]", "verdict": "invalid", "why": "It crashes."}]


def test_claims_of_a_file_are_collected_for_a_device():
    nodes = apart.collected(FILE, "cpu")
    assert any(node.endswith("::test_zeroed_hidden_layer_still_learns[cpu]") for node in nodes)


def test_each_file_is_kept_and_has_a_row(tmp_path, monkeypatch):
    def ended(command, limit):
        file = next(each for each in command if each.startswith("--initcheck-json="))
        run = results.Run(environment=ENVIRONMENT, settings=SETTINGS, results=[passing()])
        results.write(file.partition("=")[2], run)
        return 0, ""

    monkeypatch.setattr(apart, "ended", ended)
    shown = tmp_path / "page.md"
    given = [
        "--device",
        "cpu",
        "--only",
        "zeroed_layer",
        "--runs",
        str(tmp_path),
        "--page",
        str(shown),
    ]
    monkeypatch.setattr(sys, "argv", ["apart", *given])
    assert apart.main() == 0
    whole = json.loads((tmp_path / f"cpu-torch-{RELEASE}.json").read_text())
    assert [*whole["files"]] == [FILE.name]
    assert f"| {FILE.name} | 1 | 1 | 0 | - | 0 | 1.3 |" in page(tmp_path)
    monkeypatch.setattr(apart, "judged", lambda *_: pytest.fail("measured again"))
    assert apart.main() == 0
