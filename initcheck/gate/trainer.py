"""Trains and measures arms on demand, each replica at most once per session."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from initcheck import datasets, devices
from initcheck.arms import Arm
from initcheck.envelope.twins import TWINS
from initcheck.gate import seeds as drawn
from initcheck.gate.profile import Profile
from initcheck.gate.reference import twin_jitter
from initcheck.gate.sketching import following
from initcheck.networks import NetworkError
from initcheck.probes import Difference, Probe, name_of
from initcheck.training.train import How, Trained, draws, train, train_together

# Trained arms are kept for the claims that share them. Beyond this size the oldest goes first.
KEPT_BYTES = 600 * 2**20


@dataclass
class Laboratory:
    """Trains with a session's settings, and remembers what it has trained.

    Attributes:
        engine: ``ensemble``, ``module`` or ``replay``.
        jobs: chunks trained in parallel on the CPU.
        root: folder of torchvision's data sets, or None.
        download: whether missing data may be downloaded.
        progress: called with (arm, replica-steps done, replica-steps in total).
        references: recorded rounding envelopes by arm; twins are expensive, and claims share arms.
    """

    engine: str = "ensemble"
    jobs: int = 1
    root: Path | None = None
    download: bool = False
    progress: Callable[[str, int, int], None] = lambda arm, done, total: None
    profile: Profile = field(default_factory=Profile)
    _trained: OrderedDict[tuple[Arm, str], Trained] = field(default_factory=OrderedDict)
    _values: dict[tuple[Arm, str, Probe], dict[int, float]] = field(default_factory=dict)
    _differences: dict[tuple[Difference, tuple[Arm, Arm], str], dict[int, float]] = field(
        default_factory=dict
    )
    references: dict[tuple[Arm, str], dict[str, Any]] = field(default_factory=dict)

    def alone(self) -> Laboratory:
        """An empty one with the same settings, for one core and without a progress line."""
        return Laboratory(self.engine, root=self.root, download=self.download)

    def fetch(self, name: str) -> None:
        """Load a data set if it can be had; the claims that need it report why it cannot."""
        with contextlib.suppress(datasets.DataError):
            self.data(name)

    def data(self, name: str) -> datasets.DataSet:
        """A data set by name, loaded once."""
        return datasets.load(name, root=self.root, download=self.download)

    def has(self, arm: Arm, seeds: Sequence[int], device: str) -> bool:
        """Whether the arm is already trained with all of these seeds."""
        known = self._trained.get((arm, device))
        return known is not None and set(seeds) <= set(known.seeds)

    def trained(self, arm: Arm, seeds: Sequence[int], device: str) -> Trained:
        """The arm with these seeds, in this order. Only new seeds are trained."""
        before = self._trained.get((arm, device))
        missing = [s for s in dict.fromkeys(seeds) if before is None or s not in before.seeds]
        if missing:
            new = self._train(arm, missing, device)
            self._keep(arm, device, new if before is None else _together(before, new))
        self._trained.move_to_end((arm, device))
        return _chosen(self._trained[arm, device], seeds)

    def train_together(self, wanted: Mapping[Arm, Sequence[int]], device: str) -> None:
        """Train arms that share network, recipe and data as replicas of one another."""
        first = next(iter(wanted))
        starts = ", ".join(arm.initializer.name for arm in wanted)
        label = f"{first.network.name} | {starts} | {first.recipe} | {first.data}"
        with self.profile.spent("training", label):
            trained = train_together(
                wanted, self.data(first.data), device=device, engine=self.engine, jobs=self.jobs,
                progress=self._counter(first, sum(map(len, wanted.values()))),
                watch=following(drawn.reference(), first.recipe.steps),
            )  # fmt: skip
        for new in trained:
            self._keep(new.arm, device, new)

    def values(self, probe: Probe, arm: Arm, seeds: Sequence[int], device: str) -> list[float]:
        """The probe's value for each seed; cached, also after its network was dropped.

        Raises:
            NetworkError: the network, or the probe, changed the data in place, or the probe gives
                something else than one number per seed.
        """
        known = self._values.setdefault((arm, device, probe), {})
        return self._filled(known, probe, arm, seeds, device)

    def differences(
        self, difference: Difference, arms: tuple[Arm, Arm], seeds: Sequence[int], device: str
    ) -> list[float]:
        """The difference between an arm and a reference for each seed; cached as ``values`` are.

        Raises:
            NetworkError: a network, or the difference, changed the data in place.
        """
        arm, reference = arms

        def between(trained: Trained) -> Tensor:
            return difference(trained, self.trained(reference, trained.seeds, device))

        between.__name__ = name_of(difference)
        known = self._differences.setdefault((difference, arms, device), {})
        return self._filled(known, between, arm, seeds, device)

    def _filled(
        self, known: dict[int, float], probe: Probe, arm: Arm, seeds: Sequence[int], device: str
    ) -> list[float]:
        """The values by seed, of which only missing ones are measured, and added to ``known``."""
        missing = [seed for seed in dict.fromkeys(seeds) if seed not in known]
        if missing:
            with self.profile.spent("probing"):
                measured = self._measured(probe, self.trained(arm, missing, device))
            known.update(zip(missing, measured.tolist(), strict=True))
        return [known[seed] for seed in seeds]

    def twins(self, arm: Arm, seeds: Sequence[int], device: str = "cpu") -> list[Trained]:
        """Twin runs: each seed ``TWINS`` times with rounding noise, and once in float64.

        They run on the device and engine of the curves that they surround, since another device
        would add its own distance. There is no float64 twin for a network that draws random numbers
        while it trains (dropout), as it would draw others, nor for one that holds a float32 tensor,
        as it cannot compute in float64.
        """
        data, replicas = self.data(arm.data), list(seeds) * TWINS
        how: How = {
            "device": device, "engine": self.engine, "jobs": self.jobs,
            "progress": self._counter(arm, len(replicas)),
            "watch": following(seeds, arm.recipe.steps),
        }  # fmt: skip
        off: How = {**how, "jitter": twin_jitter(arm)}
        with self.profile.spent("training", f"{arm}, twins"):
            found = [train(arm, replicas, data, **off)]
            wider = arm.recipe.dtype == "float32" and devices.has_float64(device)
            if wider and not draws(arm, data):
                precise = replace(arm, recipe=replace(arm.recipe, dtype="float64"))
                with contextlib.suppress(RuntimeError):  # torch's, where two dtypes meet
                    found.append(train(precise, seeds, data, **how))
        return found

    def release(self, arm: Arm, device: str) -> None:
        """Forget the networks of an arm, but not its values."""
        self._trained.pop((arm, device), None)

    def _measured(self, probe: Probe, trained: Trained) -> Tensor:
        """The probe's values. Data that it changed are discarded, so no other claim sees them."""
        before = trained.data.changes
        try:
            return _one_per_seed(probe, trained)
        finally:
            if trained.data.changes != before:
                datasets.forget()
                self._trained.clear()  # other arms hold the same tensors
                raise NetworkError(
                    f"the network '{trained.arm.network.name}' changed its inputs in place when "
                    f"the probe '{name_of(probe)}' measured it. Other claims use the same data. In "
                    "its forward, write `x = x - m`, not `x -= m`, and do not use `inplace=True` "
                    "in the first layer."
                )

    def _train(self, arm: Arm, seeds: Sequence[int], device: str) -> Trained:
        with self.profile.spent("training", str(arm)):
            return train(
                arm, seeds, self.data(arm.data), device=device, engine=self.engine,
                jobs=self.jobs, progress=self._counter(arm, len(seeds)),
                watch=following(drawn.reference(), arm.recipe.steps),
            )  # fmt: skip

    def _counter(self, arm: Arm, replicas: int) -> Callable[[int], None]:
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self.progress(arm.label, done, replicas * arm.recipe.steps)

        return count

    def _keep(self, arm: Arm, device: str, trained: Trained) -> None:
        self._trained[arm, device] = trained
        self._trained.move_to_end((arm, device))  # an arm that grew is no longer the oldest
        while len(self._trained) > 1 and sum(t.bytes for t in self._trained.values()) > KEPT_BYTES:
            self._trained.popitem(last=False)


