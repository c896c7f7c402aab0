"""Which runs of the gate are to be made, and by which commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from initcheck.baselines.limits import read_limits
from initcheck.claims import Claim
from initcheck.error_rates import fingerprint, ways
from initcheck.error_rates.runs import Run
from initcheck.error_rates.ways import ROOT
from initcheck.faults import FAULTS, bound
from initcheck.faults.innocent import INNOCENT

HEADLINE = (  # cheapest first
    "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns", "he_beats_randn",
    "identity_caps_residual_rank", "hadamard_breaks_rank_cap",
)  # fmt: skip
DIGITS = 6  # of the fingerprint in a clean run's salt


@dataclass(frozen=True)
class Plan:
    """One run to make: these tests, under this change or fault, with this salt.

    Attributes:
        number: of a clean run; it decides the way in which the run is made.
        fingerprint: of everything that decides the run; empty if nothing does (innocent changes).
        device: if empty, the devices that work.
        before: the stored run, if these tests changed and run again.
    """

    kind: str
    name: str
    salt: str
    tests: tuple[str, ...] = ()
    number: int | None = None
    fingerprint: str = ""
    python: str = sys.executable
    judge: str = "all"
    device: str = ""
    before: Run | None = None

    @property
    def claims(self) -> set[str]:
        """The names of the claims that the tests hold."""
        return {test.rpartition("::test_")[2] for test in self.tests}

    @property
    def run(self) -> Run:
        """The run, without results."""
        way = {} if self.number is None else ways.drawn(self.number)
        return Run(
            self.kind, self.name, self.salt, number=self.number, way=way,
            fingerprint=self.fingerprint,
        )  # fmt: skip

    @property
    def slots(self) -> int:
        """How many of the runs that ``--jobs`` allows at a time it counts for."""
        return 2 if self.run.way.get("processes") == "-n 2" else 1

    def current_fingerprint(self) -> str:
        """The fingerprint now, of the checkout as it is."""
        if self.kind == "clean":
            return fingerprint.of_gate(ROOT)
        return fingerprint.of_fault(ROOT, self.claims) if self.kind == "fault" else ""

    def stored(self, run: Run | None) -> bool:
        """Whether this run need not be made: it ended, and what decides it is as it was."""
        if run is None or self.before is not None:
            return False
        if self.kind == "innocent":
            return True
        return run.exit is not None and run.fingerprint == self.fingerprint

    def invocation(self, baselines: Path, scratch: Path) -> ways.Invocation:
        """The command of the run, which writes its results to ``results.json`` in ``scratch``."""
        if self.number is not None:
            return ways.invocation(self.number, self.salt, scratch)
        command = self._command(baselines, scratch / "results.json")
        change = INNOCENT.get(self.name) if self.kind == "innocent" else None
        return ways.Invocation(command, Path.cwd(), dict(change.variables) if change else {})

    def _command(self, baselines: Path, json: Path) -> list[str]:
        common = [*self.tests, "--initcheck-json", str(json)]
        if baselines.resolve() != ROOT / "baselines":
            common += ["--initcheck-baselines", str(baselines)]
        if self.salt:
            common += ["--initcheck-salt", self.salt]
        if self.judge != "all":
            common += ["--initcheck-judge", self.judge]
        if self.device:
            common += ["--initcheck-device", self.device]
        if self.kind == "innocent" and self.name in INNOCENT:
            change = [self.name, *common, *INNOCENT[self.name].options]
            return [self.python, "-m", "initcheck.error_rates.changes", *change]
        fault = ["--initcheck-fault", self.name] if self.kind == "fault" else []
        return [self.python, "-m", "pytest", *common, *fault]


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
        Plan(
            "innocent", name, "", nodes(claims, {*names}.difference(spares)), python=python,
            judge="record",
        )
        for name, spares, python in changes
    ]  # fmt: skip


def faults(
    claims: Sequence[Claim], baselines: Path, *, runs: int, headline: int,
    names: Sequence[str] = (), device: str = "",
) -> list[Plan]:  # fmt: skip
    """Runs of every fault against the claims bound to it: the first run of each, then the second.

    A fault that a limit of a headline claim names gets ``headline`` runs, others get ``runs``.
    """
    plans = []
    limits = read_limits(baselines / "limits.toml")
    for name, victims in bound(limits).items():
        tests = nodes(claims, victims)
        if not tests or (names and name not in names):
            continue
        if FAULTS[name].needs_accelerator and device in ("", "cpu"):
            continue
        named = any(name in {x.fault for x in limits.get(c, {}).values()} for c in HEADLINE)
        salt = f"{name}-{device}" if device else name
        plan = Plan("fault", name, "", tests, device=device)
        plan = replace(plan, fingerprint=plan.current_fingerprint())
        wanted = headline if named else runs
        plans += [(i, replace(plan, salt=f"{salt}-{i}")) for i in range(wanted)]
    return [plan for _, plan in sorted(plans, key=lambda pair: pair[0])]


def clean(runs: int) -> list[Plan]:
    """Runs of the whole gate with nothing changed, in the ways in which users run it.

    Their salts depend on the fingerprint, so that a changed gate is measured on fresh seeds.
    """
    now = fingerprint.of_gate(ROOT)
    return [
        Plan("clean", "suite", f"suite-{now[:DIGITS]}-{i}", number=i, fingerprint=now)
        for i in range(runs)
    ]


def reruns(plans: Iterable[Plan], runs: Iterable[Run], commit: str) -> list[Plan]:
    """The plans whose runs are stored and were not run again at this commit yet."""
    known = {run.key: run for run in runs}
    stored = [(plan, known[plan.run.key]) for plan in plans if plan.run.key in known]
    return [
        replace(plan, before=run) for plan, run in stored
        if commit not in {run.again.get(claim) for claim in plan.claims}
    ]  # fmt: skip


def counted(runs: Iterable[Run], baselines: Path) -> list[Run]:
    """The runs that say something about the gate as it is now.

    Clean runs and runs of faults count if they ended and nothing that decides them has changed.
    """
    whole = fingerprint.of_gate(ROOT)
    victims = bound(read_limits(baselines / "limits.toml"))
    of_fault = {name: fingerprint.of_fault(ROOT, claims) for name, claims in victims.items()}

    def now(run: Run) -> bool:
        if run.kind not in ("clean", "fault"):
            return True
        current = whole if run.kind == "clean" else of_fault.get(run.name)
        return run.exit is not None and run.fingerprint == current

    return [run for run in runs if now(run)]


def unfit() -> str:
    """Why whole runs cannot be made here as users make them, as a sentence; empty if they can."""
    where = _imported("benchmarks")
    if where is None or Path(where).parent.parent != ROOT:
        return (
            f"{sys.executable} imports benchmarks from {where or 'nowhere'} when it is called "
            f"outside {ROOT}, so it would not run this checkout's claims. Run "
            f"`{sys.executable} -m pip install -e '{ROOT}[test]'`."
        )
    if _imported("xdist") is None:
        return "Runs with `-n 2` need pytest-xdist. Run `pip install -e '.[test]'`."
    if shutil.which("taskset") is None:
        return "Runs on one core need the command taskset, which Linux has (package util-linux)."
    return ""


def _imported(module: str) -> str | None:
    """The file from which a Python outside the checkout imports this module."""
    program = (
        f"import importlib.util as u; s = u.find_spec({module!r}); print(s and s.origin or '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=os.sep, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None


def _torch_of(python: str) -> str:
    program = "import torch; print(torch.__version__)"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return f"torch-{done.stdout.strip()}"
