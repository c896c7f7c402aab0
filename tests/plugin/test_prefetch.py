"""Prefetched arms give what each claim would compute by itself."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection

import pytest

from benchmarks import conftest
from initcheck.devices import forks
from initcheck.gate import jobs
from initcheck.gate.trainer import Laboratory
from initcheck.plugin import prefetch, session
from tests.helpers import projects

SHARED = """
@claim(source="a test", kind="exact")
def test_he_has_weights(verdict):
    \"\"\"From He's start, weights are not zero, and answers differ between images.\"\"\"
    verdict.holds(logit_spread, treated=HE, control=ZEROS)
    verdict.holds(weight_magnitude, treated=HE, control=ZEROS)
"""
WEIGHTS = "".join(
    projects.limit("he_has_weights", probe, "min = 0.1")
    for probe in ("logit_spread", "weight_magnitude")
)
CALLS = """
import multiprocessing, os

def dies_elsewhere(trained):
    if multiprocessing.parent_process() is not None:
        {death}
    return logit_spread(trained)

@claim(source="a test", kind="exact")
def test_he_tells_images_apart(verdict):
    \"\"\"From He's start, answers differ between images.\"\"\"
    verdict.holds(dies_elsewhere, treated=HE, control=ZEROS)
"""

pytestmark = pytest.mark.skipif(not forks.supported(), reason="no process can be forked here")


@pytest.fixture
def two_processes(monkeypatch):
    """Two cores, and no job too small for a worker; returns the jobs that were submitted."""
    submitted = []

    class Noted(prefetch.Workers):
        def __init__(self, laboratory, jobs, processes):
            submitted.extend(jobs)
            super().__init__(laboratory, jobs, processes)

    monkeypatch.setattr(session, "_threads", lambda config: 2)
    monkeypatch.setattr(prefetch, "WORTH", 0)
    monkeypatch.setattr(prefetch, "Workers", Noted)
    return submitted


@pytest.fixture
def trained_here(monkeypatch):
    """Seeds that this very process trained."""
    drawn, train = [], Laboratory._train

    def noted(self, arm, seeds, device):
        if multiprocessing.parent_process() is None:
            drawn.extend(seeds)
        return train(self, arm, seeds, device)

    monkeypatch.setattr(Laboratory, "_train", noted)
    return drawn


def numbers(results):
    return [
        [(p["probe"], p["treated"], p["control"], p["margin"], p["drift"]) for p in r["probes"]]
        for r in results
    ]


@pytest.fixture
def shared(project):
    """Two claims that share two arms, with evidence."""
    project.claims(projects.CLAIMS + SHARED)
    project.limits(projects.ZEROS_STAY + WEIGHTS)
    project.run("--initcheck-device=cpu", "--initcheck-record=first")
    return project


def test_values_and_envelopes_are_those_computed_here(
    shared, two_processes, trained_here, monkeypatch
):
    there = shared.results("--initcheck-device=cpu", "--initcheck-require-evidence")
    assert two_processes
    assert not trained_here
    two_processes.clear()
    monkeypatch.setattr(session, "_threads", lambda config: 1)
    here = shared.results("--initcheck-device=cpu", "--initcheck-require-evidence")
    assert not two_processes
    assert trained_here
    assert [r["verdict"] for r in there] == ["pass"] * 2
    assert numbers(there) == numbers(here)


def test_an_arm_that_claims_share_is_in_one_job_with_all_their_seeds(shared, two_processes):
    shared.run("--initcheck-device=cpu", "--initcheck-seeds=3")
    (uses,) = [job.uses for job in two_processes]  # one network, recipe and data
    assert [arm.initializer.name for arm in uses] == ["zeros", "he"]
    assert [len(sides) for sides in uses.values()] == [3, 3]
    assert [len(jobs.seeds_of(sides)) for sides in uses.values()] == [3, 3]


def test_arms_that_fill_a_chunk_are_separate_jobs(shared, two_processes):
    shared.run("--initcheck-device=cpu", "--initcheck-seeds=9")
    assert [len(job.uses) for job in two_processes] == [1, 1]


AUTOUSE = """
import pytest

@pytest.fixture(autouse=True)
def _not_today():
    pytest.skip("not today")

