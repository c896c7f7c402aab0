"""An arm after training: its replicas, and what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.arms import Arm
from initcheck.datasets import DataSet, changes
from initcheck.training import modules as by_module
from initcheck.training import randomness, stacked
from initcheck.training.work import Ways


@dataclass(frozen=True)
class Trained:
    """An arm after training; R, the number of replicas, is the first dimension of every tensor.

    Attributes:
        device: where the tensors are: the device that trained, or the CPU if probes cannot measure
            there.
        start: parameters before the first step, on the CPU.
        start_buffers: buffers, such as running statistics, before the first step, on the CPU.
        first_batch: ``(R, B)`` int64 on the CPU, the images of the first step; ``(R, 0)`` without
            steps.
        parameters: parameters after the last step.
        buffers: buffers after the last step.
        losses: ``(R, steps)`` float64 on the CPU, the training loss before each step.
        kept: ``{step: {name: (R, ...)}}``, the parameters that the recipe keeps.
        engine: the name of the engine that ran.
        ways: where the tensors of each replica went; None for one that was not watched, and empty
            if none was.
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
    ways: tuple[Ways | None, ...] = ()
    _computed: dict[Callable[[Trained], Any], Any] = field(default_factory=dict, init=False)

    @cached_property
    def bytes(self) -> int:
        """The memory of its tensors, without those of the data set."""
        groups = [
            self.start, self.start_buffers, self.parameters, self.buffers, *self.kept.values()
        ]  # fmt: skip
        tensors = [self.losses, *(tensor for group in groups for tensor in group.values())]
        return sum(tensor.nbytes for tensor in tensors)

    @cached_property
    def _template(self) -> nn.Module:
        return self._module(self.seeds[0])

    def _module(self, seed: int) -> nn.Module:
        return self.arm.build(seed).to(self.device).eval()

    def _modules(self) -> Iterator[nn.Module]:
        """A module for each replica; the same one if only its state differs between seeds."""
        shared = by_module.is_its_state(self._template)
        for seed in self.seeds:
            yield self._template if shared else self._module(seed)

    def replicas(self, *, at_start: bool = False) -> Iterator[dict[str, Tensor]]:
        """Each replica's parameters and buffers, as ``torch.func.functional_call`` takes them."""
        at_end = self.parameters | self.buffers
        state = self.start | self.start_buffers if at_start else at_end
        for r in range(len(self.seeds)):
            yield {name: tensor[r].to(self.device) for name, tensor in state.items()}

    def logits(self, inputs: Tensor, *, at_start: bool = False) -> Tensor:
        """The networks' logits in evaluation mode: ``(R, N, classes)``."""
        with torch.no_grad(), randomness.seeded(0, self.device):
            modules, images = stacked.pooled_first([*self._modules()], inputs)
            return torch.stack(_outputs(modules, self.replicas(at_start=at_start), images))

    def once(self, compute: Callable[[Trained], Any]) -> Any:
        """What the function returns for these networks, computed once for all probes."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        return self._computed[compute]

    @cached_property
    def test_logits(self) -> Tensor:
        """Logits of the test images after training: ``(R, N, classes)``."""
        return self.logits(self.data.test_inputs)


def _outputs(
    networks: Sequence[nn.Module], states: Iterable[dict[str, Tensor]], inputs: Tensor
) -> list[Tensor]:
    """The output of each network with its state.

    All claims of a process share the inputs, so a network that may change them in place gets a
    copy. Once one has changed the copy, the next network gets a new one.
    """
    given = inputs if by_module.leaves_inputs(networks[0]) else inputs.clone()
    outputs = []
    for network, state in zip(networks, states, strict=True):
        before = changes(given)
        outputs.append(torch.func.functional_call(network, state, (given,)))
        if changes(given) != before:
            given = inputs.clone()
    return outputs