def _one_per_seed(probe: Probe, trained: Trained) -> Tensor:
    """The probe's values, one per seed.

    Raises:
        NetworkError: the probe gives something else, as one for images does on a text.
    """
    text = trained.data.train_targets.dim() > 1
    shape, why = "nothing", ""
    try:
        values = probe(trained)
        if values.shape == (len(trained.seeds),):
            return values
        shape = f"the shape {tuple(values.shape)}"
    except (RuntimeError, ValueError) as error:  # torch's, where shapes do not fit
        if not text:
            raise
        why = f" ({error})"
    hint = " It is a probe for images, and a text has one label per token." if text else ""
    raise NetworkError(
        f"the probe '{name_of(probe)}' returned {shape}{why}, but it must return one number per "
        f"seed, and there are {len(trained.seeds)}.{hint}"
    )


def _chosen(trained: Trained, seeds: Sequence[int]) -> Trained:
    """The same arm with these of its seeds."""
    if tuple(seeds) == trained.seeds:
        return trained
    index = torch.tensor([trained.seeds.index(seed) for seed in seeds])

    def pick(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor[index.to(tensor.device)] for name, tensor in tensors.items()}

    return replace(
        trained, seeds=tuple(seeds), start=pick(trained.start),
        start_buffers=pick(trained.start_buffers),
        first_batch=trained.first_batch[index], losses=trained.losses[index],
        parameters=pick(trained.parameters), buffers=pick(trained.buffers),
        kept={step: pick(kept) for step, kept in trained.kept.items()},
        ways=tuple(trained.ways[i] for i in index.tolist()) if trained.ways else (),
    )  # fmt: skip


def _together(a: Trained, b: Trained) -> Trained:
    """Two trainings of one arm as one."""

    def both(x: dict[str, Tensor], y: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.cat([x[name], y[name]]) for name in x}

    return replace(
        a, seeds=a.seeds + b.seeds, start=both(a.start, b.start),
        start_buffers=both(a.start_buffers, b.start_buffers),
        first_batch=torch.cat([a.first_batch, b.first_batch]),
        parameters=both(a.parameters, b.parameters), buffers=both(a.buffers, b.buffers),
        losses=torch.cat([a.losses, b.losses]),
        kept={step: both(a.kept[step], b.kept[step]) for step in a.kept}, ways=a.ways + b.ways,
    )  # fmt: skip
