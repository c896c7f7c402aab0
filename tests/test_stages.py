"""The lines of the set-up, pip's log, and what is said when pip fails."""

from __future__ import annotations

import ast
import io
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import stages

ROOT = Path(__file__).parents[1]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def ignored() -> None:
    """In place of a function that updates a counter."""


@pytest.fixture
def clock(monkeypatch):
    """The seconds that `time.monotonic` gives, as a list whose last entry is now."""
    now = [100.0]
    monkeypatch.setattr(stages.time, "monotonic", lambda: now[-1])
    return now


def test_a_stage_is_one_line_in_a_log(clock):
    stream = io.StringIO()
    line = stages.Stage("creating .venv", stream)
    assert stream.getvalue() == "initcheck: creating .venv", "it is seen before it ends"
    line.tick()
    clock.append(103.2)
    line.end()
    assert stream.getvalue() == "initcheck: creating .venv: 3 s\n"


def test_a_stage_counts_seconds_on_a_terminal(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    line = stages.Stage("installing torch", stream)
    for seconds in (101.0, 102.0):
        clock.append(seconds)
        line.tick()
    line.end(failed=True)
    shown = stream.getvalue().split(stages.ERASE)
    assert shown == [
        "initcheck: installing torch",
        "initcheck: installing torch: 1 s",
        "initcheck: installing torch: 2 s",
        "initcheck: installing torch: 2 s, failed\n",
    ]


def test_a_terminal_without_escape_codes_has_plain_lines(clock, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    stages.Stage("creating .venv", stream).end()
    assert stream.getvalue() == "initcheck: creating .venv: 0 s\n"


def test_pip_has_a_stage_for_downloads_and_one_for_packages(tmp_path, clock, capfd):
    log = tmp_path / "log"
    with stages.pip_stages("torch and 2 more", str(log)) as tick:
        tick()
        log.write_text("Collecting torch\n  Installing build dependencies: started\n")
        tick()
        clock.append(161.0)
        log.write_text(log.read_text() + "Installing collected packages: six, numpy, torch\n")
        tick()
        clock.append(181.0)
        tick()
    assert capfd.readouterr().err == (
        "initcheck: downloading torch and 2 more: 61 s\ninitcheck: installing 3 packages: 20 s\n"
    )


def test_the_stage_that_fails_says_so(tmp_path, capfd):
    log = tmp_path / "log"
    with pytest.raises(ValueError, match="no"), stages.pip_stages("torch", str(log)):
        raise ValueError("no")
    assert capfd.readouterr().err == "initcheck: downloading torch: 0 s, failed\n"
    log.write_text("Installing collected packages: torch\n")
    with pytest.raises(ValueError, match="no"), stages.pip_stages("torch", str(log)):
        raise ValueError("no")
    assert capfd.readouterr().err.endswith("\ninitcheck: installing 1 package: 0 s, failed\n")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_stage_that_is_cut_short_says_failed(error, capfd):
    with pytest.raises(error), stages.stage("creating .venv"):
        raise error
    assert capfd.readouterr().err == "initcheck: creating .venv: 0 s, failed\n"


def test_all_output_of_a_command_is_in_the_log_and_none_is_shown(tmp_path, capfd):
    code = "import os, sys; print(os.getcwd()); print('e', file=sys.stderr); sys.exit(3)"
    log = str(tmp_path / "log")
    assert stages.logged(python(code), log, cwd=str(tmp_path), tick=ignored) == 3
    assert sorted(Path(log).read_text().split()) == sorted([str(tmp_path), "e"])
    assert capfd.readouterr() == ("", "")


def test_a_command_that_asks_gets_no_answer_in_place_of_waiting(tmp_path):
    log = tmp_path / "log"
    code = stages.logged(python("input('password: ')"), str(log), cwd=str(tmp_path), tick=ignored)
    assert code == 1
    assert "EOFError" in log.read_text()


def test_the_counter_is_updated_while_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "TICK", 0.01)
    ticks: list[int] = []
    code = "import time; time.sleep(0.3)"
    stages.logged(
        python(code), str(tmp_path / "log"), cwd=str(tmp_path), tick=lambda: ticks.append(1)
    )
    assert len(ticks) > 2


def test_an_interrupted_command_is_ended(tmp_path, monkeypatch):
    """A pip that goes on in the background would write into the next set-up."""
    monkeypatch.setattr(stages, "TICK", 0.01)
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    log = tmp_path / "log"

    def interrupt():
        if log.read_text().strip():
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        stages.logged(python(code), str(log), cwd=str(tmp_path), tick=interrupt)
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "Free disk space"),
        ("... Failed to establish a new connection: NewConnectionError", "HTTPS_PROXY"),
        ("ERROR: Could not find a version that satisfies torch>=2.4", "for which torch has wheels"),
        ("error: [Errno 13] Permission denied: '/x'", "clone into a folder that is yours"),
        ("something that nobody foresaw", "Fix what these lines name."),
        ("", "(no output)"),
    ],
)
def test_a_failure_names_pips_last_lines_its_log_and_a_command(tmp_path, output, advice):
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n\n" for n in range(30)) * bool(output) + output)
    checkout = tmp_path / "a folder"
    checkout.mkdir()
    told = stages.explained(7, str(log), python("print('pip at work')"), str(checkout))
    assert "exit code 7" in told
    assert output in told
    assert advice in told
    assert str(log) in told
    shown = [line for line in told.splitlines() if line.startswith("  | ")]
    assert len(shown) == (stages.LAST if output else 1)
    command = told.rpartition("To see pip at work: ")[2]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)  # noqa: S607 -- the command is for a shell
    assert done.stdout == "pip at work\n"


def test_the_last_lines_of_a_long_log_are_read_from_its_end(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\xff" * 100_000 + b"\nlast\n")
    assert stages.last_lines(str(log))[-1] == "last"
    assert stages.last_lines(str(tmp_path / "none")) == []


def test_bars_and_empty_indexes_are_left_out_and_long_lines_cut(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "WARNING: Location 'file:///x' is ignored: it is neither a file nor a directory.\n"
        "WARNING: Retrying\n"
        f"Processing {'x' * 500}\n"
        "     \u2501\u2501\u2501\u2578   1.9/12.4 MB\n",
        encoding="utf-8",
    )
    warning, long = stages.last_lines(str(log))
    assert warning == "WARNING: Retrying"
    assert long == f"Processing {'x' * 500}"[: stages.LONG] + " ..."


@pytest.mark.parametrize("name", ["bootstrap.py", "stages.py", "__main__.py"])
def test_old_pythons_can_parse_it(name):
    """3.7 has the oldest grammar that ast knows. Newer syntax would be a SyntaxError there."""
    ast.parse((ROOT / "benchmarks" / name).read_text(), feature_version=(3, 7))
    with pytest.raises(SyntaxError):  # ast does see what is too new
        ast.parse("if (x := 1): pass", feature_version=(3, 7))


def test_quoted_commands_can_be_copied():
    text = stages.explained(1, "log", ["python", "-m", "pip", "install", ".[test]"], "/a b")
    assert text.endswith("cd '/a b' && python -m pip install '.[test]'")
    assert shlex.split(text.rpartition("&& ")[2])[-1] == ".[test]"
