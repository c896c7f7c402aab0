"""Plans runs of the gate, makes each in its own process until the time is up, and stores them."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from initcheck import results
from initcheck.baselines.limits import read_limits
from initcheck.claims import Claim
from initcheck.error_rates import forkserver, rates
from initcheck.error_rates.changes import INNOCENT
from initcheck.error_rates.runs import Run, from_results, in_order, merged, read, store
from initcheck.faults import FAULTS, bound

HEADLINE = (  # cheapest first
    "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns", "he_beats_randn",
    "identity_caps_residual_rank", "hadamard_breaks_rank_cap",
)  # fmt: skip
CORES = os.cpu_count() or 1
REPEATS = 2  # runs of all claims bound to a fault, before its runs end at the first red claim
Key = tuple[str, str, str]  # kind, name and salt of a run
SUITE = "the whole suite"  # stands for a claim if the run failed and no claim was red
LIMIT_SECONDS = 1800  # per run; a whole suite takes ten minutes on a loaded machine


@dataclass(frozen=True)
class Plan:
    """One run to make: these tests, under this change or fault, with this salt."""

    kind: str
    name: str
    salt: str
    tests: tuple[str, ...]
    python: str = sys.executable
    judge: str = "all"
    device: str = ""  # if empty, the devices that work
    until_red: bool = False  # stop at the first claim that is not green
    before: Run | None = None  # the stored run, if these tests changed and run again

    @property
    def claims(self) -> set[str]:
        """The names of the claims that the tests hold."""
        return {test.rpartition("::test_")[2] for test in self.tests}

    @property
    def run(self) -> Run:
        """The run, without results."""
        return Run(self.kind, self.name, self.salt)

    def command(self, baselines: Path, json: Path) -> list[str]:
        """The command of the run, which writes its results to ``json``."""
        common = [
            *self.tests, "-q", "-p", "no:cacheprovider", "--initcheck-baselines", str(baselines),
            "--initcheck-json", str(json),
        ]  # fmt: skip
        if self.salt:
            common += ["--initcheck-salt", self.salt]
        if self.judge != "all":
            common += ["--initcheck-judge", self.judge]
        if self.device:
            common += ["--initcheck-device", self.device]
        if self.until_red:
            common += ["--exitfirst"]
        if self.kind == "innocent" and self.name in INNOCENT:
            change = [self.name, *common, *INNOCENT[self.name].options]
            return [self.python, "-m", "initcheck.error_rates.changes", *change]
        fault = ["--initcheck-fault", self.name] if self.kind == "fault" else []
        return [self.python, "-m", "pytest", *common, *fault]

    def variables(self) -> dict[str, str]:
        """The environment variables of its process."""
        change = INNOCENT.get(self.name) if self.kind == "innocent" else None
        return {**os.environ, **(change.variables if change else {})}


def nodes(claims: Sequence[Claim], names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The tests of the claims with these names, as pytest takes them; all if names is None."""
    wanted = None if names is None else set(names)
    tests = [(c.file, c.claim.partition("[")[0]) for c in claims]
    chosen = [f"{file}::test_{name}" for file, name in tests if wanted is None or name in wanted]
    return tuple(dict.fromkeys(chosen))


def innocents(claims: Sequence[Claim], pythons: Sequence[str] = (), device: str = "") -> list[Plan]:
    """One run under every innocent change and with every other interpreter, or on one device.

    Only the record is judged: r depends only on the four reference seeds, too few to test a gain.
    """
    if device:
        return [Plan("innocent", device, "", nodes(claims), judge="record", device=device)]
    names = [c.claim.partition("[")[0] for c in claims]
    changes = [(name, change.spares, sys.executable) for name, change in INNOCENT.items()]
    changes += [(_torch_of(python), (), python) for python in pythons]
    return [
        Plan("innocent", name, "", nodes(claims, {*names}.difference(spares)), python, "record")
        for name, spares, python in changes
    ]


def faults(
    claims: Sequence[Claim], baselines: Path, *, runs: int, headline: int,
    names: Sequence[str] = (), device: str = "",
) -> list[Plan]:  # fmt: skip
    """Runs of every fault against the claims bound to it: the first run of each, then the second.

    A fault that a limit of a headline claim names gets ``headline`` runs, which start with these
    claims; other faults get ``runs``. Headline claims that do not name the fault run last, because
    they are expensive.
    """
    plans = []
    limits = read_limits(baselines / "limits.toml")
    for name, victims in bound(limits).items():
        named = [c for c in HEADLINE if name in {x.fault for x in limits.get(c, {}).values()}]
        expensive = [c for c in HEADLINE if c in victims and c not in named]
        parts = [*([c] for c in named), {*victims} - {*HEADLINE}, *([c] for c in expensive)]
        tests = tuple(test for part in parts for test in nodes(claims, part))
        if not tests or (names and name not in names):
            continue
        if FAULTS[name].needs_accelerator and device in ("", "cpu"):
            continue
        wanted = headline if named else runs
        salt = f"{name}-{device}" if device else name
        plans += [
            (i, Plan("fault", name, f"{salt}-{i}", tests, device=device)) for i in range(wanted)
        ]
    return [plan for _, plan in sorted(plans, key=lambda pair: pair[0])]


