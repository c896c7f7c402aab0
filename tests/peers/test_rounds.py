"""How replicas are dealt out to processes, with processes that only note what they are told."""

import pytest

from benchmarks.peers import agreement, rounds
from benchmarks.peers.names import EACH_CORE, ONE_CORE


class Noting:
    """A worker whose losses are its seeds, found in one second."""

    def __init__(self):
        self.told = []

    def send(self, **order):
        self.told.append(order["settings"])

    def answer(self):
        found = [[seed] for seed in self.told[-1].get("seeds", [])]
        return {"began": 1.0, "ended": 2.0, "found": found}


@pytest.fixture
def crew():
    """Four cores."""
    made = rounds.Crew()
    made.pinned, made.free = [Noting() for _ in range(4)], Noting()
    return made


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_every_seed_is_dealt_once_and_nobody_gets_an_empty_share(crew, count):
    """On more cores than seeds some have nothing to do; losses come back in the seeds' order."""
    seeds = list(range(count))
    seconds, found = crew.do(EACH_CORE, "train", "plain", {"seeds": seeds}, now=True)
    told = [share["seeds"] for worker in crew.pinned for share in worker.told]
    assert [len(worker.told) for worker in crew.pinned] == [1] * min(4, count) + [0] * (4 - count)
    assert all(told)
    assert sorted(seed for share in told for seed in share) == seeds
    assert agreement.together(found)[:, 0].tolist() == seeds
    assert seconds == 1.0


def test_work_without_seeds_is_done_on_every_core_of_a_layout(crew):
    crew.do(EACH_CORE, "gate", "products", {"cores": 4}, now=True)
    assert [worker.told for worker in crew.pinned] == [[{"cores": 4}]] * 4
    crew.do(ONE_CORE, "gate", "products", {"cores": 4}, now=True)
    assert [len(worker.told) for worker in crew.pinned] == [2, 1, 1, 1]
