"""The set-up of a fresh clone, with pip and every other process replaced by a fake machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import bootstrap

ROOT = Path(__file__).parents[1]
PYPROJECT = """
[project]
dependencies = ["torch>=2.4", "numpy"]
optional-dependencies = { test = ["pytest-xdist>=3.5"] }
"""


QUIET = ["--no-input", "--disable-pip-version-check"]


class Machine:
    """Imitates the commands of the set-up; each test decides which of them work."""

    def __init__(self, checkout: Path, works: tuple[str, ...] = ("venv", "own pip")) -> None:
        self.python = checkout / ".venv" / "bin" / "python"
        self.works = set(works)
        self.upgraded = False  # another Python has replaced the environment's
        self.pip_exit = 0
        self.pip_output = ""
        self.pip_seconds = 0.0
        self.installs: list[list[str]] = []
        self.runs: list[list[str]] = []

    def call(self, command):
        if "--clear" in command:
            return self._create(command)
        if command[1:] == ["-c", "import pytest"]:
            return int(self.upgraded or not self.python.exists()), "No module named pytest"
        if command[-1] == "--version":
            way = "pip --python" if "--python" in command else "own pip"
            return (0 if way in self.works else 1), ""
        raise AssertionError(f"not a command of the set-up: {command}")

    def install(self, command, log, *, cwd, tick):
        time.sleep(self.pip_seconds)
        assert cwd == str(self.python.parents[2])
        self.installs.append(command)
        self.upgraded = False
        Path(log).write_text(self.pip_output, encoding="utf-8")
        return self.pip_exit

    def _create(self, command):
        way = command[2] + (" --without-pip" if "--without-pip" in command else "")
        if way not in self.works:
            return 1, f"{way} is not here"
        self.python.parent.mkdir(parents=True, exist_ok=True)
        self.python.touch()
        return 0, ""

    def wait(self, command):
        self.runs.append(command)
        return 0


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bootstrap.os, "name", "posix")
    return tmp_path


@pytest.fixture
def machine(checkout, monkeypatch):
    machine = Machine(checkout)
    monkeypatch.setattr(bootstrap, "_call", machine.call)
    monkeypatch.setattr(bootstrap, "logged", machine.install)
    monkeypatch.setattr(bootstrap, "_hand_over", machine.wait)
    monkeypatch.setattr(bootstrap, "_is_installed", lambda _: False)
    return machine


def run(checkout: Path, *arguments: str, folder: str = "tests") -> int:
    return bootstrap.run_pytest(folder, arguments, str(checkout))


def test_a_fresh_clone_is_set_up_and_tested(checkout, machine, capfd):
    machine.pip_output = "Collecting torch\nInstalling collected packages: six, numpy, torch\n"
    assert run(checkout, "-k", "x") == 0
    assert machine.installs == [
        [str(machine.python), "-m", "pip", "install", *QUIET, "--editable", ".[test]"]
    ]
    assert machine.runs == [[str(machine.python), "-m", "pytest", "tests", "-k", "x"]]
    first, *stages = capfd.readouterr().err.splitlines()
    assert f"Setting up {checkout / '.venv'}" in first
    assert str(checkout / ".venv" / bootstrap.LOG) in first
    assert stages == [
        "initcheck: creating .venv: 0 s",
        "initcheck: downloading torch, numpy and 1 more: 0 s",
        "initcheck: installing 3 packages: 0 s",
    ]


@pytest.mark.parametrize("word", ["-h", "--help"])
@pytest.mark.parametrize("folder", ["benchmarks", "tests"])
def test_help_before_the_set_up_installs_nothing(checkout, machine, capfd, folder, word):
    assert run(checkout, word, folder=folder) == 0
    assert (machine.installs, machine.runs) == ([], [])
    assert not (checkout / ".venv").exists()
    output, errors = capfd.readouterr()
    assert output.startswith(f"usage: python3 -m {folder} [options of pytest]\n")
    assert "up to 7 GB" in output
    assert errors == ""


def test_help_after_the_set_up_is_that_of_pytest(checkout, machine):
    run(checkout)
    run(checkout, "--help")
    assert machine.runs[1][1:] == ["-m", "pytest", "tests", "--help"]


def test_an_environment_that_is_there_prints_nothing(checkout, machine, capfd):
    run(checkout)
    capfd.readouterr()
    run(checkout)
    assert capfd.readouterr() == ("", "")


def test_both_commands_share_one_environment(checkout, machine):
    run(checkout)
    run(checkout, folder="benchmarks")
    assert len(machine.installs) == 1
    assert machine.runs[1][3] == "benchmarks"


def test_a_changed_pyproject_is_installed_again(checkout, machine):
    run(checkout)
    (checkout / "pyproject.toml").write_text(PYPROJECT + "\n")
    run(checkout)
    assert len(machine.installs) == 2


def test_the_checkout_is_found_from_another_folder(
    checkout, machine, monkeypatch, tmp_path_factory
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    run(checkout)
    assert machine.runs[0][3] == str(checkout / "tests")


def test_a_failure_of_pip_says_what_to_do_and_leaves_no_stamp(checkout, machine, capfd):
    machine.pip_exit, machine.pip_output = 1, "ERROR: torch is nowhere"
    assert run(checkout) == bootstrap.MISSING
    error = capfd.readouterr().err
    assert "initcheck: downloading torch, numpy and 1 more: 0 s, failed\n" in error
    assert "pip could not install" in error
    assert "  | ERROR: torch is nowhere\n" in error
    assert f"All of its output is in {checkout / '.venv' / bootstrap.LOG}." in error
    assert "run the same command again" in error
    machine.pip_exit = 0
    assert run(checkout) == 0
    assert len(machine.installs) == 2


def test_an_interrupted_installation_is_continued(checkout, machine, monkeypatch, capfd):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "logged", interrupted)
        assert run(checkout) == bootstrap.INTERRUPTED
    assert "Interrupted" in capfd.readouterr().err
    assert run(checkout) == 0
    assert len(machine.installs) == 1


@pytest.mark.parametrize(
    "works",
    [
        ("venv", "own pip"),
        ("venv --without-pip", "pip --python"),
        ("venv", "venv --without-pip", "pip --python"),
        ("venv --without-pip", "virtualenv", "own pip"),
        ("virtualenv", "own pip"),
    ],
    ids=" + ".join,
)
def test_environment_is_created_by_the_first_tool_that_works(checkout, machine, works):
    machine.works = set(works)
    assert run(checkout) == 0
    assert ("--python" in machine.installs[0]) == ("pip --python" in works)


@pytest.mark.parametrize("works", [(), ("venv --without-pip",)], ids=["nothing", "no pip"])
def test_failure_to_create_an_environment_is_explained(checkout, machine, capfd, works):
    machine.works = set(works)
    assert run(checkout) == bootstrap.MISSING
    error = capfd.readouterr().err
    assert "venv is not here" in error
    assert "apt install python3-venv" in error
    assert "Free disk space" not in error


def test_a_full_disk_is_named_whatever_was_written_when_it_was_full(
    checkout, machine, monkeypatch, capfd
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    machine.works = set()
    monkeypatch.setattr(machine, "_create", lambda _: (1, "[Errno 28] No space left on device"))
    assert run(checkout) == bootstrap.MISSING
    error = capfd.readouterr().err
    assert "Free disk space" in error
    assert "apt install" not in error
    monkeypatch.setattr(bootstrap, "_lock", full)
    assert run(checkout) == bootstrap.MISSING
    assert "No space left on device. Free disk space" in capfd.readouterr().err


@pytest.mark.parametrize("stamped", [True, False])
def test_an_environment_without_its_python_is_created_again(checkout, machine, stamped):
    run(checkout)
    machine.python.unlink()
    if not stamped:
        (checkout / ".venv" / bootstrap.STAMP).unlink()
    assert run(checkout) == 0
    assert machine.python.exists()


def test_environment_whose_python_was_upgraded_is_made_again(checkout, machine):
    """The new Python finds none of the packages that were installed for the old one."""
    run(checkout)
    machine.upgraded = True
    assert run(checkout) == 0
    assert (machine.upgraded, len(machine.installs)) == (False, 2)


def test_two_commands_at_the_same_time_install_once(checkout, machine, capfd):
    machine.pip_seconds = 0.5
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda f=folder: codes.append(run(checkout, folder=f)))
        for folder in ("tests", "benchmarks")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]
    assert len(machine.installs) == 1
    assert "waiting for it" in capfd.readouterr().err


def test_a_killed_process_leaves_no_lock(checkout, machine):
    hold = (
        "import sys, time; from benchmarks import bootstrap\n"
        "with bootstrap._lock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(checkout / ".venv.lock")]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline().strip() == b"held"
        holder.kill()
    assert run(checkout) == 0


def test_old_python_is_refused_with_a_message(checkout, machine, monkeypatch, capfd):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 18, "final", 0))
    assert run(checkout) == bootstrap.MISSING
    assert "This is Python 3.9, but initcheck needs 3.11 or newer" in capfd.readouterr().err
    assert not machine.runs


def test_the_oldest_python_is_the_one_in_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=" + ".".join(map(str, bootstrap.OLDEST_PYTHON))


def test_requirements_have_the_form_that_the_set_up_reads():
    """Every requirement is a name, or a name and its oldest version; no markers, no caps."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+(>=[0-9.]+)?", line)] == []
    assert len(bootstrap._requirements(str(ROOT))) == len(lines)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.14.1", (2, 14, 1)), ("2.14.1+cpu", (2, 14, 1)), ("2.15.0rc1", (2, 15, 0)), ("0", (0,))],
)
def test_versions_are_compared_as_numbers(version, numbers):
    assert bootstrap._numbers(version) == numbers


