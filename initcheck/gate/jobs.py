"""Sorts the arms of all claims into jobs, each for one process.

pytest runs claims one after another, although no arm waits for another. So every arm that any claim
declares goes into one job: all its seeds, measured for every comparison that uses it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from initcheck.arms import Arm
from initcheck.gate import seeds
from initcheck.gate.comparison import Pair
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Key, Measured, Verdict
from initcheck.networks import Network
from initcheck.training import train as training

Use = tuple[Verdict, Pair, str]  # one side of a comparison


@dataclass
class Job:
    """Arms for one process, each with every comparison that uses it."""

    uses: dict[Arm, list[Use]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Replica-steps; building the starts is not counted."""
        return sum(self.replicas(arm) * arm.recipe.steps for arm in self.uses)

    def replicas(self, arm: Arm) -> int:
        """How many replicas of one of its arms are trained, one per seed."""
        return len(seeds_of(self.uses[arm]))

    @property
    def keys(self) -> Iterator[Key]:
        """The sides of comparisons that this job measures."""
        return (v.key(pair, side) for uses in self.uses.values() for v, pair, side in uses)

    def run(self, laboratory: Laboratory) -> dict[Key, Measured]:
        """Train, then measure what each comparison needs."""
        groups: dict[object, dict[Arm, list[Use]]] = {}
        for arm, uses in self.uses.items():
            groups.setdefault(_replicas_of(arm), {})[arm] = uses
        # A difference needs two arms at once. All others are released as soon as measured.
        every = [*groups.values()]
        measured: dict[Key, Measured] = {}
        for together in [every] if any(map(_has_reference, self.uses.values())) else zip(every):
            measured |= _run(together, laboratory)
        return measured


Group = dict[Arm, list[Use]]


def _run(groups: Sequence[Group], laboratory: Laboratory) -> dict[Key, Measured]:
    """Train each group of arms of one network, recipe and data set together, then measure all."""
    uses = {arm: of_arm for group in groups for arm, of_arm in group.items()}
    device = next(iter(uses.values()))[0][0].device
    for group in groups:
        laboratory.train_together({arm: seeds_of(group[arm]) for arm in group}, device)
    measured = {
        verdict.key(pair, side): verdict.measure(pair, side, laboratory)
        for of_arm in uses.values() for verdict, pair, side in of_arm
    }  # fmt: skip
    for arm in uses:
        laboratory.release(arm, device)
    return measured


def _has_reference(uses: Iterable[Use]) -> bool:
    return any(pair.reference is not None for _, pair, _ in uses)


def seeds_of(uses: Iterable[Use]) -> tuple[int, ...]:
    """The seeds of all these comparisons, once each."""
    every = [v.stage_seeds(seeds.FIRST) + v.envelope_seeds() for v, _, _ in uses]
    return tuple(dict.fromkeys(seed for some in every for seed in some))


def jobs(verdicts: Iterable[Verdict]) -> list[Job]:
    """What worker processes train for these verdicts, which are of one device.

    A job is the work that one process does without a break. Every arm is in exactly one job, and
    jobs are in the order in which claims first use their arms.

    Arms that differ only in their start share a job while one chunk has room for them: a chunk of
    four replicas takes nearly as long as one of sixteen. Arms whose start is cached per process
    share a job whatever their network, or two processes would compute the start twice. So do arms
    that are compared with one reference, or two processes would train it.
    """
    uses: dict[Arm, list[Use]] = {}
    for verdict in verdicts:
        for pair in verdict.pairs if _can_be_trained(verdict) else ():
            for side, arm in pair.arms.items():
                uses.setdefault(arm, []).append((verdict, pair, side))
    linked = _linked(pair for of_arm in uses.values() for _, pair, _ in of_arm)
    planned: list[Job] = []
    open_jobs: dict[tuple[object, ...], tuple[Job, int]] = {}  # the last of each kind, room left
    for arm, of_arm in uses.items():
        cached = arm.initializer.remembers
        kind = (arm.initializer,) if cached else _replicas_of(arm)
        kind = ("reference", linked[arm]) if arm in linked else kind
        count = len(seeds_of(of_arm))
        job, room = open_jobs.get(kind, (None, 0))
        if job is None or (count > room and not cached and arm not in linked):
            job, room = Job(), _room(arm, of_arm[0][0].device)
            planned.append(job)
        job.uses[arm] = of_arm
        open_jobs[kind] = job, room - count
    return planned


def _can_be_trained(verdict: Verdict) -> bool:
    """Whether every arm can be a key; the claim itself reports what is wrong otherwise."""
    try:
        for pair in verdict.pairs:
            for side, arm in pair.arms.items():
                _ = verdict.key(pair, side), hash(arm), arm.initializer.remembers
    except Exception:  # noqa: BLE001 -- any error of a user's own arm
        return False
    return True


def _linked(pairs: Iterable[Pair]) -> dict[Arm, int]:
    """A number for each arm that is compared with a reference, equal for arms linked by one."""
    numbers: dict[Arm, int] = {}
    for place, pair in enumerate(pairs):
        if pair.reference is not None:
            joined = {numbers.get(arm) for arm in pair.arms.values()}
            numbers |= dict.fromkeys(pair.arms.values(), place)
            numbers |= {arm: place for arm, number in numbers.items() if number in joined}
    return numbers


def _replicas_of(arm: Arm) -> tuple[object, ...]:
    """What arms must share to be trained as replicas of one network."""
    return arm.network, arm.recipe, arm.data


def _room(arm: Arm, device: str) -> int:
    """How many replicas fit into one chunk; 0 if the network cannot be built."""
    try:
        return _room_for(arm.network, device)
    except Exception:  # noqa: BLE001 -- the claim meets the same error and reports it
        return 0


@functools.cache  # a network of millions of weights takes 20 ms to build, and arms share them
def _room_for(network: Network, device: str) -> int:
    return training.room(network.fresh(0), device)
