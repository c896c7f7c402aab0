"""`initcheck unchanged`: what it prints and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
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
        + "\n\ndef interrupted(seed):\n    yield from small(seed, steps=2)\n"
        + "    raise KeyboardInterrupt\n"
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


@pytest.mark.parametrize("option", ["--json", "--html", "--file"])
@pytest.mark.parametrize("name", ["/proc/none.json", f"{'n' * 248}.json"])
def test_a_file_that_cannot_be_written_is_said_before_anything_runs(
    here, capsys, monkeypatch, option, name
):
    called = []
    monkeypatch.setattr("initcheck.trajectory.check.run", lambda *_: called.append(1))
    monkeypatch.setattr("initcheck.trajectory.recording.run", lambda *_, **__: called.append(1))
    recorded = ("--record", "why") if option == "--file" else ()
    assert run("small", option, name, *recorded) == 4
    said = capsys.readouterr().err
    assert "cannot be written: " in said
    assert "Nothing was run. Name another file." in said
    assert called == []


def test_files_that_can_be_written_are_left_as_they_are_until_the_end(here, capsys):
    (here / "old.json").write_text("old")
    before = sorted(here.iterdir())
    assert run("raising", "--json", "old.json", "--html", "new.html") == 4
    assert (here / "old.json").read_text() == "old"
    assert sorted(here.iterdir()) == before


def test_json_and_page_need_two_files(here, capsys):
    assert run("small", "--json", "one", "--html", "one") == 4
    assert "--json and --html both name one. Name two files." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("unchanged_loops.py:small", "is a file. Name its module instead: unchanged_loops:small"),
        ("./unchanged_loops.py:small", "is a file. Name its module instead: unchanged_loops:small"),
        ("sub/loops.py:train", "is a file. Name its module instead: sub.loops:train"),
        ("none.py:small", "There is no file none.py. Name a module, as in train:training."),
    ],
)
def test_a_path_in_place_of_a_module_is_answered_with_the_module(here, capsys, name, sentence):
    (here / "sub").mkdir(exist_ok=True)
    (here / "sub" / "loops.py").write_text("")
    assert main(["unchanged", name, "--file", "r.json"]) == 4
    assert sentence in capsys.readouterr().err


def test_a_file_elsewhere_is_answered_with_its_folder(here, capsys, tmp_path):
    (tmp_path / "loops.py").write_text("")
    assert main(["unchanged", f"{tmp_path}/loops.py:train", "--file", "r.json"]) == 4
    assert f"Name its module in {tmp_path} instead: loops:train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "state"), [("r.json", "r.json is as it was"), ("none.json", "there is no none.json")]
)
def test_an_interrupted_recording_says_what_is_there(here, capsys, file, state):
    before = (here / "r.json").read_bytes()
    assert run("interrupted", "--record", "why", file=file) == 2
    assert f"Interrupted. Nothing was written: {state}." in capsys.readouterr().err
    assert (here / "r.json").read_bytes() == before
    assert not (here / "none.json").exists()


def test_a_reader_that_closes_the_pipe_is_no_file(here):
    command = [
        sys.executable, "-c", "from initcheck.cli.main import main; raise SystemExit(main())",
        "unchanged", "unchanged_loops:small", "--file", "r.json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (141, "")
