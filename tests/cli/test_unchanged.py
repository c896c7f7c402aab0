"""`initcheck unchanged`: what it prints and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initcheck.cli.main import main

LOOPS = Path(__file__).parents[1] / "helpers" / "loops.py"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loops")
    (folder / "unchanged_loops.py").write_text(
        LOOPS.read_text()
        + "\n\ndef other(seed):\n    yield from small(seed, rate=0.09995)\n"
        + "\n\ndef raising(seed):\n    yield from small(seed, steps=2)\n    raise OSError('gone')\n"
        + "\n\ndef without_seed():\n    yield from small(0)\n"
        + "\n\ndef empty(seed):\n    return\n    yield\n"
    )
    return folder


@pytest.fixture
def here(recorded, monkeypatch):
    monkeypatch.chdir(recorded)
    monkeypatch.delenv("CI", raising=False)
    if not (recorded / "r.json").exists():
        assert run("small", "--record", "the first", "--steps", "4", "--seeds", "2") == 0
    return recorded


def run(function, *options, file="r.json"):
    return main(["unchanged", f"unchanged_loops:{function}", "--file", file, *options])


def test_the_same_loop_exits_with_0(here, capsys):
    assert run("small") == 0
    assert capsys.readouterr().out.startswith("unchanged    unchanged_loops:small\n")


def test_another_loop_exits_with_1_and_names_step_tensor_and_command(here, capsys):
    assert run("other", "--json", "out.json", "--html", "out.html") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("CHANGED      unchanged_loops:other\n")
    assert "It leaves its record at step 0, " in printed
    assert "lr of group 0 is 0.09995 and was 0.1." in printed
    again = "initcheck unchanged unchanged_loops:other --file r.json --steps 4 --seeds 2"
    assert f"{again} --record 'why'" in printed  # as long as the reference
    plain = json.loads((here / "out.json").read_text())
    assert (plain["verdict"], plain["first_step"]) == ("changed", 0)
    assert plain["tensor"] in printed
    page = (here / "out.html").read_text()
    assert plain["tensor"] in page
    assert 'class="changed"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_every_tensor_is_printed_on_request(here, capsys):
    run("small", "-v")
    assert "tensor       2.bias 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("function", "options", "sentence"),
    [
        ("missing", (), "unchanged_loops has no function 'missing'"),
        ("raising", (), "raised OSError: gone (unchanged_loops.py:"),
        ("without_seed", (), "takes no seed"),
        ("empty", (), "shows nothing. Let it yield its model first"),
        ("small", ("--steps", "5"), "5 steps were requested, and the reference has 4"),
        ("small", ("--device", "cuda:9"), "cuda:9"),
        ("small", ("--json", "none/out.json"), "There is no folder"),
        ("small", ("--json", "r.json"), "would be replaced"),
    ],
)
def test_what_cannot_be_judged_exits_with_4_and_a_sentence(
    here, capsys, function, options, sentence
):
    before = (here / "r.json").read_bytes()
    assert run(function, *options) == 4
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert (here / "r.json").read_bytes() == before


def test_a_missing_reference_exits_with_4_and_the_command(here, capsys):
    assert run("small", file="none.json") == 4
    assert "--file none.json --record 'why'" in capsys.readouterr().err


def test_a_module_that_is_missing_exits_with_4(here, capsys):
    assert main(["unchanged", "no_such_module:f", "--file", "r.json"]) == 4
    assert "no module 'no_such_module'" in capsys.readouterr().err


def test_recording_is_refused_in_ci(here, capsys, monkeypatch):
    monkeypatch.setenv("CI", "true")
    before = (here / "r.json").read_bytes()
    assert run("small", "--record", "why not") == 4
    assert "refused where CI is set" in capsys.readouterr().err
    assert (here / "r.json").read_bytes() == before


def test_a_path_is_no_reason(here, capsys):
    with pytest.raises(SystemExit) as ended:
        run("small", "--record", "loops.py")
    assert ended.value.code == 4
    assert "is a path, and no reason" in capsys.readouterr().err
