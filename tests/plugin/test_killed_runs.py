"""A run that is killed leaves no process and no file behind, whatever killed it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from tests.helpers import projects
from tests.helpers.processes import PATIENCE, PROC, alive, descendants, eventually

SIGNALS = ("SIGTERM", "SIGKILL", "SIGHUP")
LONG = projects.CLAIMS.replace("steps=5", "steps=1_000_000")  # minutes per worker

pytestmark = pytest.mark.skipif(not PROC.is_dir(), reason="processes are looked up in /proc")


def _hang_up() -> None:
    """Obey SIGHUP, also if these tests run under nohup, which ignores it for its children."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def started(project, monkeypatch):
    """Starts a command in the project; kills what is left of it at the end."""
    temporary = project.path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # with one thread nothing is forked
    monkeypatch.setenv("PYTHONPATH", str(projects.ROOT))
    monkeypatch.setenv("INITCHECK_DEVICE", "cpu")
    runs = []

    def start(*command):
        run = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=project.path, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
            preexec_fn=_hang_up,  # noqa: PLW1509 -- these tests start no threads
        )  # fmt: skip
        runs.append(run)
        return run

    yield start
    for run in runs:
        stop(descendants(run.pid))
        run.kill()  # has no effect on a process that has ended
        run.communicate()


def stop(pids):
    """Kill what is left of these processes, so that a test that fails leaves nothing behind."""
    for pid in alive(pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def killed(run, name, count):
    """Wait for so many descendants and kill the run; returns the descendants that it had."""
    assert eventually(lambda: len(descendants(run.pid)) >= count or run.poll() is not None)
    assert run.poll() is None, run.stdout.read()
    had = descendants(run.pid)
    run.send_signal(getattr(signal, name))
    return had


@pytest.mark.parametrize("name", SIGNALS)
def test_workers_end_with_a_run_that_is_killed(project, started, name):
    project.claims(LONG)
    run = started("pytest", "-p", "no:cacheprovider")
    had = killed(run, name, 2)
    try:
        assert eventually(lambda: not alive(had))
        run.communicate(timeout=PATIENCE)  # the pipe is closed: no reader waits for it
    finally:
        stop(had)


@pytest.mark.parametrize("name", SIGNALS)
def test_a_killed_recording_leaves_no_process_and_no_folder(project, started, name):
    project.claims(LONG)
    project.claims(LONG.replace("zeros_stay", "zeros_remain"), "test_more_claims")
    project.limits(projects.ZEROS_STAY + projects.ZEROS_STAY.replace("zeros_stay", "zeros_remain"))
    run = started("initcheck", "record", "why", ".", "--jobs", "2")
    temporary = project.path / "temporary"
    had = killed(run, name, 2)
    try:
        assert list(temporary.iterdir())
        assert eventually(lambda: not alive(had))
        assert eventually(lambda: not list(temporary.iterdir()))
    finally:
        stop(had)