"""


DOUBLED = """
import pytest

@pytest.fixture(params=[8])
def width(request):
    return 2 * request.param

"""
SKIPPED = "import pytest\n@pytest.mark.skipif(True, reason='so')\n@claim"
WITHIN = "    import pytest; pytest.skip('no')\n    verdict.holds"
NOT_BUILT = "__import__('initcheck').networks.Network('no', int)"


@pytest.mark.parametrize(
    "claims",
    [
        projects.CLAIMS.replace("(verdict)", "(verdict, tmp_path)"),
        AUTOUSE + projects.CLAIMS,
        projects.CLAIMS.replace("@claim", SKIPPED),
        projects.CLAIMS.replace("    verdict.holds", WITHIN),
        DOUBLED + projects.CLAIMS.replace("(verdict)", "(verdict, width)"),
        projects.CLAIMS.replace("steps=5", "steps=5, keep_at=[5]"),
        projects.CLAIMS.replace("treated=ZEROS", "treated=zeros"),
        projects.CLAIMS.replace("mlp(784, 8, 10)", NOT_BUILT),
    ],
    ids=[
        "fixture",
        "autouse",
        "mark",
        "within",
        "fixture of a parameter",
        "unhashable",
        "no arm",
        "no network",
    ],
)
def test_a_claim_that_needs_more_than_its_parameters_is_not_prefetched(
    project, two_processes, claims
):
    project.claims(claims)
    output = project.run("--initcheck-device=cpu", "-rs").text
    assert "INTERNALERROR" not in output
    planned = [arm.network.name for job in two_processes for arm in job.uses]
    assert planned == (["no", "no"] if "int" in claims else [])


COUNTS = """
TIMES = []

@claim(source="a test", kind="exact")
def test_zeros_stay(verdict):
    \"\"\"Weights that start at zero stay there.\"\"\"
    TIMES.append("called")
    verdict.holds(weight_magnitude, treated=[HE, ZEROS][len(TIMES) == 1], control=HE)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_test_is_called_once(project, two_processes, monkeypatch, processes):
    """Called a second time, this one would compare He's start with itself."""
    monkeypatch.setattr(session, "_threads", lambda config: processes)
    project.claims(projects.CLAIMS.partition("@claim")[0] + COUNTS)
    (result,) = project.results("--initcheck-device=cpu")
    assert bool(two_processes) == (processes == 2)
    assert result["verdict"] == "pass"


RAISES = "    raise SystemExit('a riddle')\n    verdict.holds"


def test_what_a_test_raises_is_reported_at_its_turn(project, two_processes):
    project.claims(projects.CLAIMS.replace("    verdict.holds", RAISES) + SHARED)
    project.limits(projects.ZEROS_STAY + WEIGHTS)
    results = project.results("--initcheck-device=cpu")
    assert [r["verdict"] for r in results] == ["invalid", "pass"]
    assert results[0]["message"] == "SystemExit: a riddle"


def test_claims_train_here_where_no_process_can_be_had(shared, monkeypatch, trained_here):
    def none_left(*_):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(session, "_threads", lambda config: 2)
    monkeypatch.setattr(prefetch, "WORTH", 0)
    monkeypatch.setattr(prefetch, "Workers", none_left)
    assert shared.run("--initcheck-device=cpu").ret == 0
    assert trained_here


@pytest.fixture
def as_accelerator(monkeypatch):
    """The CPU is treated as an accelerator; returns the arms of each training in this process."""
    trained, train = [], Laboratory.train_together

    def noted(self, wanted, device):
        trained.append([arm.initializer.name for arm in wanted])
        train(self, wanted, device)

    def on_demand(laboratory, jobs, *_):
        return prefetch.OnDemand(laboratory, jobs)

    monkeypatch.setattr(prefetch, "start", on_demand)
    monkeypatch.setattr(Laboratory, "train_together", noted)
    return trained


def test_accelerator_trains_arms_that_go_together_once(shared, as_accelerator, trained_here):
    there = shared.results("--initcheck-device=cpu", "--initcheck-require-evidence")
    assert as_accelerator == [["zeros", "he"]]
    assert not trained_here
    assert [r["verdict"] for r in there] == ["pass"] * 2


