"""Train an arm: every seed once, chunk by chunk, from the same start on every device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from initcheck import devices
from initcheck.arms import DTYPES, Arm, derived, order
from initcheck.datasets import DataSet, changes
from initcheck.devices import compute
from initcheck.networks import NetworkError
from initcheck.training import ensemble, plain, randomness, stacked
from initcheck.training import modules as by_module
from initcheck.training.work import Jitter, Outcome, Work, join

__all__ = [
    "ENGINES", "How", "NetworkError", "Trained", "chunks", "draws", "ready", "room", "train",
    "train_together",
]  # fmt: skip

ENGINES = {"ensemble": ensemble.run, "module": plain.run}

# Parameter, gradient and two moments of the replicas of a chunk: the most that was of use. Wide
# networks gain little from a cache that two processes share, and much from fewer calls: with 128
# MiB in place of 32, networks of 1 to 2.5 million weights took 10 to 25 % less processor time.
# Beyond 16 narrow replicas the calls are long enough; 8 took a fifth more processor time each, 32
# as much as 16.
CHUNK_BYTES = 128 * 2**20
MOST_REPLICAS = 16
# On an accelerator the calls cost more than the arithmetic, so only its memory sets a limit.
ACCELERATOR_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Trained:
    """An arm after training, R replicas in front of every tensor.

    Attributes:
        device: where it is: the device it ran on, or the CPU after one that has no float64.
        start: parameters before the first step, on the CPU.
        start_buffers: running statistics and the like before the first step, on the CPU.
        first_batch: ``(R, B)`` int64 on the CPU, which images the first step saw; ``(R, 0)``
            without steps.
        parameters: parameters after the last step.
        buffers: running statistics and the like after the last step.
        losses: ``(R, steps)`` float64 on the CPU, the training loss before each step.
        kept: ``{step: {name: (R, ...)}}`` as the recipe asks.
        engine: which engine ran, as it names itself.
    """

    arm: Arm
    seeds: tuple[int, ...]
    device: str
    data: DataSet
    start: dict[str, Tensor]
    start_buffers: dict[str, Tensor]
    first_batch: Tensor
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    losses: Tensor
    kept: dict[int, dict[str, Tensor]]
    engine: str

    @cached_property
    def _template(self) -> nn.Module:
        return self._module(self.seeds[0])

    def _module(self, seed: int) -> nn.Module:
        return self.arm.build(seed).to(self.device).eval()

    def _modules(self) -> Iterator[nn.Module]:
        """What computes with each replica's state: one module unless a seed's may compute more."""
        apart = not by_module.is_its_state(self._template)
        for seed in self.seeds:
            yield self._module(seed) if apart else self._template

    def replicas(self, *, at_start: bool = False) -> Iterator[dict[str, Tensor]]:
        """The state of each replica, by name, as ``torch.func.functional_call`` takes it."""
        both = (self.start, self.start_buffers) if at_start else (self.parameters, self.buffers)
        whole = both[0] | both[1]
        for r in range(len(self.seeds)):
            yield {name: tensor[r].to(self.device) for name, tensor in whole.items()}

    def logits(self, inputs: Tensor, *, at_start: bool = False) -> Tensor:
        """The networks' answers in evaluation mode: ``(R, N, classes)``."""
        with torch.no_grad(), randomness.own(0, self.device):
            modules, seen = stacked.pooled_ahead([*self._modules()], inputs)
            return torch.stack(_answers(modules, self.replicas(at_start=at_start), seen))

    @cached_property
    def test_logits(self) -> Tensor:
        """Logits of the test images after training: ``(R, N, classes)``."""
        return self.logits(self.data.test_inputs)


def _answers(
    networks: Sequence[nn.Module], states: Iterable[dict[str, Tensor]], inputs: Tensor
) -> list[Tensor]:
    """What each answers to the inputs, which stay as they are though a module changes its own.

    They are the data set's, for all claims of the process; each network after one that changed
    them sees a new copy.
    """
    seen = inputs if by_module.leaves_inputs(networks[0]) else inputs.clone()
    answers = []
    for network, state in zip(networks, states, strict=True):
        before = changes(seen)
        answers.append(torch.func.functional_call(network, state, (seen,)))
        if changes(seen) != before:
            seen = inputs.clone()
    return answers


class How(TypedDict, total=False):
    """Where and by what means arms are trained: see ``train_together``."""

    device: str
    engine: str
    jobs: int
    jitter: Callable[[int], Jitter] | None
    progress: Callable[[int], None]


def train(arm: Arm, seeds: Sequence[int], data: DataSet, **how: Unpack[How]) -> Trained:
    """Train one replica of the arm a seed: ``train_together`` with this arm alone."""
    (trained,) = train_together({arm: seeds}, data, **how)
    return trained


