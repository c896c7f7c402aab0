"""Replicas are dealt out to worker processes; fake workers record their jobs."""

import pytest

from benchmarks.peers import agreement, rounds
from benchmarks.peers.names import EACH_CORE, ONE_CORE


class FakeWorker:
    """A worker whose losses are its seeds and whose jobs take one second."""

    def __init__(self):
        self.jobs = []

    def send(self, **job):
        self.jobs.append(job["settings"])

    def answer(self):
        losses = [[seed] for seed in self.jobs[-1].get("seeds", [])]
        return {"began": 1.0, "ended": 2.0, "result": losses}


@pytest.fixture
def crew():
    """Four cores."""
    made = rounds.Crew()
    made.pinned, made.free = [FakeWorker() for _ in range(4)], FakeWorker()
    return made


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_every_seed_is_dealt_once_and_no_share_is_empty(crew, count):
    """With more cores than seeds some workers get no job; losses come back in the seeds' order."""
    seeds = list(range(count))
    seconds, losses = crew.run(EACH_CORE, "train", "plain", {"seeds": seeds}, now=True)
    shares = [share["seeds"] for worker in crew.pinned for share in worker.jobs]
    assert [len(worker.jobs) for worker in crew.pinned] == [1] * min(4, count) + [0] * (4 - count)
    assert all(shares)
    assert sorted(seed for share in shares for seed in share) == seeds
    assert agreement.together(losses)[:, 0].tolist() == seeds
    assert seconds == 1.0


def test_job_without_seeds_runs_on_every_core_of_a_layout(crew):
    crew.run(EACH_CORE, "gate", "products", {"cores": 4}, now=True)
    assert [worker.jobs for worker in crew.pinned] == [[{"cores": 4}]] * 4
    crew.run(ONE_CORE, "gate", "products", {"cores": 4}, now=True)
    assert [len(worker.jobs) for worker in crew.pinned] == [2, 1, 1, 1]
