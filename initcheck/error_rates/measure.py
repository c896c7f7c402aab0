"""Run the gate in processes of their own, each run once, until the time is up."""

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
from initcheck.claims import Claim, collect
from initcheck.error_rates import forkserver, rates
from initcheck.error_rates.changes import INNOCENT
from initcheck.error_rates.runs import Run, in_order, merged, of_results, read, store
from initcheck.faults import FAULTS, bound

HEADLINE = (  # from cheap to dear
    "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns", "he_beats_randn",
    "identity_caps_residual_rank", "hadamard_breaks_rank_cap",
)  # fmt: skip
CORES = os.cpu_count() or 1
REPEATS = 2  # runs of all claims that a fault must kill, before one red claim is enough
Key = tuple[str, str, str]  # of a run
SUITE = "the whole suite"  # in the place of a claim, where none is to blame
LIMIT_SECONDS = 1800  # of one run: on a loaded machine a whole suite takes ten minutes


@dataclass(frozen=True)
class Plan:
    """One run to be made: of these tests, under this change or fault, with this salt."""

    kind: str
    name: str
    salt: str
    tests: tuple[str, ...]
    python: str = sys.executable
    judge: str = "all"
    device: str = ""  # those that work, where empty
    until_red: bool = False  # stop at the first claim that is not green
    before: Run | None = None  # a run that is there already, of which these tests changed

    @property
    def claims(self) -> set[str]:
        """The claims of the tests."""
        return {test.rpartition("::test_")[2] for test in self.tests}

    @property
    def run(self) -> Run:
        """The run without what it will find."""
        return Run(self.kind, self.name, self.salt)

    def command(self, baselines: Path, json: Path) -> list[str]:
        """The process to start."""
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
        """The environment of the process."""
        change = INNOCENT.get(self.name) if self.kind == "innocent" else None
        return {**os.environ, **(change.variables if change else {})}


