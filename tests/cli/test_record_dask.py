"""`record --dask` with a scheduler and two workers, of which one is killed while it records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.projects import CLAIMS, ROOT, ZEROS_STAY

distributed = pytest.importorskip(
    "distributed", reason="dask.distributed is not installed: pip install distributed"
)
FILES = 3
DEADLINE = 900  # seconds; an idle machine needs a tenth of it


@pytest.fixture
def files(project):
    """A project with four files of one claim each."""
    (project.path / "test_claims.py").unlink()
    for number in range(FILES):
        text = CLAIMS.replace("zeros_stay", f"zeros_stay_{number}")
        project.claims(text.replace("steps=5", f"steps={5 + number}"), f"test_claims_{number}")
    project.limits(
        "".join(ZEROS_STAY.replace("zeros_stay", f"zeros_stay_{n}") for n in range(FILES))
    )
    return project


@pytest.fixture
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


def record(project, out, *more):
    command = ["from initcheck.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"]
    arguments = ["record", "a test", "--device", "cpu", "--out", str(out), *more]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.Popen(
        [sys.executable, "-c", *command, *arguments], cwd=project.path, text=True,
        env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def evidence(folder):
    """What was recorded, without time, reason and number of threads."""
    found = {}
    for path in sorted((folder / "evidence").glob("*.json")):
        whole = json.loads(path.read_text(encoding="utf-8"))
        for entry in whole["environments"]:
            for key in ("date", "digest", "commit", "origin", "reason"):
                entry.pop(key, None)
            entry["environment"].pop("threads", None)
        found[path.stem] = whole
    return found


def kill_one_that_records(cluster):
    """Kill a worker that has a job, as soon as there is one; returns its number of jobs."""
    until = time.monotonic() + DEADLINE
    with distributed.Client(cluster) as client:
        while time.monotonic() < until:
            busy = {address: jobs for address, jobs in client.processing().items() if jobs}
            if busy:
                address = next(iter(busy))
                pids = client.run(os.getpid)
                os.kill(pids[address], signal.SIGKILL)
                return len(busy[address])
            time.sleep(0.05)
    pytest.fail("no worker got a job")
    return 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process so")
def test_a_killed_worker_changes_no_evidence(files, cluster):
    shared, serial = files.path / "shared", files.path / "serial"
    recording = record(files, shared, "--dask", cluster.scheduler_address)
    assert kill_one_that_records(cluster) >= 1
    output, _ = recording.communicate(timeout=DEADLINE)
    assert recording.returncode == 0, output
    serial.mkdir()
    (serial / "limits.toml").write_text((files.path / "baselines" / "limits.toml").read_text())
    files.run("--initcheck-device=cpu", "--initcheck-record=first", "--initcheck-baselines=serial")
    assert len(evidence(shared)) == FILES
    assert evidence(shared) == evidence(serial)