def clean(claims: Sequence[Claim], runs: int) -> list[Plan]:
    """Runs of the whole suite on fresh seeds with nothing changed."""
    tests = nodes(claims)
    return [Plan("clean", "suite", f"operating-{i}", tests, judge="outcomes") for i in range(runs)]


def reruns(plans: Iterable[Plan], runs: Iterable[Run]) -> list[Plan]:
    """The plans whose runs are stored and were not run again at this commit yet."""
    known, current = {run.key: run for run in runs}, commit()
    stored = [(plan, known[plan.run.key]) for plan in plans if plan.run.key in known]
    return [
        replace(plan, before=run) for plan, run in stored
        # One claim decides, because the second run may have ended at its first red claim.
        if current not in {run.again.get(claim) for claim in plan.claims}
    ]  # fmt: skip


def measure(
    plans: Iterable[Plan], folder: Path, baselines: Path, *, minutes: float, jobs: int = 1
) -> int:
    """Make the planned runs that are not stored yet, in order, and return their number."""
    until = time.monotonic() + 60 * minutes
    runs = {run.key: run for run in read(folder)}
    before = len(runs)
    with ThreadPoolExecutor(jobs) as pool:
        under_way: set[Future[Run | None]] = set()
        for plan in plans:
            if len(under_way) == jobs:
                under_way = _collected(under_way, FIRST_COMPLETED, folder, runs)
            if time.monotonic() > until:
                break
            if plan.run.key not in runs or plan.before is not None:
                limited = replace(plan, until_red=settled(plan, runs.values()))
                under_way.add(pool.submit(one, limited, baselines, max(1, CORES // jobs)))
        _collected(under_way, ALL_COMPLETED, folder, runs)
    return len(runs) - before


def _collected(
    under_way: set[Future[Run | None]], until: str, folder: Path, runs: dict[Key, Run]
) -> set[Future[Run | None]]:
    """Store the runs that are done, and return those that are not."""
    done, rest = wait(under_way, return_when=until)
    for run in filter(None, (future.result() for future in done)):
        store(folder, run)
        runs[run.key] = run
        print(f"{run.kind} {run.name} {run.salt}: red {', '.join(run.red) or 'nothing'}")
    return rest


def settled(plan: Plan, runs: Iterable[Run]) -> bool:
    """Whether the run may end at its first red claim.

    It may if an arm left its envelope or its start in each of the fault's first ``REPEATS`` runs:
    they have shown which claims go red, and these seeds never change.
    """
    same = [run for run in runs if plan.kind == "fault" and run.name == plan.name]
    return len(same) >= REPEATS and all(map(rates.by_envelope, in_order(same)[:REPEATS]))


def one(plan: Plan, baselines: Path, threads: int = 1) -> Run | None:
    """Make one run; for a fault that the record alone catches, judge only the record."""
    if plan.kind == "fault":
        found = _one(replace(plan, judge="record"), baselines, threads)
        if found and found.red and (plan.until_red or rates.by_envelope(found)):
            return found
    return _one(plan, baselines, threads)


def _one(plan: Plan, baselines: Path, threads: int) -> Run | None:
    """Make one run; return None, and print the end of its output, if it wrote no results.

    A clean run counts as not green if it crashed, or if its exit code is not 0 although no claim
    was red: then a claim did not run.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        json = Path(folder) / "results.json"
        output, status = _execute(plan, plan.command(baselines, json), threads)
        written = results.read(json) if json.exists() else None
    if written is None:
        print(f"{plan.kind} {plan.name}: the run wrote no results. Its output ends with:")
        print(output[-2000:])
        return _not_run(plan.before or plan.run, status) if plan.kind == "clean" else None
    environment = written.environment
    run = from_results(
        written.results, kind=plan.kind, name=plan.name, salt=plan.salt, commit=commit(),
        torch=environment.torch, machine=_machine(environment),
        date=_today(),
        seconds=round(time.monotonic() - began, 1),
    )  # fmt: skip
    if plan.kind == "clean":
        run = replace(run, arms={})  # r does not depend on the salt
        run = _not_run(run, status) if status and not run.red else run
    return run if plan.before is None else merged(plan.before, run, plan.claims)


def _not_run(run: Run, status: int) -> Run:
    """The clean run, marked as not green because a claim did not run."""
    reason = f"pytest ended with {status}, and no claim was red"
    return replace(
        run, commit=commit(), date=_today(), claims=run.claims | {SUITE: "invalid"},
        why={SUITE: reason},
    )  # fmt: skip


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()


def _execute(plan: Plan, command: Sequence[str], threads: int) -> tuple[str, int]:
    """The output of the command, and its exit code.

    It is forked, unless the change needs another interpreter or environment.
    """
    if plan.kind != "innocent" and forkserver.possible():
        return forkserver.run(command[3:], threads=threads, seconds=LIMIT_SECONDS)
    done = subprocess.run(
        command, env=plan.variables() | {"OMP_NUM_THREADS": str(threads)}, capture_output=True,
        text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr, done.returncode


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
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def _torch_of(python: str) -> str:
    program = "import torch; print(torch.__version__)"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return f"torch-{done.stdout.strip()}"
