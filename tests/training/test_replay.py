"""Steps that a device records and replays train as steps that are called do."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Adagrad, Adam, AdamW, Optimizer, Recipe, RMSprop
from initcheck.devices import DeviceError
from initcheck.faults.fault import replaced
from initcheck.gate.reference import twin_jitter
from initcheck.networks import Network
from initcheck.training import replay
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.tape import recording

SEEDS = (3, 5, 8)
CONVOLVED = toy.sequential(
    lambda: nn.Conv2d(1, 3, 2), lambda: nn.BatchNorm2d(3), nn.ReLU, nn.Flatten,
    lambda: nn.Linear(36, 4),
)  # fmt: skip
NETWORKS = {
    "one node": toy.SMALL,
    "stacked layers": CONVOLVED,
    "vmap": Network("residual", toy.Residual),
}
OPTIMIZERS = [SGD(lr=0.1), SGD(lr=0.1, momentum=0.9), Adam(lr=0.01), AdamW(lr=0.01)]


def both(arm, **how):
    """Called and replayed, and how often something was recorded."""
    called = train(arm, SEEDS, toy.data(), **how)
    with recording() as asked:
        replayed = train(arm, SEEDS, toy.data(), engine="replay", **how)
    return called, replayed, len(asked)


def assert_same_bits(a, b):
    assert torch.equal(a.losses, b.losses)
    assert list(a.parameters) == list(b.parameters)
    for name, tensor in (a.parameters | a.buffers).items():
        assert torch.equal(tensor, (b.parameters | b.buffers)[name]), name
    for step, kept in a.kept.items():
        assert all(torch.equal(kept[name], b.kept[step][name]) for name in kept)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("network", NETWORKS)
def test_replayed_steps_give_the_same_bits(network, optimizer):
    recipe = Recipe(optimizer, batch=8, steps=12)
    called, replayed, recordings = both(toy.default_arm(NETWORKS[network], recipe))
    assert recordings == 1
    assert_same_bits(called, replayed)
    assert replayed.engine == f"{called.engine}, replayed"
    assert (called.losses[:, 0] != called.losses[:, -1]).all()


def test_parameters_kept_between_steps_are_those_of_the_step():
    name = "hidden1.weight"
    recipe = Recipe(Adam(lr=0.01), batch=8, steps=12, keep=(name,), keep_at=(2, 4, 5, 12))
    called, replayed, _ = both(toy.arm(recipe=recipe))
    assert_same_bits(called, replayed)
    assert not torch.equal(called.kept[4][name], called.kept[5][name])


def test_a_watch_sees_every_replayed_step():
    class Watching:
        def __init__(self, seen):
            self.seen = seen

        def start(self, tensors):
            self.after(-1, tensors)

        def after(self, step, tensors):
            self.seen.append((step, {name: t.clone() for name, t in tensors().items()}))

        def ways(self):
            return ()

    seen, again = [], []
    train(toy.arm(), SEEDS, toy.data(), watch=lambda _: Watching(seen))
    with recording():
        train(toy.arm(), SEEDS, toy.data(), engine="replay", watch=lambda _: Watching(again))
    assert [step for step, _ in seen] == [step for step, _ in again] == [*range(-1, 12)]
    for (step, ours), (_, theirs) in zip(seen, again, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), step


@pytest.mark.parametrize("steps", [1, replay.WARM_UP])
def test_as_many_steps_as_are_called_first_are_never_recorded(steps):
    called, replayed, recordings = both(toy.arm(recipe=Recipe(SGD(lr=0.1), batch=8, steps=steps)))
    assert recordings == 0
    assert_same_bits(called, replayed)
    assert replayed.engine == "ensemble"


def test_twins_are_never_recorded_since_their_noise_is_drawn_at_every_step():
    arm = toy.arm()
    called, replayed, recordings = both(arm, jitter=twin_jitter(arm))
    assert recordings == 0
    assert_same_bits(called, replayed)


def test_an_optimizer_that_counts_on_the_host_is_never_recorded():
    """Its count would be that of the recorded step for ever."""
    assert "capturable" not in inspect.signature(torch.optim.Adagrad).parameters
    called, replayed, recordings = both(toy.arm(recipe=Recipe(Adagrad(lr=0.1), batch=8, steps=12)))
    assert recordings == 0
    assert_same_bits(called, replayed)


def test_optimizers_are_told_to_count_on_the_device():
    assert replay.options(SGD(lr=0.1)) == {}
    assert replay.options(RMSprop(lr=0.1)) == {"capturable": True}
    assert replay.options(Optimizer("Adam", (("capturable", True), ("lr", 0.1)))) == {}
    assert replay.options(Adagrad(lr=0.1)) is None


def test_a_step_whose_count_the_host_reads_is_called_instead():
    """An unfused Adam that is not told to count on the device; the tape refuses it as CUDA does."""
    recipe = Recipe(Adam(lr=0.01, foreach=False), batch=8, steps=12)
    with replaced(replay, "options", lambda optimizer: {}):
        called, replayed, recordings = both(toy.arm(recipe=recipe))
    assert recordings == 1
    assert replayed.engine == "ensemble"
    assert_same_bits(called, replayed)


def test_what_cannot_be_recorded_is_called_instead():
    def refuse(step, device):
        raise RuntimeError("operation not permitted when stream is capturing\nand a long text")

    called = train(toy.arm(), SEEDS, toy.data())
    with recording(refuse) as asked:
        replayed = train(toy.arm(), SEEDS, toy.data(), engine="replay")
    assert len(asked) == 1
    assert_same_bits(called, replayed)
    assert replayed.engine == "ensemble"


def test_a_device_that_cannot_record_refuses_the_engine():
    arm = toy.default_arm(toy.SMALL, Recipe(SGD(lr=0.1), batch=8, steps=5))
    with pytest.raises(DeviceError, match="'cpu' cannot record a training step"):
        train(arm, SEEDS, toy.data(), engine="replay")