def train_together(
    wanted: Mapping[Arm, Sequence[int]],
    data: DataSet,
    *,
    device: str = "cpu",
    engine: str = "ensemble",
    jobs: int = 1,
    jitter: Callable[[int], Jitter] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Trained]:
    """Train arms that share network, recipe and data as replicas of one another.

    Args:
        wanted: of each arm its seeds, one a replica; each settles start and data order.
        data: the data set, on the CPU or on the device.
        device: where to train.
        engine: ``ensemble`` or ``module``.
        jobs: chunks of replicas trained at the same time on a CPU, each with one thread.
        jitter: for the twins of the rounding envelope: a chunk's rounding, by its first replica.
        progress: called with replica-steps done since the last call.

    Raises:
        NetworkError: the network does not return logits of the data set's classes, or was not
            trained on this device.
        ValueError: a batch larger than the data set, or an unknown parameter to keep.
    """
    made = [ready(arm, seeds, data, device) for arm, seeds in wanted.items()]
    starts = [start for some, _ in made for start in some]
    whole = replace(
        made[0][1], batches=torch.cat([work.batches for _, work in made]),
        seeds=[seed for _, work in made for seed in work.seeds],
    )  # fmt: skip
    parameters, buffers = torch.func.stack_module_state(starts)
    before = {name: p.detach() for name, p in parameters.items()}  # stacked: a copy
    unknown = [name for name in whole.recipe.keep if name not in before]
    if unknown:
        raise ValueError(f"keep names {unknown[0]!r}; the parameters are {', '.join(before)}")

    def work(part: slice) -> Outcome:
        job = replace(
            whole, batches=whole.batches[part], seeds=whole.seeds[part],
            jitter=jitter(part.start) if jitter else None, progress=progress,
        )  # fmt: skip
        return ENGINES[engine](starts[part], job)

    parts = chunks(len(starts), starts[0], device)
    shared = jobs > 1 and device == "cpu" and not _takes_turns(starts[0], whole)
    with randomness.own(0, device):
        outcome = join(run_all(work, parts, jobs if shared else 1))
        devices.synchronize(device)
    _check_device(outcome.parameters, device)
    if not devices.has_float64(device):  # in which probes compute
        whole, outcome = _on_the_cpu(whole, outcome, data)
    return list(_parted(wanted, whole, (before, buffers), outcome))


def _on_the_cpu(work: Work, outcome: Outcome, data: DataSet) -> tuple[Work, Outcome]:
    """What was trained, where everything can be measured."""

    def moved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.cpu() for name, tensor in tensors.items()}

    there = replace(work, device="cpu", data=data.to("cpu", DTYPES[work.recipe.dtype]))
    return there, replace(
        outcome, parameters=moved(outcome.parameters), buffers=moved(outcome.buffers),
        kept={step: moved(kept) for step, kept in outcome.kept.items()},
    )  # fmt: skip


def _check_device(parameters: Mapping[str, Tensor], device: str) -> None:
    """Refuse what was trained elsewhere than asked: a device that computes nothing agrees with all.

    Raises:
        NetworkError: naming where the parameters are.
    """
    found = {p.device.type for p in parameters.values()} - {torch.device(device).type}
    if found:
        raise NetworkError(
            f"the arm was to be trained on '{device}', and afterwards its parameters are on "
            f"'{', '.join(sorted(found))}'. See what `initcheck doctor` says of '{device}'."
        )


def _parted(
    wanted: Mapping[Arm, Sequence[int]],
    work: Work,
    before: tuple[dict[str, Tensor], dict[str, Tensor]],
    outcome: Outcome,
) -> Iterator[Trained]:
    """What belongs to each arm."""
    first = 0
    for arm, seeds in wanted.items():
        part = slice(first, first + len(seeds))
        first = part.stop

        def own(tensors: dict[str, Tensor], part: slice = part) -> dict[str, Tensor]:
            return {name: tensor[part] for name, tensor in tensors.items()}

        yield Trained(
            arm, tuple(seeds), work.device, work.data, own(before[0]), own(before[1]),
            work.batches[part, :1].flatten(1).cpu(), own(outcome.parameters),
            own(outcome.buffers), outcome.losses[part],
            {step: own(kept) for step, kept in outcome.kept.items()}, outcome.engine,
        )  # fmt: skip


def ready(
    arm: Arm, seeds: Sequence[int], data: DataSet, device: str
) -> tuple[list[nn.Module], Work]:
    """The replicas at their start, on the CPU, and what an engine needs to train them."""
    orders = [order(seed, len(data.train_targets), arm.recipe) for seed in seeds]
    return [arm.build(seed) for seed in seeds], Work(
        arm.recipe, data.to(device, DTYPES[arm.recipe.dtype]), torch.stack(orders).to(device),
        device, [derived(seed, "training") for seed in seeds],
    )  # fmt: skip


def draws(arm: Arm, data: DataSet) -> bool:
    """Whether the arm's network draws random numbers while it trains."""
    (start,), work = ready(arm, [0], data, "cpu")
    return _takes_turns(start, work)


def _takes_turns(start: nn.Module, work: Work) -> bool:
    """Whether replicas cannot share the time: they draw from the one global generator there is."""
    first = work.batches[0, :1].flatten()  # images of the first step, none without steps
    return len(first) > 0 and randomness.draws(start, work.data.train_inputs[first])


def chunks(replicas: int, network: nn.Module, device: str) -> list[slice]:
    """Replicas that are trained together: as many as are of use, and fit an accelerator's memory.

    They hang on the network alone, not on the number of cores: the same seeds give the same bits on
    a machine with more of them.
    """
    count = -(-replicas // room(network, device))
    edges = [round(i * replicas / count) for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def room(network: nn.Module, device: str) -> int:
    """How many replicas of a network are trained together."""
    size = max(1, 4 * sum(p.numel() * p.element_size() for p in network.parameters()))
    if device != "cpu":
        return max(1, ACCELERATOR_BYTES // size)
    return max(1, min(MOST_REPLICAS, CHUNK_BYTES // size))


def run_all(work: Callable[[slice], Outcome], parts: Sequence[slice], jobs: int) -> list[Outcome]:
    """Chunks over Python threads of one arithmetic thread each: torch releases the lock."""

    def alone(part: slice) -> Outcome:
        torch.set_num_threads(1)  # holds for the thread that says it
        return work(part)

    with compute.threads(1):
        if min(jobs, len(parts)) == 1:
            return [work(part) for part in parts]
        from joblib import Parallel, delayed  # noqa: PLC0415 -- only where jobs run

        done: list[Outcome] = Parallel(n_jobs=jobs, backend="threading")(
            delayed(alone)(part) for part in parts
        )
    return done
