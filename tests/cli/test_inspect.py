"""`initcheck inspect`: what it prints and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from initcheck.cli.main import main

MODELS = """
import copy
import torch
from torch import nn

def good():
    return nn.Linear(4, 3)

def copies():
    block = nn.Linear(4, 4)
    return nn.Sequential(block, nn.Tanh(), copy.deepcopy(block))

def unset():
    module = nn.Linear(4, 3)
    module.bias = nn.Parameter(torch.empty(3))
    return module

def batch():
    return torch.randn(8, 4), torch.randint(0, 3, (8,))

def init(module):
    for name, parameter in module.named_parameters():
        if name == "head.bias":
            nn.init.zeros_(parameter)
        nn.init.normal_(parameter)

def init_part(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
def raising():
    raise ValueError("no data")

def narrow():
    return torch.randn(8, 3), torch.randint(0, 3, (8,))

def loss(module, batch):
    return module(batch[0]).square().mean()
"""


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    (tmp_path / "inspected_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["good"], 0),
        (["good", "--batch=inspected_models:batch"], 0),
        (["good", "--batch=inspected_models:batch", "--loss=inspected_models:loss"], 0),
        (["good", "--init=inspected_models:init"], 0),
        (["good", "--init=inspected_models:init", "--strict"], 1),
        (["good", "--init-apply=inspected_models:init_part", "--strict"], 0),
        (["good", "--init=inspected_models:missing"], 4),
        (["copies"], 0),
        (["copies", "--strict"], 1),
        (["unset"], 1),
        (["missing"], 4),
        (["good", "--device=nowhere"], 4),
        (["good", "--batch=inspected_models:missing"], 4),
    ],
)
def test_the_exit_code_says_what_was_found(arguments, code):
    name, *rest = arguments
    assert main(["inspect", f"inspected_models:{name}", *rest]) == code


def test_a_finding_is_one_line(capsys):
    """It names severity, check, parameter, owner, line and what is wrong, and nothing else."""
    main(["inspect", "inspected_models:unset"])
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("fail  written  bias (Linear, written at inspected_models.py:15): ")
    assert "3 of 3 entries of this parameter come from memory that nobody wrote" in first
    assert all(each.startswith(("not judged  ", "judged 2 of 2 parameters")) for each in rest)
    assert rest[-1].endswith("; -v shows repairs")


def test_details_are_below_a_finding_where_they_are_asked_for(capsys):
    main(["inspect", "inspected_models:unset", "-v"])
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("fail  written  bias (Linear, written at inspected_models.py:15): ")
    assert second == "      Write it after torch.empty, or use torch.zeros."
    assert not rest[-1].endswith("; -v shows repairs")


def test_a_clean_start_has_no_hint(capsys):
    main(["inspect", "inspected_models:good"])
    assert "-v" not in capsys.readouterr().out


def test_the_json_file_has_the_findings(models):
    main(["inspect", "inspected_models:unset", "--json=found.json"])
    found = json.loads((models / "found.json").read_text())
    assert found["schema"] == 1
    assert found["environment"]["torch"]
    assert found["judged"]["parameters"] == 2
    (finding,) = found["findings"]
    assert (finding["check"], finding["severity"]) == ("written", "fail")
    assert finding["parameters"] == ["bias"]
    assert found["not_judged"][0]["check"] == "asleep"


def test_a_start_is_recorded_and_compared(models, capsys):
    assert main(["inspect", "inspected_models:good", "--record=start.json"]) == 0
    assert main(["inspect", "inspected_models:good", "--against=start.json"]) == 0
    assert "recorded_start" not in capsys.readouterr().out
    assert main(["inspect", "inspected_models:copies", "--against=start.json"]) == 1
    assert "tensors are not in the record" in capsys.readouterr().out
    (models / "start.json").write_text("{}")
    assert main(["inspect", "inspected_models:good", "--against=start.json"]) == 4
    assert "start.json is not a recorded start" in capsys.readouterr().err


def test_a_record_that_cannot_be_written_is_refused(models, capsys):
    (models / "folder").mkdir()
    assert main(["inspect", "inspected_models:good", "--record=folder"]) == 4
    assert "not written" in capsys.readouterr().err


def test_a_json_file_that_cannot_be_written_is_refused(models, capsys):
    (models / "folder").mkdir()
    assert main(["inspect", "inspected_models:good", "--json=folder"]) == 4
    assert "The results were not written" in capsys.readouterr().err


def test_an_exception_allows_a_finding_and_is_shown(models, capsys):
    allow = ["inspect", "inspected_models:unset", "--allow=bias written a checkpoint sets it"]
    assert main([*allow, "--json=found.json"]) == 0
    assert "allowed  1 findings, which -v shows" in capsys.readouterr().out
    (allowed,) = json.loads((models / "found.json").read_text())["allowed"]
    assert allowed["allowed"] == "a checkpoint sets it"
    assert main([*allow, "-v"]) == 0
    out = capsys.readouterr().out
    assert "allowed fail  written  bias (Linear, " in out
    assert "Allowed: a checkpoint sets it." in out


@pytest.mark.parametrize(
    ("exception", "code"), [("weight written no reason at all", 1), ("weight written", 4)]
)
def test_an_exception_that_allows_nothing_or_is_none_fails(exception, code):
    assert main(["inspect", "inspected_models:good", f"--allow={exception}"]) == code


@pytest.mark.parametrize("batch", ["raising", "narrow"])
def test_a_batch_that_cannot_be_used_fails(batch, capsys):
    assert main(["inspect", "inspected_models:good", f"--batch=inspected_models:{batch}"]) == 1
    assert (
        "not judged  asleep, units, signal, start_loss, first_gradient: " in capsys.readouterr().out
    )


def test_a_reader_that_closes_the_pipe_is_no_file():
    command = [sys.executable, "-m", "initcheck", "inspect", "inspected_models:good"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (141, "")
