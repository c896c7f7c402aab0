"""What the collected claims are about to ask for, told before any of them runs.

pytest runs one claim after the other, though no arm waits for another. So every claim is rehearsed,
which tells its comparisons and judges nothing, and every arm of theirs goes into one errand: all
its seeds, probed and held against its envelope, under the very comparison that will ask for them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from initcheck.arms import Arm
from initcheck.gate import seeds
from initcheck.gate.comparison import Pair
from initcheck.gate.verdict import Key, Known, Verdict
from initcheck.networks import Network
from initcheck.training import train as training

OURS = ("request", "verdict", "initcheck_device", "initcheck_init")  # fixtures that change nothing
# How a test ends itself: none of them is an Exception, so that no test swallows them by accident.
OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception)


class Rehearsal(Verdict):
    """A verdict that notes its comparisons and judges none."""

    def _judge(self, pair: Pair) -> None:
        self.pairs.append(pair)


def rehearse(item: pytest.Item, verdict: Rehearsal) -> Rehearsal | None:
    """The comparisons of a claim's test, or None where it needs more than its parameters.

    A fixture, even one that nobody asks for by name, may skip the test, or make something else of
    a parameter. So may a comparison be one that nothing can be trained for.
    """
    if not isinstance(item, pytest.Function) or item.cls is not None or _may_skip(item):
        return None
    given = {"verdict": verdict} | getattr(getattr(item, "callspec", None), "params", {})
    if not set(item.fixturenames) <= {*given, *OURS} or _made_of(item, {*given}.difference(OURS)):
        return None
    asked = item._fixtureinfo.argnames  # noqa: SLF001 -- no public name for a test's arguments
    try:
        item.function(**{name: given[name] for name in asked})
        for pair in verdict.pairs:
            for side, arm in pair.arms.items():
                _ = verdict.key(pair, side), hash(arm), arm.initializer.remembers
    except (Exception, *OUTCOMES):  # noqa: BLE001 -- the test itself will say what it is
        return None
    return verdict


def _made_of(item: pytest.Function, parameters: Iterable[str]) -> bool:
    """Whether a fixture stands between a parameter and what the test is given."""
    known = item.session._fixturemanager  # noqa: SLF001 -- no public name says where a value is from
    return any(known.getfixturedefs(name, item) for name in parameters)


def _may_skip(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("skip", "skipif", "usefixtures"))


Asked = tuple[Verdict, Pair, str]  # one side of a comparison


@dataclass
class Errand:
    """Arms for one process, and every comparison in which each has a side."""

    asked: dict[Arm, list[Asked]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Replica-steps, without the starts."""
        return sum(len(drawn(asked)) * arm.recipe.steps for arm, asked in self.asked.items())

    def answers(self) -> Iterator[Key]:
        """What comes home."""
        return (v.key(pair, side) for asked in self.asked.values() for v, pair, side in asked)

    def run(self) -> dict[Key, Known]:
        """Train, then measure for each comparison what it will ask for."""
        kinds: dict[object, dict[Arm, list[Asked]]] = {}
        for arm, asked in self.asked.items():
            kinds.setdefault(_kind(arm), {})[arm] = asked
        return {key: known for same in kinds.values() for key, known in self._run(same).items()}

    def _run(self, same: dict[Arm, list[Asked]]) -> dict[Key, Known]:
        """All seeds together, of arms that share network, recipe and data."""
        first = self.verdict
        wanted = {arm: drawn(asked) for arm, asked in same.items()}
        first.laboratory.train_together(wanted, first.device)
        found = {
            verdict.key(pair, side): verdict.look(pair, side)
            for asked in same.values() for verdict, pair, side in asked
        }  # fmt: skip
        for arm in wanted:
            first.laboratory.release(arm, first.device)
        return found

    @property
    def verdict(self) -> Verdict:
        """Any of those that ask: they share laboratory and device."""
        return next(iter(self.asked.values()))[0][0]


def drawn(asked: Iterable[Asked]) -> tuple[int, ...]:
    """The seeds of all comparisons, once each."""
    every = [verdict.drawn(seeds.FIRST) + verdict.referred() for verdict, _, _ in asked]
    return tuple(dict.fromkeys(seed for some in every for seed in some))


def errands(verdicts: Iterable[Verdict]) -> list[Errand]:
    """Every arm in one errand, in the order in which claims of one device first ask.

    Arms that differ in their start alone go together while they have room in one chunk: a chunk of
    four replicas takes nearly as long as one of sixteen. So do those from a start that a process
    remembers, whatever their network: two processes would work it out twice.
    """
    asked: dict[Arm, list[Asked]] = {}
    for verdict in verdicts:
        for pair in verdict.pairs:
            for side, arm in pair.arms.items():
                asked.setdefault(arm, []).append((verdict, pair, side))
    found: list[Errand] = []
    room: dict[tuple[object, ...], tuple[Errand, int]] = {}  # the last of its kind, places left
    for arm, those in asked.items():
        alike = arm.initializer.remembers
        kind = (arm.initializer,) if alike else _kind(arm)
        count = len(drawn(those))
        errand, places = room.get(kind, (None, 0))
        if errand is None or (count > places and not alike):
            errand, places = Errand(), _places(arm, those[0][0].device)
            found.append(errand)
        errand.asked[arm] = those
        room[kind] = errand, places - count
    return found


def _kind(arm: Arm) -> tuple[object, ...]:
    """What arms must share to be replicas of one another."""
    return arm.network, arm.recipe, arm.data


def _places(arm: Arm, device: str) -> int:
    """How many replicas go into one chunk; none where the network cannot even be built."""
    try:
        return _room(arm.network, device)
    except Exception:  # noqa: BLE001 -- the claim meets the same error, and words it
        return 0


@functools.cache  # a network of millions of weights takes 20 ms to build, and arms share them
def _room(network: Network, device: str) -> int:
    return training.room(network.fresh(0), device)
