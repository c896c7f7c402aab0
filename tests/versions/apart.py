"""`python -m tests.versions.apart --device NAME`: each file of claims in a separate process.

A backend that crashes ends one process: the claims of that file are invalid, and the others are
judged. Each file has a time limit, and what it has judged by then counts. What was measured on the
same code is kept, so an interrupted run continues. Exit code 1 unless everything is green or a
known failure.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from initcheck import results
from initcheck.files import read_json, write_atomic
from initcheck.plugin.known import excused, read_known
from initcheck.results import ClaimResult
from tests.versions import measure
from tests.versions.__main__ import PAGE, RUNS
from tests.versions.environment import ROOT, last_line
from tests.versions.page import page

LIMIT = 600  # seconds per file
GRACE = 120  # seconds after Ctrl-C, in which pytest writes what it has judged
COLLECT = ("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider")


def main() -> int:
    """Run what is missing, write the measurement and the page."""
    options = _parser().parse_args()
    files = [
        path for path in sorted((ROOT / "benchmarks").glob("test_*.py"))
        if options.only in path.name and not path.name.startswith("test_speed")
    ]  # fmt: skip
    file = options.runs / f"{options.device}-torch-{torch.__version__.partition('+')[0]}.json"
    whole = read_json(file) if file.exists() else {"device": options.device, "files": {}}
    whole |= {"torch": torch.__version__, "backend": backend(options.device)}
    for path in files:
        before = whole["files"].get(path.name, {})
        if before.get("code") == measure.code("gate") and not options.again:
            continue
        found = judged(path, options.device, options.limit)
        whole["files"][path.name] = found
        text = json.dumps(whole, indent=1, sort_keys=True, allow_nan=False)
        options.runs.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text + "\n")
        print(f"{path.name}: {summary(found)}", flush=True)
    write_atomic(options.page, page(options.runs))
    chosen = [whole["files"][path.name] for path in files]
    return int(any(each["red"] or each["not_judged"] for each in chosen))


def backend(device: str) -> str:
    """The package of a backend that is no part of torch, with its version."""
    name = f"torch_{device}"
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return ""


def judged(path: Path, device: str, limit: float) -> dict[str, Any]:
    """The condensed results of one file of claims."""
    before, began = measure.about("gate"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", str(path), "-q", "-p", "no:cacheprovider"]
        command += [f"--initcheck-device={device}", f"--initcheck-json={file}"]
        status, output = ended(command, limit)
        run = results.read(file) if file.exists() else None
    seconds = {"seconds": round(time.monotonic() - began), "status": status}
    if run is None:
        claims = list(crashed(path, device, status, output))
        run = results.Run(environment=NOWHERE, settings=results.Settings(), results=claims)
    late = f"not within {limit:.0f} s" if time.monotonic() - began > limit else ""
    if late:
        waiting = [replace(each, reason=late) for each in run.not_judged]
        run = replace(run, not_judged=waiting)
    known = [
        {"id": each.id, "verdict": each.verdict, "why": each.known}
        for each in run.results if each.known and not each.fails
    ]  # fmt: skip
    found = measure.condensed(run)
    excuses = {each["id"] for each in known}
    found["red"] = [each for each in found["red"] if each["id"] not in excuses]
    return before | seconds | found | {"known": known, "farthest": found["farthest"][:3]}


NOWHERE = results.Environment(torch=torch.__version__, python="", devices=[])


def ended(command: Sequence[str], limit: float) -> tuple[int, str]:
    """The exit status of a process, negative for a signal, and its output.

    At the limit it gets Ctrl-C first, as pytest then writes the results that it has.
    """
    environment = measure.environment() | {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")
    }
    with _heeding_ctrl_c():
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    for stop in (lambda: process.send_signal(signal.SIGINT), process.kill):
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            stop()
            limit = GRACE
        else:
            return process.returncode, output
    output, _ = process.communicate()
    return process.returncode, output


@contextmanager
def _heeding_ctrl_c() -> Iterator[None]:
    """Let processes that start here heed Ctrl-C: a shell's background job inherits to ignore it."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def crashed(path: Path, device: str, status: int, output: str) -> Iterator[ClaimResult]:
    """An invalid result for each claim of a file whose process wrote no results."""
    how = f"signal {-status}" if status < 0 else f"exit code {status}"
    message = f"The process of {path.name} ended with {how}: {last_line(output)}"
    known = read_known(ROOT / "baselines")
    for node in collected(path, device):
        name = node.rpartition("::")[2].removeprefix("test_")
        result = ClaimResult(
            claim=name.partition("[")[0], id=name, node=node, device=device, kind="measured",
            source="", statement="", verdict="invalid", seconds=0, probes=[], message=message,
        )  # fmt: skip
        yield excused(result, known, torch.__version__)


def collected(path: Path, device: str) -> list[str]:
    """The node ids of a file's claims on a device."""
    done = subprocess.run(
        [sys.executable, *COLLECT, f"--initcheck-device={device}", str(path)],
        cwd=ROOT, env=measure.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if "::test_" in line and device in line]


def summary(found: dict[str, Any]) -> str:
    """The verdicts of a file in one line."""
    count = Counter(found["verdicts"].values())
    parts = [f"{number} {verdict}" for verdict, number in count.items()]
    parts += [f"{len(found['known'])} of them known"] * bool(found["known"])
    parts += [f"{len(found['not_judged'])} not judged"] * bool(found["not_judged"])
    return f"{', '.join(parts) or 'nothing judged'} in {found['seconds']} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.versions.apart", description=__doc__)
    add = parser.add_argument
    add("--device", metavar="NAME", required=True, help="the device, such as cpu")
    add("--only", metavar="TEXT", default="", help="files of claims with this in their name")
    add("--limit", metavar="SECONDS", type=float, default=LIMIT, help=f"per file; default {LIMIT}")
    add("--again", action="store_true", help="run files with a result, too")
    add("--runs", metavar="DIR", type=Path, default=RUNS, help="default baselines/versions")
    add("--page", metavar="FILE", type=Path, default=PAGE, help="default baselines/VERSIONS.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
