"""Makes planned runs of the gate, each in its own process, until the time is up; stores them."""

from __future__ import annotations

import datetime as dt
import os
import platform
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from initcheck import results
from initcheck.error_rates import forkserver, ways
from initcheck.error_rates.plans import Plan
from initcheck.error_rates.runs import Run, from_results, merged, only_red, read, store

CORES = os.cpu_count() or 1
Key = tuple[str, str, str]  # kind, name and salt of a run
SUITE = "the whole suite"  # stands for a claim if the run failed and no claim was red
LIMIT_SECONDS = 3 * 3600  # per run; more than a whole one needs on an overloaded machine
#: Someone or something else ended the run: it says nothing about the gate, and is repeated.
STOPPED = frozenset(
    -getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGKILL", "SIGHUP")
    if hasattr(signal, name)
)  # fmt: skip
INTERRUPTED = 2  # pytest's exit code after Ctrl-C, and also if a file cannot be collected


class ChangedError(RuntimeError):
    """What decides a run has changed since the measurement began. The message is a sentence."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        status: its exit code, negative for a signal.
    """

    output: str
    status: int

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped from outside, so that the run has to be repeated."""
        pressed = self.status == INTERRUPTED and "KeyboardInterrupt" in self.output
        return pressed or self.status in STOPPED


def measure(
    plans: Iterable[Plan], folder: Path, baselines: Path, *, minutes: float, jobs: int = 1
) -> int:
    """Make the planned runs that are not stored yet, in order, and return their number.

    Raises:
        ChangedError: a file that decides the runs was changed; runs under way are not stored.
    """
    until = time.monotonic() + 60 * minutes
    runs = {run.key: run for run in read(folder)}
    made = 0
    with ThreadPoolExecutor(jobs) as pool:
        under_way: dict[Future[Run | None], int] = {}
        for plan in plans:
            if plan.stored(runs.get(plan.run.key)):
                continue
            slots = min(plan.slots, jobs)
            while sum(under_way.values()) + slots > jobs:
                made += _collect(under_way, FIRST_COMPLETED, folder, runs)
            if time.monotonic() > until:
                break
            under_way[pool.submit(one, plan, baselines, max(1, CORES // jobs))] = slots
        while under_way:
            made += _collect(under_way, ALL_COMPLETED, folder, runs)
    return made


def _collect(
    under_way: dict[Future[Run | None], int], until: str, folder: Path, runs: dict[Key, Run]
) -> int:
    """Store the runs that are done, remove them from those under way, and return their number."""
    done, _ = wait(under_way, return_when=until)
    made = 0
    for future in done:
        del under_way[future]
        run = future.result()
        if run is None:
            continue
        before = runs.get(run.key)
        earlier = before.interruptions if before and before.fingerprint == run.fingerprint else 0
        run = replace(run, interruptions=earlier + run.interruptions)
        store(folder, run)
        runs[run.key] = run
        made += run.exit is not None
        print(_line(run), flush=True)
    return made


def _line(run: Run) -> str:
    """What is printed about a run."""
    if run.exit is None:
        return f"{run.kind} {run.name} {run.salt}: interrupted, to be repeated"
    way = f" ({', '.join(run.way.values())})" if run.way else ""
    return (
        f"{run.kind} {run.name} {run.salt}{way}, {run.seconds:.0f} s: "
        f"red {', '.join(run.red) or 'nothing'}"
    )


def one(plan: Plan, baselines: Path, threads: int = 1) -> Run | None:
    """Make one run; return None, and print the end of its output, if it wrote no results.

    A clean run counts as not green if it crashed, or if its exit code is not 0 although no claim
    was red: then a claim did not run.

    Raises:
        ChangedError: what decides the run changed before or while it was made.
    """
    _check(plan)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = _execute(plan, plan.invocation(baselines, Path(folder)), threads)
        json = Path(folder) / "results.json"
        written = results.read(json) if json.exists() and not outcome.interrupted else None
    _check(plan)
    about = replace(
        plan.run, commit=commit(), date=_today(), seconds=round(time.monotonic() - began, 1),
        exit=outcome.status,
    )  # fmt: skip
    if outcome.interrupted:
        return replace(about, exit=None, interruptions=1) if plan.kind != "innocent" else None
    if written is None:
        print(f"{plan.kind} {plan.name}: the run wrote no results. Its output ends with:")
        print(outcome.output[-2000:])
        return _not_run(about, outcome) if plan.kind == "clean" else None
    environment = written.environment
    about = replace(about, torch=environment.torch, machine=_machine(environment))
    run = from_results(written.results, **vars(about))
    if plan.kind == "clean":
        run = only_red(run)
        return _not_run(run, outcome) if outcome.status and not run.red else run
    return run if plan.before is None else merged(plan.before, run, plan.claims)


def _check(plan: Plan) -> None:
    if plan.fingerprint and plan.current_fingerprint() != plan.fingerprint:
        raise ChangedError(
            "The gate was changed while it was measured: its code, claims, limits or evidence. "
            "The runs under way were not stored. Start again, or measure in a worktree that nobody "
            "changes."
        )


def _not_run(run: Run, outcome: Outcome) -> Run:
    """The clean run, marked as not green because a claim did not run."""
    ended = f"ended with {outcome.status}"
    if outcome.status == forkserver.TIMED_OUT:
        ended = f"had not ended after {LIMIT_SECONDS} s"
    last = " ".join(outcome.output.split())[-300:]
    reason = f"pytest {ended}, and no claim was red; its output ends with: {last}"
    return replace(run, claims=run.claims | {SUITE: "invalid"}, why={SUITE: reason})


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()


def _execute(plan: Plan, invocation: ways.Invocation, threads: int) -> Outcome:
    """Run the command. A run of a fault is forked from a process that imported everything."""
    if plan.kind == "fault" and forkserver.possible():
        return Outcome(*forkserver.run(invocation.command[3:], seconds=LIMIT_SECONDS))
    environment = invocation.environment()
    if plan.kind == "innocent":
        environment["OMP_NUM_THREADS"] = str(threads)
    # A file, not a pipe: a process that outlives the run would keep a pipe open.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            invocation.command, cwd=invocation.folder, env=environment,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            status = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            status = forkserver.TIMED_OUT
        log.seek(0)
        return Outcome(log.read().decode(errors="replace"), status)


def _machine(environment: results.Environment) -> str:
    """Devices and cores; a CPU comes with the instruction set that torch uses on it.

    Many processors share one name, so the name alone does not identify them.
    """
    names = [_hardware(device) for device in environment.devices]
    return f"{', '.join(names)}, {platform.machine()}, {os.cpu_count()} cores"


def _hardware(device: Mapping[str, Any]) -> str:
    name = str(device.get("hardware") or device["name"])
    instructions = device.get("capability") if device.get("type") == "cpu" else None
    return f"{name} ({instructions})" if instructions else name


def commit() -> str:
    """The commit that is measured, with a plus if the working tree has changes."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],  # noqa: S607 -- the user's git
        cwd=ways.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()