def test_accelerator_measures_what_the_claims_would(shared, as_accelerator, monkeypatch):
    there = shared.results("--initcheck-device=cpu", "--initcheck-require-evidence")
    monkeypatch.setattr(prefetch, "start", lambda laboratory, *_: prefetch.OnDemand(laboratory, ()))
    here = shared.results("--initcheck-device=cpu", "--initcheck-require-evidence")
    assert len(as_accelerator) == 1
    assert numbers(there) == numbers(here)


def test_the_claim_reports_the_error_of_its_job(project, as_accelerator, trained_here):
    project.claims(projects.CLAIMS.replace("mlp(784, 8, 10)", "mlp(784, 8, 7)"))
    (result,) = project.results("--initcheck-device=cpu")
    assert as_accelerator == [["zeros", "he"]]
    assert trained_here
    assert result["verdict"] == "invalid"
    assert "7" in result["probes"][0]["reason"]


@pytest.mark.parametrize("death", ["raise RuntimeError('there')", "os._exit(9)"])
def test_a_claim_computes_what_no_worker_returned(project, two_processes, trained_here, death):
    project.claims(projects.CLAIMS + CALLS.replace("{death}", death))
    limit = projects.limit("he_tells_images_apart", "dies_elsewhere", "min = 0.1")
    project.limits(projects.ZEROS_STAY + limit)
    results = project.results("--initcheck-device=cpu")
    assert [result["verdict"] for result in results] == ["pass", "pass"]
    assert two_processes
    assert trained_here


def test_workers_collect_garbage_although_the_start_does_not(
    project, two_processes, trained_here, monkeypatch
):
    death = "import gc; assert gc.isenabled()"
    project.claims(projects.CLAIMS + CALLS.replace("{death}", death))
    limit = projects.limit("he_tells_images_apart", "dies_elsewhere", "min = 0.1")
    project.limits(projects.ZEROS_STAY + limit)
    plan = session.Session.plan

    def without_garbage_collection(self, items):
        collecting = conftest.pytest_collection()
        next(collecting)
        assert not gc.isenabled()
        plan(self, items)
        with pytest.raises(StopIteration):
            next(collecting)
        assert gc.isenabled()

    monkeypatch.setattr(session.Session, "plan", without_garbage_collection)
    results = project.results("--initcheck-device=cpu")
    assert [result["verdict"] for result in results] == ["pass", "pass"]
    assert two_processes
    assert not trained_here


@pytest.mark.parametrize("option", ["--initcheck-record=again", "--collect-only"])
def test_nothing_is_prefetched_that_is_not_judged(shared, two_processes, option):
    shared.run("--initcheck-device=cpu", option)
    assert not two_processes


def test_little_work_is_done_here(shared, two_processes, monkeypatch, trained_here):
    monkeypatch.setattr(prefetch, "WORTH", 10**6)
    shared.run("--initcheck-device=cpu")
    assert not two_processes
    assert trained_here


def test_no_process_is_left_behind(shared, two_processes):
    shared.run("--initcheck-device=cpu", "-x")
    # A process's sentinel tells whether it has ended. active_children() may still list one that
    # the pool's thread has reaped and not yet crossed off (23 of 400 times while other work ran).
    for process in multiprocessing.active_children():
        assert multiprocessing.connection.wait([process.sentinel], timeout=30)


def test_garbage_collector_does_not_search_torch(shared, two_processes):
    before = gc.get_freeze_count()
    try:
        shared.run("--initcheck-device=cpu")
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_timings_come_after_the_claims(project, two_processes):
    timing = "def test_a_timing(initcheck_session):\n    pass\n"
    project.claims(timing, name="test_before")
    said = project.run("--initcheck-device=cpu", "-v", "-p", "no:randomly").output
    assert said.index("test_zeros_stay") < said.index("test_a_timing")


def test_profile_counts_the_time_of_workers(shared, two_processes):
    said = shared.run("--initcheck-device=cpu", "--initcheck-profile").text
    assert "profile: " in said
    assert "waiting" not in said
    assert "mlp 784-8-10 relu | zeros, he" in said.partition("the slowest arms")[2]
