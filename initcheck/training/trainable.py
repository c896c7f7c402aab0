"""Whether a network can be trained at all, and trained again with the same result."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from initcheck.arms import DTYPES, Arm, derived, order
from initcheck.datasets import DataSet
from initcheck.devices import compute
from initcheck.networks import NetworkError
from initcheck.training import modules, plain
from initcheck.training.work import Work


def check(arm: Arm, start: nn.Module) -> None:
    """Check that an arm with steps has something to train.

    Raises:
        NetworkError: the network has no parameters, or all of them are frozen.
    """
    parameters = list(start.parameters())
    if not arm.recipe.steps or any(p.requires_grad for p in parameters):
        return
    problem = "all its parameters are frozen" if parameters else "it has no parameters"
    raise NetworkError(
        f"The network '{arm.network.name}' cannot be trained for {arm.recipe.steps} steps: "
        f"{problem}. Give it a parameter with requires_grad=True, or use a recipe with steps=0."
    )


def check_repeats(arm: Arm, start: nn.Module, data: DataSet) -> None:
    """Train one step of a custom module twice on the CPU, and check that both are equal in bits.

    A network of torch's own layers is not checked: it draws from torch's generators only, which are
    seeded for every replica.

    Args:
        arm: what is trained; it is built twice with one seed.
        start: the arm's module at its start, which is left unchanged.
        data: the data set, on any device and in the recipe's dtype.

    Raises:
        NetworkError: the two differ, so the network depends on more than its seed.
    """
    if not arm.recipe.steps or modules.is_its_state(start):
        return
    try:
        repeats = _repeats(arm, data)
    except Exception:  # noqa: BLE001 -- training meets the same error and reports it
        return
    if not repeats:
        raise NetworkError(
            f"The arm '{arm.label}' cannot be repeated: its network '{arm.network.name}' was built "
            "and trained for one step twice with the same seed, and the results differ. Its "
            "forward or its constructor depends on more than the seed, such as the clock or random "
            "numbers of Python or numpy. Draw from torch's global generator, which is seeded."
        )


def _repeats(arm: Arm, data: DataSet) -> bool:
    """Whether building the network and training it for one step gives the same bits twice."""
    starts = [arm.build(0) for _ in range(2)]
    if not _equal_modules(*starts):  # an initializer's fault is not the network's
        return _equal_modules(*(arm.network.fresh(0) for _ in range(2)))
    losses = [_one_step(arm, start, data) for start in starts]
    return _equal_modules(*starts) and _equal(*losses)


def _one_step(arm: Arm, start: nn.Module, data: DataSet) -> Tensor:
    """The loss of one step, which trains ``start`` with a fixed seed and fixed images."""
    recipe = replace(arm.recipe, steps=1, keep_at=(), keep=())
    batches = order(0, len(data.train_targets), recipe)[None]  # (1, 1, B)
    work = Work(
        recipe, data.to("cpu", DTYPES[recipe.dtype]), batches, "cpu", [derived(0, "training")]
    )
    with compute.threads(1):
        return plain.run([start], work).losses


def _equal_modules(a: nn.Module, b: nn.Module) -> bool:
    """Whether parameters and buffers are equal."""
    first, second = ([*m.parameters(), *m.buffers()] for m in (a, b))
    return all(map(_equal, first, second))


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal; NaN equals NaN."""
    return torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
