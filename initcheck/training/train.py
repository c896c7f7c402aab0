"""Train arms, one replica per seed, in chunks, from the same start on every device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from initcheck import devices
from initcheck.arms import DTYPES, Arm, derived, order
from initcheck.datasets import DataSet
from initcheck.devices import compute
from initcheck.networks import NetworkError
from initcheck.training import ensemble, plain, randomness, trainable
from initcheck.training.trained import Trained
from initcheck.training.work import Jitter, Outcome, Watch, Work, join

__all__ = [
    "ENGINES", "How", "NetworkError", "Trained", "chunks", "draws", "ready", "room", "run_all",
    "train", "train_together",
]  # fmt: skip

ENGINES: dict[str, Callable[[Sequence[nn.Module], Work], Outcome]] = {
    "ensemble": ensemble.run,
    "module": plain.run,
    "replay": functools.partial(ensemble.run, replaying=True),
}

# Bytes of parameters, gradients and two moments in a chunk. Wide networks gain little from a cache
# that two processes share, and much from fewer calls: with 128 MiB instead of 32, networks of 1 to
# 2.5 million weights took 10 to 25 % less processor time.
CHUNK_BYTES = 128 * 2**20
# Narrow replicas in a chunk. With 8, each took a fifth more processor time; with 32, as much as
# with 16.
MOST_REPLICAS = 16
# On an accelerator the calls cost more than the arithmetic, so only its memory sets a limit.
ACCELERATOR_BYTES = 512 * 2**20


class How(TypedDict, total=False):
    """Options of ``train_together``, which describes them."""

    device: str
    engine: str
    jobs: int
    jitter: Callable[[int], Jitter] | None
    watch: Callable[[Sequence[int]], Watch] | None
    progress: Callable[[int], None]


def train(arm: Arm, seeds: Sequence[int], data: DataSet, **how: Unpack[How]) -> Trained:
    """Train one replica of the arm per seed, with the options of ``train_together``."""
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
    watch: Callable[[Sequence[int]], Watch] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Trained]:
    """Train arms that share network, recipe and data in the same chunks.

    Args:
        wanted: for each arm its seeds, one per replica; a seed determines start and data order.
        data: the data set, on the CPU or on the device.
        device: where to train.
        engine: ``ensemble``, ``module`` or, on a device that records steps, ``replay``.
        jobs: number of chunks trained at the same time on a CPU, each with one thread.
        jitter: for the twins of the rounding envelope; gives a chunk's rounding errors, from the
            number of its first replica.
        watch: gives what follows replicas, from their seeds; ``Trained.ways`` is what it saw.
        progress: called with the number of replica-steps done since the last call.

    Raises:
        DeviceError: the engine is ``replay``, and the device cannot record a step.
        NetworkError: the network has nothing to train, cannot be repeated, does not return logits
            of the data set's classes, or was not trained on this device.
        ValueError: a batch is larger than the data set, or the recipe names an unknown parameter.
    """
    per_arm = [ready(arm, seeds, data, device) for arm, seeds in wanted.items()]
    first, ((start, *_), some) = next(iter(wanted)), per_arm[0]
    trainable.check(first, start)
    if jitter is None:  # the arm of twins is checked when it is trained without noise
        trainable.check_repeats(first, start, some.data)
    starts = [start for starts, _ in per_arm for start in starts]
    whole = replace(
        per_arm[0][1], batches=torch.cat([work.batches for _, work in per_arm]),
        seeds=[seed for _, work in per_arm for seed in work.seeds],
    )  # fmt: skip
    parameters, buffers = torch.func.stack_module_state(starts)
    before = {name: p.detach() for name, p in parameters.items()}  # stacked: a copy
    unknown = [name for name in whole.recipe.keep if name not in before]
    if unknown:
        raise ValueError(
            f"The recipe's keep names {unknown[0]!r}, which is no parameter of the network. Its "
            f"parameters are {', '.join(before)}."
        )

    unmatched = whole.recipe.unmatched(before)
    if unmatched:
        raise ValueError(
            f"The recipe's rates names {unmatched[0]!r}, which matches no parameter of the "
            f"network. Its parameters are {', '.join(before)}."
        )

    replicas = [seed for seeds in wanted.values() for seed in seeds]

    def work(part: slice) -> Outcome:
        job = replace(
            whole, batches=whole.batches[part], seeds=whole.seeds[part],
            jitter=jitter(part.start) if jitter else None, progress=progress,
            watch=(lambda rows: watch(replicas[part][rows])) if watch else None,
        )  # fmt: skip
        return ENGINES[engine](starts[part], job)

    parts = chunks(len(starts), starts[0], device)
    parallel = jobs > 1 and device == "cpu" and not _draws_from(starts[0], whole)
    with randomness.seeded(0, device):
        outcome = join(run_all(work, parts, jobs if parallel else 1))
        devices.synchronize(device)
    _check_device(outcome.parameters, device)
    if not devices.measures(device):
        whole, outcome = _on_the_cpu(whole, outcome, data)
    return list(_per_arm(wanted, whole, (before, buffers), outcome))


def _on_the_cpu(work: Work, outcome: Outcome, data: DataSet) -> tuple[Work, Outcome]:
    """The same work and outcome on the CPU."""

    def moved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.cpu() for name, tensor in tensors.items()}

    on_cpu = replace(work, device="cpu", data=data.to("cpu", DTYPES[work.recipe.dtype]))
    return on_cpu, replace(
        outcome, parameters=moved(outcome.parameters), buffers=moved(outcome.buffers),
        kept={step: moved(kept) for step, kept in outcome.kept.items()},
    )  # fmt: skip


def _check_device(parameters: Mapping[str, Tensor], device: str) -> None:
    """Check that the device that was requested did the training.

    Raises:
        NetworkError: the parameters are on another device.
    """
    others = {p.device.type for p in parameters.values()} - {torch.device(device).type}
    if others:
        raise NetworkError(
            f"Training was requested on '{device}', and afterwards the parameters are on "
            f"'{', '.join(sorted(others))}'. Run `initcheck doctor` to check '{device}'."
        )


def _per_arm(
    wanted: Mapping[Arm, Sequence[int]],
    work: Work,
    before: tuple[dict[str, Tensor], dict[str, Tensor]],
    outcome: Outcome,
) -> Iterator[Trained]:
    """The part of a joint outcome that belongs to each arm."""
    first = 0
    for arm, seeds in wanted.items():
        part = slice(first, first + len(seeds))
        first = part.stop

        def rows(tensors: dict[str, Tensor], part: slice = part) -> dict[str, Tensor]:
            return {name: tensor[part] for name, tensor in tensors.items()}

        yield Trained(
            arm, tuple(seeds), work.device, work.data, rows(before[0]), rows(before[1]),
            work.batches[part, :1].flatten(1).cpu(), rows(outcome.parameters),
            rows(outcome.buffers), outcome.losses[part],
            {step: rows(kept) for step, kept in outcome.kept.items()}, outcome.engine,
            outcome.ways[part],
        )  # fmt: skip


def ready(
    arm: Arm, seeds: Sequence[int], data: DataSet, device: str
) -> tuple[list[nn.Module], Work]:
    """The replicas at their start, on the CPU, and how to train them."""
    orders = [order(seed, len(data.train_targets), arm.recipe) for seed in seeds]
    there = _moved(data, data.changes, device, DTYPES[arm.recipe.dtype])
    return [arm.build(seed) for seed in seeds], Work(
        arm.recipe, there, torch.stack(orders).to(device), device,
        [derived(seed, "training") for seed in seeds],
    )  # fmt: skip


@functools.lru_cache(maxsize=2)  # arms that train one after another share device and dtype
def _moved(data: DataSet, _changes: tuple[int, ...], device: str, dtype: torch.dtype) -> DataSet:
    """The data on the device; moved again once they were changed in place."""
    return data.to(device, dtype)


def draws(arm: Arm, data: DataSet) -> bool:
    """Whether the arm's network draws random numbers while it trains."""
    (start,), work = ready(arm, [0], data, "cpu")
    return _draws_from(start, work)


