"""Training steps that show when each parameter first has a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from initcheck.inspection.calling import unreached
from initcheck.inspection.findings import NotJudged
from initcheck.inspection.first import directions
from initcheck.inspection.observed import First
from initcheck.inspection.rows import split
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named, named_tensors

STEPS = 4
BATCHES = 3
#: Every entry with a gradient moves by this much at each step, so what can wake does.
STEP = 1e-3


class Watch:
    """For each parameter and seed, at which steps its gradient was not exactly zero.

    Attributes:
        awake: the first step, from 1, by name and seed; a name that is missing never had one.
        reached: names of parameters that took part in the loss, so that autograd gave a gradient.
        fed: paths of modules that were given a sample.
        called: paths of modules that were called.
    """

    def __init__(self) -> None:
        self.awake: dict[tuple[str, int], int] = {}
        self.reached: set[str] = set()
        self.fed: set[str] = set()
        self.called: set[str] = set()

    def settled(self, name: str, seeds: tuple[int, ...], step: int) -> bool:
        """Whether neither this step nor a later one can change when a parameter wakes."""
        wakes = self.wakes(name, seeds)
        return wakes is not None and wakes <= step

    def wakes(self, name: str, seeds: tuple[int, ...]) -> int | None:
        """The first step at which a parameter had a gradient under any seed."""
        return min((self.awake[name, s] for s in seeds if (name, s) in self.awake), default=None)


def train(start: Start, seed: int, batches: Sequence[object], watch: Watch) -> bool:
    """Take the steps from one seed; False if a loss is not finite, which is noted.

    Steps and parts of a batch that could not change the answer are left out.

    Raises:
        InspectionError: the loss reaches no parameter.
    """
    module = start.subject(seed, None).module.train()
    hooks = [
        each.register_forward_pre_hook(_feeding(path, watch))
        for path, each in module.named_modules()
        if not isinstance(each, torch.jit.ScriptModule)  # takes no hooks
    ]  # fmt: skip
    tensors = [each for each in named_tensors(module) if each.trainable]
    taken = start.first if seed == start.seeds[0] else None
    for step in range(1, STEPS + 1):
        waiting = {t.name for t in tensors if not watch.settled(t.name, start.seeds, step)}
        if not waiting:
            break
        if step > 1 or taken is None:
            taken = First()
            with directions(tensors, taken):
                why = _step(start, module, batches[(step - 1) % BATCHES], taken, waiting)
            if why:
                why = f"{why} at step {step} of seed {seed}"
                start.not_judged.append(NotJudged("asleep", "", why, requested=True))
                return False
            if step == 1 and not taken.reached:
                raise unreached()
        watch.reached |= taken.reached
        for name in taken.awake:
            watch.awake.setdefault((name, seed), step)
        _move(tensors, taken.moves)
    for hook in hooks:
        hook.remove()
    return True


def _step(start: Start, module: nn.Module, batch: object, taken: First, waiting: set[str]) -> str:
    """Take gradients of a batch until all parameters that are waited for have one.

    Returns:
        Why that is impossible; empty if nothing is wrong.
    """
    for part, share in split(batch, start.first.at_once if start.first else 0):
        loss = start.subject.first_loss(module, part)
        if not bool(torch.isfinite(loss)):
            return f"the loss is {float(loss.detach())}"
        if not loss.requires_grad:
            raise unreached()
        (loss if share == 1.0 else share * loss).backward()  # type: ignore[no-untyped-call]
        if waiting <= taken.awake:
            break
    return ""


def _feeding(path: str, watch: Watch) -> Callable[[nn.Module, tuple[object, ...]], None]:
    """A hook that notes whether a module was given a sample."""

    def hook(module: nn.Module, inputs: tuple[object, ...]) -> None:  # noqa: ARG001
        watch.called.add(path)
        tensors = [each for each in inputs if isinstance(each, Tensor)]
        if not tensors or any(each.numel() for each in tensors):
            watch.fed.add(path)

    return hook


@torch.no_grad()
def _move(tensors: Iterable[Named], moves: dict[str, Tensor]) -> None:
    for each in tensors:
        move = moves.pop(each.name, None)
        if move is not None:
            each.tensor.sub_(move, alpha=STEP)