# --- the running interpreter


@pytest.fixture
def installed(checkout, monkeypatch):
    """Sets the distributions that the running Python seems to have, and initcheck's origin."""
    versions = {"torch": "2.14.1+cpu", "numpy": "2.4.6", "pytest-xdist": "3.8.0"}
    origin = {"url": checkout.as_uri(), "dir_info": {"editable": True}}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    def distribution(name):
        version_of = {"initcheck": "0.1.0", **versions}
        if name not in version_of or not origin:
            raise importlib.metadata.PackageNotFoundError(name)
        return SimpleNamespace(read_text=lambda _: json.dumps(origin))

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    return SimpleNamespace(versions=versions, origin=origin)


def test_a_complete_interpreter_is_used(checkout, installed, monkeypatch):
    commands = []
    monkeypatch.setattr(bootstrap, "_hand_over", lambda command: commands.append(command) or 7)
    assert run(checkout) == 7
    assert commands == [[sys.executable, "-m", "pytest", "tests"]]
    assert not (checkout / ".venv").exists()


def test_an_interpreter_without_a_requirement_is_not_used(checkout, installed):
    del installed.versions["pytest-xdist"]
    assert not bootstrap._is_installed(str(checkout))


def test_an_interpreter_with_an_old_requirement_is_not_used(checkout, installed):
    installed.versions["torch"] = "2.3.1"
    assert not bootstrap._is_installed(str(checkout))