def _draws_from(start: nn.Module, work: Work) -> bool:
    """Whether a network that starts as ``start`` draws random numbers on its first batch.

    If it does, its replicas cannot train in parallel, since they share one generator.
    """
    first = work.batches[0, :1].flatten()  # images of the first step; empty without steps
    return len(first) > 0 and randomness.draws(start, work.data.train_inputs[first])


def chunks(replicas: int, network: nn.Module, device: str) -> list[slice]:
    """The replicas of each chunk.

    The chunk size depends only on the network and the device, so results are bit-identical on any
    number of cores.
    """
    count = -(-replicas // room(network, device))
    edges = [round(i * replicas / count) for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def room(network: nn.Module, device: str) -> int:
    """The largest number of replicas of a network in one chunk."""
    size = max(1, 4 * sum(p.numel() * p.element_size() for p in network.parameters()))
    if device != "cpu":
        return max(1, ACCELERATOR_BYTES // size)
    return max(1, min(MOST_REPLICAS, CHUNK_BYTES // size))


def run_all(work: Callable[[slice], Outcome], parts: Sequence[slice], jobs: int) -> list[Outcome]:
    """Train the chunks in ``jobs`` Python threads, since torch releases Python's lock.

    Each uses one arithmetic thread.
    """

    def single_threaded(part: slice) -> Outcome:
        torch.set_num_threads(1)  # applies to the calling thread only
        return work(part)

    with compute.threads(1):
        if min(jobs, len(parts)) == 1:
            return [work(part) for part in parts]
        from joblib import Parallel, delayed  # noqa: PLC0415 -- only needed for several jobs

        outcomes: list[Outcome] = Parallel(n_jobs=jobs, backend="threading")(
            delayed(single_threaded)(part) for part in parts
        )
    return outcomes