def nodes(claims: Sequence[Claim], names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Tests of these claims as pytest takes them; of all where no names are given."""
    wanted = None if names is None else set(names)
    found = [(c.file, c.claim.partition("[")[0]) for c in claims]
    chosen = [f"{file}::test_{name}" for file, name in found if wanted is None or name in wanted]
    return tuple(dict.fromkeys(chosen))


def innocents(claims: Sequence[Claim], pythons: Sequence[str] = (), device: str = "") -> list[Plan]:
    """Every change once, and every other interpreter, or another device, asked for the record.

    r hangs on no seed but the reference's, and four seeds could not show a gain.
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
    """Every fault against the claims bound to it, first once each, then again and again.

    Most often those that the headline claims name in their limits: then these claims come first.
    They are dear, so that the others come last.
    """
    plans = []
    limits = read_limits(baselines / "limits.toml")
    for name, victims in bound(limits).items():
        named = [c for c in HEADLINE if name in {x.fault for x in limits.get(c, {}).values()}]
        dear = [c for c in HEADLINE if c in victims and c not in named]
        parts = [*([c] for c in named), {*victims} - {*HEADLINE}, *([c] for c in dear)]
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
    """The whole suite on fresh seeds, nothing changed."""
    tests = nodes(claims)
    return [Plan("clean", "suite", f"operating-{i}", tests, judge="outcomes") for i in range(runs)]


def again(plans: Iterable[Plan], runs: Iterable[Run]) -> list[Plan]:
    """Of these plans, those whose runs are there and were not run again at this commit."""
    known, here = {run.key: run for run in runs}, commit()
    made = [(plan, known[plan.run.key]) for plan in plans if plan.run.key in known]
    return [
        replace(plan, before=run) for plan, run in made
        if here not in {run.again.get(claim) for claim in plan.claims}  # stopped at the first red
    ]  # fmt: skip


def measure(
    plans: Iterable[Plan], folder: Path, baselines: Path, *, minutes: float, jobs: int = 1
) -> int:
    """Make the runs that no shard holds yet, in order, and return how many were made."""
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
                asked = replace(plan, until_red=settled(plan, runs.values()))
                under_way.add(pool.submit(one, asked, baselines, max(1, CORES // jobs)))
        _collected(under_way, ALL_COMPLETED, folder, runs)
    return len(runs) - before


def _collected(
    under_way: set[Future[Run | None]], until: str, folder: Path, runs: dict[Key, Run]
) -> set[Future[Run | None]]:
    """Store what is done, and return what is not."""
    done, rest = wait(under_way, return_when=until)
    for run in filter(None, (future.result() for future in done)):
        store(folder, run)
        runs[run.key] = run
        print(f"{run.kind} {run.name} {run.salt}: red {', '.join(run.red) or 'nothing'}")
    return rest


def settled(plan: Plan, runs: Iterable[Run]) -> bool:
    """Whether one red claim is enough: an arm left its envelope or its start in the first runs.

    These, ``REPEATS`` of them, said which claims go red; the envelope's seeds are always the same.
    """
    same = [run for run in runs if plan.kind == "fault" and run.name == plan.name]
    return len(same) >= REPEATS and all(map(rates.by_envelope, in_order(same)[:REPEATS]))


def one(plan: Plan, baselines: Path, threads: int = 1) -> Run | None:
    """One run; of a fault that the record alone catches, no more than that."""
    if plan.kind == "fault":
        found = _one(replace(plan, judge="record"), baselines, threads)
        if found and found.red and (plan.until_red or rates.by_envelope(found)):
            return found
    return _one(plan, baselines, threads)


def _one(plan: Plan, baselines: Path, threads: int) -> Run | None:
    """One run, or None where it crashed before there were results; its last words are shown.

    A clean run that crashed is a run that was not green, and so is one that ended otherwise than
    with 0 though no claim was red: one of them did not run.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        json = Path(folder) / "results.json"
        said, status = _said(plan, plan.command(baselines, json), threads)
        whole = results.read(json) if json.exists() else None
    if whole is None:
        print(f"{plan.kind} {plan.name}: no results\n{said[-2000:]}")
        return _not_run(plan.before or plan.run, status) if plan.kind == "clean" else None
    environment = whole.environment
    found = of_results(
        whole.results, kind=plan.kind, name=plan.name, salt=plan.salt, commit=commit(),
        torch=environment.torch, machine=_machine(environment),
        date=_today(),
        seconds=round(time.monotonic() - began, 1),
    )  # fmt: skip
    if plan.kind == "clean":
        found = replace(found, arms={})  # r hangs on no salt
        found = _not_run(found, status) if status and not found.red else found
    return found if plan.before is None else merged(plan.before, found, plan.claims)


def _not_run(run: Run, status: int) -> Run:
    """A clean run of which something did not run."""
    said = f"pytest ended with {status}, and no claim was red"
    return replace(
        run, commit=commit(), date=_today(), claims=run.claims | {SUITE: "invalid"},
        why={SUITE: said},
    )  # fmt: skip


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()


def _said(plan: Plan, command: Sequence[str], threads: int) -> tuple[str, int]:
    """Run it, and give its words and its exit status.

    Forked, unless the change needs an interpreter or an environment of its own.
    """
    if plan.kind != "innocent" and forkserver.possible():
        return forkserver.run(command[3:], threads=threads, seconds=LIMIT_SECONDS)
    done = subprocess.run(
        command, env=plan.variables() | {"OMP_NUM_THREADS": str(threads)}, capture_output=True,
        text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr, done.returncode


def _machine(environment: results.Environment) -> str:
    """Devices, a CPU's with the instructions that torch uses: one name is that of many machines."""
    names = [_hardware(device) for device in environment.devices]
    return f"{', '.join(names)}, {platform.machine()}, {os.cpu_count()} cores"


def _hardware(device: Mapping[str, Any]) -> str:
    name = str(device.get("hardware") or device["name"])
    instructions = device.get("capability") if device.get("type") == "cpu" else None
    return f"{name} ({instructions})" if instructions else name


def commit() -> str:
    """The commit that is measured, with a plus where the tree had changes."""
    said = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],  # noqa: S607 -- the user's
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return said.stdout.strip()


def _torch_of(python: str) -> str:
    program = "import torch; print(torch.__version__)"
    said = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return f"torch-{said.stdout.strip()}"


def every_claim() -> list[Claim]:
    """The claims of this project."""
    return collect()
