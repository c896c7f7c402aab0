"""Planned runs are made once, repeated if they were interrupted, and stored as they ended."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace

import pytest

from initcheck.error_rates import fingerprint, measure, plans
from initcheck.error_rates import runs as stored
from initcheck.error_rates.plans import Plan
from initcheck.error_rates.ways import Invocation
from tests.helpers.results import ENVIRONMENT, example, probe, result

PRESSED = "!!!!!!!!!! KeyboardInterrupt !!!!!!!!!!"
COLLECTED = "!!!!!!!!!! Interrupted: 1 error during collection !!!!!!!!!!"


@pytest.fixture(autouse=True)
def fingerprints(monkeypatch):
    """Fingerprints by hand: those of the checkout take a second each."""
    monkeypatch.setattr(fingerprint, "of_gate", lambda root: "gate-now")
    monkeypatch.setattr(fingerprint, "of_fault", lambda root, claims: "fault-now")


WHOLE = Plan("clean", "suite", "suite-gate-n-0", number=0, fingerprint="gate-now")


def fault(number=0):
    return Plan("fault", "leaky_relu", f"leaky_relu-{number}", fingerprint="fault-now")


@pytest.fixture
def made(monkeypatch):
    """The salts of the runs that were made; each ends with 0."""
    salts = []

    def one(plan, *_):
        salts.append(plan.salt)
        return replace(plan.run, exit=0)

    monkeypatch.setattr(measure, "one", one)
    return salts


@pytest.fixture
def ended(monkeypatch, tmp_path):
    """Lets every run end with this output, exit code and, if any, results."""

    def end(output="", status=0, *written):
        def execute(plan, invocation, threads):
            if written:
                place = invocation.command.index("--initcheck-json") + 1
                measure.Path(invocation.command[place]).write_text("{}")
            return measure.Outcome(output, status)

        cpu = {"name": "cpu", "type": "cpu", "hardware": "an abacus", "capability": "BEADS"}
        gpu = {"name": "cuda", "type": "cuda", "hardware": "a loom", "capability": "9.0"}
        about = replace(ENVIRONMENT, devices=[cpu, gpu])
        read = replace(example(*written), environment=about) if written else None
        monkeypatch.setattr(measure, "_execute", execute)
        monkeypatch.setattr(measure.results, "read", lambda _: read)

    return end


# --- which runs are made --------------------------------------------------------------------------


def test_stored_runs_are_not_made_again(tmp_path, made, capsys):
    planned = plans.clean(3)
    stored.store(tmp_path, replace(planned[1].run, exit=1))
    assert measure.measure(planned, tmp_path, tmp_path, minutes=1) == 2
    assert made == [planned[0].salt, planned[2].salt]
    assert measure.measure(planned, tmp_path, tmp_path, minutes=1) == 0


def test_no_run_starts_when_the_time_is_up(tmp_path, made):
    assert measure.measure(plans.clean(3), tmp_path, tmp_path, minutes=-1) == 0
    assert made == []


@pytest.mark.parametrize("before", [{"fingerprint": "fault-before"}, {"exit": None}])
def test_run_of_an_earlier_gate_or_an_interrupted_one_is_replaced(tmp_path, made, capsys, before):
    stored.store(tmp_path, replace(fault().run, **({"exit": 1} | before)))
    assert measure.measure([fault()], tmp_path, tmp_path, minutes=1) == 1
    (run,) = stored.read(tmp_path)
    assert (run.exit, run.fingerprint) == (0, "fault-now")


@pytest.mark.parametrize(("jobs", "most"), [(1, 1), (2, 2), (3, 3)])
def test_run_with_two_workers_takes_the_place_of_two(tmp_path, monkeypatch, capsys, jobs, most):
    taken, seen, lock = [], [], threading.Lock()

    def one(plan, *_):
        mine = min(plan.slots, jobs)
        with lock:
            taken.append(mine)
            seen.append(sum(taken))
        threading.Event().wait(0.01)
        with lock:
            taken.remove(mine)
        return replace(plan.run, exit=0)

    monkeypatch.setattr(measure, "one", one)
    assert measure.measure(plans.clean(20), tmp_path, tmp_path, minutes=1, jobs=jobs) == 20
    assert max(seen) == most


# --- interrupted runs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [
        measure.Outcome(PRESSED, 2), measure.Outcome("", -signal.SIGTERM),
        measure.Outcome("", -signal.SIGKILL), measure.Outcome("", -signal.SIGINT),
        measure.Outcome("", -signal.SIGHUP),
    ],
)  # fmt: skip
@pytest.mark.parametrize("plan", [WHOLE, fault()], ids=["whole run", "fault"])
def test_interrupted_run_is_not_counted_but_repeated(tmp_path, ended, capsys, plan, outcome):
    """What an interrupted run wrote is a part of a run: it may look green, and is not read."""
    green = result("a", probe("pass"))
    ended(outcome.output, outcome.status, green)
    for tries in (1, 2):
        assert measure.measure([plan], tmp_path, tmp_path, minutes=1) == 0
        (run,) = stored.read(tmp_path)
        assert (run.exit, run.claims, run.green, run.interruptions) == (None, {}, 0, tries)
    ended("", 0, green)
    assert measure.measure([plan], tmp_path, tmp_path, minutes=1) == 1
    (run,) = stored.read(tmp_path)
    assert (run.exit, run.green, run.interruptions) == (0, 1, 2)


@pytest.mark.parametrize(
    ("output", "status"),
    [(COLLECTED, 2), ("Segmentation fault", -signal.SIGSEGV), ("", measure.forkserver.TIMED_OUT)],
)
def test_crash_is_no_interruption(tmp_path, ended, capsys, output, status):
    ended(output, status)
    run = measure.one(WHOLE, tmp_path)
    assert (run.exit, run.red) == (status, ("the whole suite",))


# --- one run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, -11])
@pytest.mark.parametrize("written", [(), (result("a", probe("pass")),)], ids=["no results", "all"])
def test_whole_run_in_which_a_claim_did_not_run_is_red(tmp_path, ended, capsys, written, status):
    ended("the last words", status, *written)
    run = measure.one(WHOLE, tmp_path)
    assert run.red == (() if written and status == 0 else ("the whole suite",))
    assert all("the last words" in why for why in run.why.values())
    assert (run.exit, run.way, run.number) == (status, WHOLE.run.way, 0)
    assert run.commit
    assert run.machine.startswith("an abacus (BEADS), a loom, " if written else "")


def test_whole_run_keeps_its_red_claims_with_their_reasons(tmp_path, ended):
    red = result("b", probe("refuted", reason="too far"), parameters="x")
    ended("", 1, result("a", probe("pass")), red)
    run = measure.one(WHOLE, tmp_path)
    assert (run.claims, run.green) == ({"b": "refuted"}, 1)
    assert run.verdicts == {"b[x]": "refuted"}
    assert "too far" in run.why["b"]


def test_process_without_results_is_printed_and_not_counted(tmp_path, ended, capsys):
    ended("Segmentation fault", -11)
    assert measure.one(plans.innocents([])[0], tmp_path) is None
    assert "Segmentation fault" in capsys.readouterr().out


@pytest.mark.parametrize("late", [False, True])
def test_run_of_a_gate_that_changes_meanwhile_is_not_stored(tmp_path, ended, monkeypatch, late):
    states = iter(["gate-now", "changed"] if late else ["changed"])
    monkeypatch.setattr(fingerprint, "of_gate", lambda root: next(states))
    ended("", 0, result("a", probe("pass")))
    with pytest.raises(measure.ChangedError, match="measure in a worktree"):
        measure.measure([WHOLE], tmp_path, tmp_path, minutes=1)
    assert stored.read(tmp_path) == []


def test_command_runs_in_its_folder_with_its_variables(tmp_path):
    program = "import os, sys; print(os.getcwd(), os.environ['X']); sys.exit(3)"
    called = Invocation([sys.executable, "-c", program], tmp_path, {"X": "seven"})
    outcome = measure._execute(WHOLE, called, 1)
    assert outcome == measure.Outcome(f"{tmp_path} seven\n", 3)


def test_command_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "LIMIT_SECONDS", 0.1)
    called = Invocation([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path)
    outcome = measure._execute(WHOLE, called, 1)
    assert (outcome.status, outcome.interrupted) == (measure.forkserver.TIMED_OUT, False)


@pytest.mark.skipif(not measure.forkserver.possible(), reason="this platform cannot fork processes")
def test_forked_run_has_the_output_and_exit_code_of_a_run():
    output, status = measure.forkserver.run(["--initcheck-fault", "no-such-fault"], seconds=300)
    assert "--initcheck-fault: " in output
    assert status == 4
