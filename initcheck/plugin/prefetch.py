"""Trains ahead: what the collected claims are about to ask for, all seeds of an arm at once.

On the CPU in processes of their own, on an accelerator in this one, when a claim first asks. Only
numbers come back; whatever does not come back, the claim works out itself.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

import pytest
import torch

from initcheck import devices
from initcheck.datasets.arrays import DataError
from initcheck.devices import forks
from initcheck.gate.profile import WAITING
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Key, Known
from initcheck.plugin.plan import Errand, Rehearsal, errands, rehearse

WORTH = 4000  # replica-steps; below, a process takes longer to start than to be of use
LOOK = 0.2  # seconds between two looks at what the processes have done

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


def load() -> None:
    """Make torch import what the first optimizer of a process needs, so that a fork has it.

    It is much of torch's compiler, 850 modules: else every process spends 1.7 s on them. They stay
    until the end, so Python need not look whether they are garbage: that took 2 s, most at exit.
    """
    with devices.letting_sleep():  # an optimizer asks for accelerators
        torch.optim.SGD([torch.zeros(1)]).step()
    gc.freeze()


def _settle() -> None:
    """A process of its own trains on one thread of the CPU: as many run as there are cores."""
    torch.set_num_threads(1)
    devices.hide_accelerators()


def _go_early(number: int) -> Parcel:
    _settle()
    return _go(number)


class Ahead:
    """Errands on their way; ``laboratory`` is told of their time and progress."""

    def __init__(self, laboratory: Laboratory, work: Sequence[Errand], processes: int) -> None:
        self._laboratory = laboratory
        _WAITING[:] = work
        untrained = [number for number, errand in enumerate(work) if not errand.steps]
        self._early = Early(untrained, _go_early)  # these need nothing of what is loaded now
        load()
        begun = self._early.call_in()
        self._pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("fork"), initializer=_settle
        )
        with forks.quietly():
            self._sent = {
                number: self._pool.submit(_go, number)
                for number in range(len(work)) if number not in begun
            }  # fmt: skip
        self._steps = [errand.steps for errand in work]
        self._wanted = {k: number for number, errand in enumerate(work) for k in errand.answers()}
        self._home: dict[int, Parcel | None] = {}

    def known(self, key: Key) -> Known | None:
        """What was found for this side of a comparison, or None: then it has to be worked out."""
        number = self._wanted.get(key)
        if number is None:
            return None
        if number not in self._home:
            self._home[number] = self._fetched(number)
        parcel = self._home[number]
        return None if parcel is None else parcel.known[key]

    def _fetched(self, number: int) -> Parcel | None:
        with self._laboratory.profile.spent(WAITING):
            parcel = self._parcel(number)
        if parcel is not None:
            self._laboratory.profile.add(parcel.purposes, parcel.arms)
        return parcel

    def _parcel(self, number: int) -> Parcel | None:
        if number not in self._sent:
            return self._early.found.get(number)
        errand = self._sent[number]
        self._wait(errand)
        try:
            return errand.result()
        except Exception:  # noqa: BLE001 -- the claim meets the same error, and words it
            return None

    def _wait(self, errand: Future[Parcel]) -> None:
        while not wait([errand], timeout=LOOK).done:
            done = sum(self._steps[number] for number, sent in self._sent.items() if sent.done())
            self._laboratory.progress("all arms", done, sum(self._steps))

    def close(self) -> None:
        """Call back whoever is still out."""
        self._wanted.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


class AtOnce:
    """Errands that this process runs itself, each when a claim first asks for a part of it."""

    def __init__(self, work: Iterable[Errand]) -> None:
        self._wanted = {key: errand for errand in work for key in errand.answers()}
        self._found: dict[Key, Known] = {}

    def known(self, key: Key) -> Known | None:
        """What is found for this side of a comparison, or None: then it has to be worked out."""
        errand = self._wanted.get(key)
        if errand is not None:
            for one in errand.answers():
                del self._wanted[one]
            with contextlib.suppress(Exception):  # the claim meets the same error, and words it
                self._found.update(errand.run())
        return self._found.get(key)

    def close(self) -> None:
        """Run no more of them."""
        self._wanted.clear()


Rehearsals = Iterable[tuple[pytest.Item, Rehearsal]]


def send(rehearsals: Rehearsals, laboratory: Laboratory, processes: int) -> Ahead | None:
    """Rehearse the claims and send for their arms, or None where that would gain nothing."""
    if processes < 2 or not devices.forkable():
        return None
    work = errands_of(rehearsals)
    if sum(errand.steps for errand in work) < WORTH:
        return None
    if laboratory.download:
        _fetch(work, laboratory)
    try:
        return Ahead(laboratory, work, processes)
    except OSError:  # no more processes are to be had here: the claims train for themselves
        return None


def _fetch(work: Iterable[Errand], laboratory: Laboratory) -> None:
    """Download what is missing once, before several processes would write to the same files."""
    for name in dict.fromkeys(arm.data for errand in work for arm in errand.asked):
        with contextlib.suppress(DataError):  # the claim meets the same error, and words it
            laboratory.data(name)


def at_once(rehearsals: Rehearsals) -> AtOnce:
    """Rehearse the claims of an accelerator, on which arms that go together cost little more."""
    return AtOnce(errands_of(rehearsals))


def errands_of(rehearsals: Rehearsals) -> list[Errand]:
    """All arms of these claims."""
    rehearsed = [rehearse(item, verdict) for item, verdict in rehearsals]
    return errands(verdict for verdict in rehearsed if verdict is not None)


Found = TypeVar("Found")


class Early(Generic[Found]):
    """Works through numbered errands, one after the other, until it is called in."""

    def __init__(self, numbers: Sequence[int], go: Callable[[int], Found]) -> None:
        context = multiprocessing.get_context("fork")
        self._numbers = numbers
        self._begun = context.Value("i", 0)  # how many, whichever process looks
        self._ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=self._work, args=(go, theirs), daemon=True)
        with forks.quietly():
            self._process.start()
        theirs.close()  # so that the end of the process is the end of what it says

    def call_in(self) -> frozenset[int]:
        """Let it begin no other errand; returns those that it has begun."""
        with self._begun.get_lock():
            begun, self._begun.value = self._begun.value, len(self._numbers)
        return frozenset(self._numbers[:begun])

    @cached_property
    def found(self) -> dict[int, Found]:
        """What came of each errand; waits for the last one. One that failed is missing."""
        try:
            found: dict[int, Found] = self._ours.recv()
        except EOFError:  # it died
            return {}
        self._process.join()
        return found

    def _work(self, go: Callable[[int], Found], theirs: Connection) -> None:
        found = {}
        for place, number in enumerate(self._numbers):
            with self._begun.get_lock():
                if self._begun.value > place:
                    break
                self._begun.value = place + 1
            with contextlib.suppress(Exception):
                found[number] = go(number)
        theirs.send(found)