def test_an_interpreter_with_another_checkout_is_not_used(checkout, installed):
    installed.origin["url"] = checkout.parent.as_uri()
    assert not bootstrap._is_installed(str(checkout))


def test_an_interpreter_with_a_copy_is_not_used(checkout, installed):
    installed.origin["dir_info"] = {}
    assert not bootstrap._is_installed(str(checkout))


def test_an_interpreter_without_initcheck_is_not_used(checkout, installed):
    installed.origin.clear()
    assert not bootstrap._is_installed(str(checkout))


# --- processes


def handed_over(code):
    """Exit code and output of a process that hands over to this code."""
    program = "import sys; from benchmarks import bootstrap; print('before'); "
    program += "raise SystemExit(bootstrap._hand_over([sys.executable, '-c', sys.argv[1]]))"
    done = subprocess.run(
        [sys.executable, "-c", program, code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_the_exit_code_of_pytest_is_returned():
    assert handed_over("print('after'); raise SystemExit(5)") == (5, "before\nafter\n")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signals")
def test_a_killed_pytest_does_not_exit_with_0():
    assert handed_over("import os; os.kill(os.getpid(), 9)")[0] == -9


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot replace a process")
def test_a_signal_reaches_pytest():
    """Pytest and the process that set it up have one id."""
    code, output = handed_over("import os; print(os.getppid())")
    assert (code, int(output.split()[1])) == (0, os.getpid())


def test_a_missing_program_gives_an_exit_code():
    assert bootstrap._call(["/no/such/program"])[0] == 127


def test_the_output_of_a_quiet_command_is_returned():
    assert bootstrap._call([sys.executable, "-c", "print(1)"]) == (0, "1\n")


PARALLEL = ["-n", "auto", "--maxprocesses", "8", "--dist", "worksteal"]
WITHOUT = ["-p", "no:hypothesispytest"]


NO_TABLES = [*WITHOUT, "--benchmark-quiet"]  # no tables of timings after the results


@pytest.mark.parametrize(
    ("folder", "given", "first"),
    [
        ("tests", ["-k", "y"], PARALLEL), ("benchmarks", ["-k", "y"], WITHOUT),
        ("benchmarks", ["-v"], WITHOUT), ("benchmarks", [], NO_TABLES),
        ("benchmarks", ["--initcheck-html", "p.html"], NO_TABLES),
    ],
)  # fmt: skip
def test_folder_runs_as_a_module(folder, given, first):
    """`python3 -m FOLDER` passes its own name and its arguments to the set-up.

    Options that the user gives come last, so that they count.
    """
    code = (
        "import runpy, sys; from benchmarks import bootstrap\n"
        "bootstrap.run_pytest = lambda folder, arguments: print(folder, arguments)\n"
        f"sys.argv = ['x', *{given}]; runpy.run_module({folder!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{folder} {[*first, *given]}\n"
