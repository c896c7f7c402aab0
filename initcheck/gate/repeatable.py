"""Whether an arm's start is a function of its seed: built in two orders and in two processes.

Evidence of any other start would follow what ran before it, and the next run would be a false
alarm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from initcheck.arms import Arm
from initcheck.baselines.evidence import BaselineError
from initcheck.envelope.fingerprints import first_difference, start_marks
from initcheck.gate import seeds
from initcheck.training.randomness import other_global_state

BUILT = 2  # seeds; enough for two orders, and each build may be an expensive pretraining
OTHER = 1  # a seed of the global generators that they rarely have
Marks = Mapping[str, Any]  # of a start, by parameter: see `start_marks`


def start_of(arm: Arm, order: Sequence[int] | None = None) -> dict[str, Any]:
    """The fingerprints of an arm's start on the first two reference seeds.

    Args:
        arm: what is built.
        order: the places of the seeds in the order in which they are built; ``(0, 1)`` by default.
    """
    chosen = seeds.reference()[:BUILT]
    built = {place: arm.build(chosen[place]) for place in order or range(BUILT)}
    state = [dict(built[place].named_parameters()) for place in range(BUILT)]
    stacked = {name: torch.stack([each[name].detach() for each in state]) for name in state[0]}
    return start_marks(stacked)


def demand(arm: Arm, elsewhere: Mapping[str, Marks] | None) -> None:
    """Demand that an arm starts the same whatever was built before it, and in any process.

    Args:
        arm: what is to be recorded.
        elsewhere: the fingerprints that a second process made, by arm; None if there was none.

    Raises:
        BaselineError: the start depends on something other than its seed.
    """
    here = start_of(arm)
    with other_global_state(OTHER):
        again = start_of(arm, order=(1, 0))
    _compare(arm, here, again, "its seeds are built in another order")
    if elsewhere is None:
        return
    if str(arm) not in elsewhere:
        raise BaselineError(
            f"The arm '{arm}' was not built by a second process, so nobody knows whether its start "
            "depends on its seed alone, and nothing was recorded. Declare the same arms whenever "
            "the claim's test is called."
        )
    _compare(arm, here, elsewhere[str(arm)], "another process builds it")


def _compare(arm: Arm, here: Marks, there: Marks, when: str) -> None:
    name = first_difference(dict(here), dict(there), BUILT)
    if name is not None:
        raise BaselineError(
            f"The arm '{arm}' starts from other values of {name} when {when}, so nothing was "
            "recorded. A start must be a function of its seed: in the initializer and in build(), "
            "draw from the given generator or from torch's global one as initcheck seeds it, and "
            "use no counter, clock, hash or generator of another library."
        )
