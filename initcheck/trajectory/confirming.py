"""Seeds that left their record while the typical one follows it: does rounding explain that?

Rounding that decides on which side of zero a ReLU's input is can throw a single seed far off though
nothing has changed. Then the twins of today's run are on both sides, and one of them follows the
record. If none does, this seed trains otherwise than recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from initcheck.trajectory.compare import Comparison
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.recording import TWINS
from initcheck.trajectory.reference import Reference
from initcheck.trajectory.run import run
from initcheck.trajectory.seeds import OfSeed, of_seed
from initcheck.trajectory.traces import Trace
from initcheck.trajectory.twins import Disturbance

#: Of a seed: today's twins, one after the other, each run when it is asked for.
Twins = Callable[[int], Iterator[Trace]]


def twins_of_today(
    loop: Loop, steps: int, done: Callable[[], None] = lambda: None
) -> Callable[[int], Iterator[Trace]]:
    """Twins of a loop as it is now: ``TWINS`` per seed, with other errors than the record's twins.

    Args:
        loop: the user's loop.
        steps: the number of steps of each run.
        done: called after each run.
    """

    def twins(seed: int) -> Iterator[Trace]:
        for number in range(TWINS, 2 * TWINS):
            trace = run(loop, seed, steps, disturb=Disturbance(seed, number))
            done()
            yield trace

    return twins


def confirmed(comparison: Comparison, reference: Reference, twins: Twins) -> Comparison:
    """Decide a comparison whose typical seed follows the record while others do not.

    A seed's r with rounding is the smallest of its run and of its twins, each the largest over all
    losses, tensors and steps that are judged: one run must follow the record throughout.

    Args:
        comparison: any; it is returned as it is unless it is ``unconfirmed``.
        reference: what it was compared with.
        twins: the twins of a seed. No more are run once one of them follows the record.
    """
    if comparison.verdict != "unconfirmed" or comparison.tensors is None:
        return comparison
    judged, seeds = comparison.tensors.judged, []
    for each in comparison.seeds:
        nearest = each.r
        for trace in twins(each.seed) if each.changed else ():
            nearest = min(nearest, of_seed(trace, reference, judged, each.allowed).r)
            if nearest <= each.allowed:
                break
        seeds.append(replace(each, nearest=nearest) if each.changed else each)
    changed = [each for each in seeds if each.changed]
    if not changed:
        return replace(comparison, verdict="unchanged", seeds=tuple(seeds))
    first = min(changed, key=lambda each: (each.first_step, -each.r))
    return replace(
        comparison, verdict="changed", why=_why(changed, len(seeds)), seeds=tuple(seeds),
        first_step=first.first_step, tensor=first.tensor,
    )  # fmt: skip


def _why(changed: Sequence[OfSeed], count: int) -> str:
    """What to say about seeds that changed, of so many."""
    each = "; ".join(
        f"seed {seed.seed} by {seed.r:.3g} envelopes, first at step {seed.first_step} in "
        f"{seed.tensor or 'the loss'}"
        for seed in changed
    )
    nearest = min(seed.nearest for seed in changed if seed.nearest is not None)
    one = len(changed) == 1
    return (
        f"{len(changed)} of {count} seeds left {'its' if one else 'their'} record: {each}. "
        f"{changed[0].allowed:.3g} are allowed. Rounding alone does not explain it: none of "
        f"{TWINS} twins of {'this seed' if one else 'these seeds'} that were run today comes "
        f"nearer than {nearest:.3g}. {count - len(changed)} of {count} seeds follow their record."
    )
