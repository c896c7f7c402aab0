"""Trains ahead, in processes of its own: what the collected claims are about to ask for.

pytest runs one claim after the other, though no arm waits for another. So every claim is rehearsed,
which tells its comparisons and judges nothing, and every arm of theirs goes into one errand: all
its seeds, probed and held against its envelope. Only numbers come back, under the very comparison
that will ask for them; whatever does not come back, the claim works out itself.
"""

from __future__ import annotations

import functools
import gc
import multiprocessing
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import torch

from initcheck import seeds, training
from initcheck.laboratory import Laboratory
from initcheck.networks import Network
from initcheck.pairs import Pair
from initcheck.profile import WAITING
from initcheck.recipes import Arm
from initcheck.verdict import Key, Known, Verdict

WORTH = 4000  # replica-steps; below, a process takes longer to start than to be of use
OURS = ("request", "verdict", "initcheck_device", "initcheck_init")  # fixtures that change nothing
# How a test ends itself: none of them is an Exception, so that no test swallows them by accident.
OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception)
LOOK = 0.2  # seconds between two looks at what the processes have done


class Rehearsal(Verdict):
    """A verdict that notes its comparisons and judges none."""

    def _judge(self, pair: Pair) -> None:
        self.pairs.append(pair)


def rehearse(item: pytest.Item, verdict: Rehearsal) -> Rehearsal | None:
    """The comparisons of a claim's test, or None where it needs more than its parameters.

    A fixture, even one that nobody asks for by name, may skip the test.
    """
    if not isinstance(item, pytest.Function) or item.cls is not None or _may_skip(item):
        return None
    given = {"verdict": verdict} | getattr(getattr(item, "callspec", None), "params", {})
    if not set(item.fixturenames) <= {*given, *OURS}:
        return None
    asked = item._fixtureinfo.argnames  # noqa: SLF001 -- no public name for a test's arguments
    try:
        item.function(**{name: given[name] for name in asked})
    except (Exception, *OUTCOMES):  # noqa: BLE001 -- the test itself will say what it is
        return None
    return verdict


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
    """Every arm in one errand, in the order in which claims first ask.

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
            errand, places = Errand(), _places(arm)
            found.append(errand)
        errand.asked[arm] = those
        room[kind] = errand, places - count
    return found


def _kind(arm: Arm) -> tuple[object, ...]:
    """What arms must share to be replicas of one another."""
    return arm.network, arm.recipe, arm.data


def _places(arm: Arm) -> int:
    """How many replicas go into one chunk; none where the network cannot even be built."""
    try:
        return _room(arm.network)
    except Exception:  # noqa: BLE001 -- the claim meets the same error, and words it
        return 0


@functools.cache  # a network of millions of weights takes 20 ms to build, and arms share them
def _room(network: Network) -> int:
    return training.room(network.fresh(0))


# --- processes ------------------------------------------------------------------------------------

_WAITING: list[Errand] = []  # a process that is forked finds them here, and is told a number


@dataclass(frozen=True)
class Parcel:
    """What an errand brings home: numbers, and where its time went."""

    known: dict[Key, Known]
    purposes: dict[str, float]
    arms: dict[str, float]


def _go(number: int) -> Parcel:
    errand = _WAITING[number]
    profile = errand.verdict.laboratory.profile
    profile.clear()
    return Parcel(errand.run(), dict(profile.purposes), dict(profile.arms))


def _load() -> None:
    """Make torch import what the first optimizer of a process needs, so that a fork has it.

    It is much of torch's compiler, 850 modules: else every process spends 1.7 s on them. They stay
    until the end, so Python need not look whether they are garbage: that took 2 s, most at exit.
    """
    torch.optim.SGD([torch.zeros(1)]).step()
    gc.freeze()


def _settle() -> None:
    """A process of its own trains on one thread: as many run as there are cores."""
    torch.set_num_threads(1)


def possible() -> bool:
    """Whether a process can be had that is like this one: macOS's libraries do not survive it."""
    return sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()


class Ahead:
    """Errands on their way; ``laboratory`` is told of their time and progress."""

    def __init__(self, laboratory: Laboratory, work: Sequence[Errand], processes: int) -> None:
        self._laboratory = laboratory
        _WAITING[:] = work
        _load()
        self._pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("fork"), initializer=_settle
        )
        with _quiet_fork():
            self._sent = [self._pool.submit(_go, number) for number in range(len(work))]
        self._steps = [errand.steps for errand in work]
        self._wanted = {k: number for number, errand in enumerate(work) for k in errand.answers()}
        self._home: dict[int, Parcel | None] = {}

    def known(self, key: Key) -> Known | None:
        """What was found for this side of a comparison, or None: then it has to be worked out."""
        number = self._wanted.get(key)
        if number is None:
            return None
        if number not in self._home:
            self._home[number] = self._fetched(self._sent[number])
        parcel = self._home[number]
        return None if parcel is None else parcel.known[key]

    def _fetched(self, errand: Future[Parcel]) -> Parcel | None:
        with self._laboratory.profile.spent(WAITING):
            self._wait(errand)
        try:
            parcel = errand.result()
        except Exception:  # noqa: BLE001 -- the claim meets the same error, and words it
            return None
        self._laboratory.profile.add(parcel.purposes, parcel.arms)
        return parcel

    def _wait(self, errand: Future[Parcel]) -> None:
        while not wait([errand], timeout=LOOK).done:
            done = sum(
                steps for sent, steps in zip(self._sent, self._steps, strict=True) if sent.done()
            )
            self._laboratory.progress("all arms", done, sum(self._steps))

    def close(self) -> None:
        """Call back whoever is still out."""
        self._wanted.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


@contextmanager
def _quiet_fork() -> Iterator[None]:
    """Python warns of any fork beside threads; torch's are idle, and the child needs none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def send(
    rehearsals: Iterable[tuple[pytest.Item, Rehearsal]], laboratory: Laboratory, processes: int
) -> Ahead | None:
    """Rehearse the claims and send for their arms, or None where that would gain nothing."""
    if processes < 2 or not possible():
        return None
    rehearsed = [rehearse(item, verdict) for item, verdict in rehearsals]
    work = errands(verdict for verdict in rehearsed if verdict is not None)
    if sum(errand.steps for errand in work) < WORTH:
        return None
    return Ahead(laboratory, work, processes)
