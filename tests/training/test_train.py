"""Training: the same seed gives the same bits, and no outside state is read or changed."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Adam, Recipe
from initcheck.devices import compute
from initcheck.initializers import constant_, every, he, zeros, zeros_
from initcheck.networks import Network, NetworkError, mlp
from initcheck.training import train as training
from initcheck.training.train import CHUNK_BYTES, MOST_REPLICAS, chunks, train, train_together
from tests.helpers import toy

SEEDS = (11, 12, 13, 14, 15)
ENGINES = ("ensemble", "module")
RECIPE = Recipe(Adam(lr=0.01), batch=8, steps=12)
ARM = toy.arm(recipe=RECIPE)
DROPPING = toy.default_arm(Network("dropping", toy.Dropping), RECIPE)
EPSILONS = 100  # machine epsilons of the largest entry after twelve steps; measured:


def same_bits(a, b):
    same = [torch.equal(p, b.parameters[name]) for name, p in a.parameters.items()]
    return all(same) and torch.equal(a.losses, b.losses)


def farthest(a, b):
    """Distance in epsilons between the parameters of two trainings, for each replica."""
    return max(toy.distance(a.parameters[name], b.parameters[name]) for name in a.parameters)


def only(trained, seed):
    """One replica of a training."""
    r = trained.seeds.index(seed)
    parameters = {name: p[r : r + 1] for name, p in trained.parameters.items()}
    return replace(trained, seeds=(seed,), parameters=parameters)


# --- the same seed


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("arm", [ARM, DROPPING], ids=lambda arm: arm.network.name)
def test_the_number_of_jobs_changes_no_bit(arm, engine):
    alone, together, again = (
        train(arm, SEEDS, toy.data(), engine=engine, jobs=jobs) for jobs in (1, 2, 3)
    )
    assert same_bits(alone, together)
    assert same_bits(alone, again)


def test_the_callers_threads_change_no_bit():
    with compute.threads(2):
        two = train(ARM, SEEDS, toy.data())
        assert torch.get_num_threads() == 2
    with compute.threads(1):
        assert same_bits(two, train(ARM, SEEDS, toy.data()))


@pytest.mark.parametrize("arm", [ARM, DROPPING], ids=lambda arm: arm.network.name)
def test_other_seeds_change_no_bit_of_plain_steps(arm):
    whole = train(arm, SEEDS, toy.data(), engine="module")
    for seed in (11, 14):
        alone = train(arm, (seed,), toy.data(), engine="module")
        assert farthest(only(whole, seed), alone) == 0


@pytest.mark.parametrize(
    "company", [(11,), (11, 12), (14, 13, 12, 11), tuple(range(1, 12))], ids=len
)
def test_other_seeds_change_rounding_only(company):
    whole = train(ARM, SEEDS, toy.data())
    assert farthest(only(train(ARM, company, toy.data()), 11), only(whole, 11)) < EPSILONS


def test_seeds_differ_in_start_and_order():
    trained = train(ARM, SEEDS, toy.data())
    weights = [*trained.start["hidden1.weight"], *trained.parameters["hidden1.weight"]]
    assert len({tuple(weight.flatten().tolist()) for weight in weights}) == 2 * len(SEEDS)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_seed_named_twice_gives_two_identical_replicas(engine):
    first, second = train(ARM, (11, 11), toy.data(), engine=engine).parameters["output.weight"]
    assert torch.equal(first, second)


# --- nothing outside


def everything_random():
    """The random states that the process shares."""
    numpys = np.random.get_state()[1].tobytes()  # noqa: NPY002 -- the legacy state is checked too
    return torch.get_rng_state().numpy().tobytes(), numpys, random.getstate()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("arm", [ARM, DROPPING], ids=lambda arm: arm.network.name)
def test_global_random_state_is_neither_changed_nor_read(arm, engine, jobs):
    before = everything_random()
    first = train(arm, SEEDS[:3], toy.data(), engine=engine, jobs=jobs)
    assert everything_random() == before
    with torch.random.fork_rng(devices=[]):
        torch.rand(5)
        assert same_bits(first, train(arm, SEEDS[:3], toy.data(), engine=engine, jobs=jobs))


def test_dropout_drops_in_training_and_not_in_evaluation():
    dropping = train(DROPPING, SEEDS[:2], toy.data())
    full = Network("full", partial(toy.Dropping, 0.0))
    assert not torch.equal(
        dropping.losses, train(toy.default_arm(full, RECIPE), SEEDS[:2], toy.data()).losses
    )
    inputs = toy.data().test_inputs
    with torch.no_grad():
        plain = toy.Dropping().eval()
        plain.load_state_dict(next(dropping.replicas()))
        assert torch.equal(dropping.logits(inputs)[0], plain(inputs))


def test_replicas_drop_different_units():
    ones = toy.arm(Network("dropping", toy.Dropping), RECIPE, every(constant_(0.1), zeros_))
    data = replace(toy.data(), train_inputs=torch.ones(toy.TRAIN, *toy.SHAPE))
    data = replace(data, train_targets=torch.zeros(toy.TRAIN, dtype=torch.int64))
    first, second = train(ones, (11, 12), data).losses  # identical but for what is dropped
    assert not torch.equal(first, second)


@pytest.mark.parametrize("engine", ENGINES)
def test_data_and_starts_stay_unchanged(engine):
    data = toy.data()
    before = data.train_inputs.clone()
    trained = train(toy.arm(mlp(20, 16, 4)), (11, 12), data, engine=engine)
    assert torch.equal(data.train_inputs, before)
    for r, seed in enumerate((11, 12)):
        built = dict(toy.arm(mlp(20, 16, 4)).build(seed).named_parameters())
        for name, start in trained.start.items():
            assert torch.equal(start[r], built[name])


# --- what is kept


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("step", [1, 5, 12])
def test_a_checkpoint_is_the_end_of_a_shorter_training(step, engine):
    names = ("hidden2.weight", "output.bias")
    long = replace(ARM, recipe=replace(RECIPE, keep_at=(1, 5, 12), keep=names))
    short = replace(ARM, recipe=replace(RECIPE, steps=step))
    kept = train(long, SEEDS, toy.data(), engine=engine).kept
    assert list(kept) == [1, 5, 12]
    ends = train(short, SEEDS, toy.data(), engine=engine).parameters
    assert list(kept[step]) == list(names)
    assert all(torch.equal(kept[step][name], ends[name]) for name in names)


def test_what_a_device_trained_is_measured_on_the_cpu_if_it_cannot_measure(monkeypatch):
    """It has no float64, or is lazy; `cpu:0` plays the device."""
    arm = replace(ARM, recipe=replace(RECIPE, keep_at=(1,), keep=("output.bias",)))
    there, moved = train(arm, SEEDS, toy.data(), device="cpu:0"), []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: moved.append(self.shape) or cpu(self))
    monkeypatch.setattr(training.devices, "measures", lambda name: name == "cpu")
    here = train(arm, SEEDS, toy.data(), device="cpu:0")
    assert (there.device, here.device) == ("cpu:0", "cpu")
    assert {*(p.shape for p in here.parameters.values())} <= {*moved}
    assert moved.count(here.kept[1]["output.bias"].shape) == 2  # after a step, and at the end
    assert same_bits(here, there)


def test_an_unknown_parameter_cannot_be_kept():
    arm = toy.arm(recipe=replace(RECIPE, keep_at=(5,), keep=("hidden9.weight",)))
    with pytest.raises(ValueError, match=r"keep names 'hidden9.weight', .* hidden1.weight, h"):
        train(arm, SEEDS, toy.data())


@pytest.mark.parametrize("engine", ENGINES)
def test_no_steps_end_where_they_start(engine):
    trained = train(toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 0)), (11, 12), toy.data(), engine=engine)
    assert trained.losses.shape == (2, 0)
    for name, start in trained.start.items():
        assert torch.equal(trained.parameters[name], start)


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_are_those_before_each_step(engine):
    trained = train(ARM, (11, 12), toy.data(), engine=engine)
    assert trained.losses.shape == (2, 12)
    assert trained.losses.dtype == torch.float64
    shorter = replace(ARM, recipe=replace(RECIPE, steps=7))
    before = train(shorter, (11, 12), toy.data(), engine=engine)
    assert torch.equal(before.losses, trained.losses[:, :7])
    batch = before.arm.recipe.batch
    assert trained.losses[0, 7].item() == pytest.approx(loss_on_next_batch(before, 11, batch))


def loss_on_next_batch(trained, seed, batch):
    """Cross-entropy of the first replica on its next batch, by numpy."""
    from initcheck.arms import order

    steps = trained.arm.recipe.steps
    longer = replace(trained.arm.recipe, steps=steps + 1)
    images = order(seed, toy.TRAIN, longer)[steps]
    logits = trained.logits(toy.data().train_inputs[images])[0].double().numpy()
    labels = toy.data().train_targets[images].numpy()
    exponentials = np.exp(logits)
    right = exponentials[np.arange(batch), labels] / exponentials.sum(1)
    return -np.log(right).mean()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_toy_data_are_learnt(engine):
    trained = train(toy.arm(recipe=replace(RECIPE, steps=150)), (11, 12), toy.data(), engine=engine)
    right = trained.test_logits.argmax(-1) == toy.data().test_targets
    assert (right.double().mean(1) > 0.9).all()


def test_a_batch_larger_than_the_data_is_refused():
    arm = toy.arm(recipe=replace(RECIPE, batch=toy.TRAIN + 1))
    with pytest.raises(ValueError, match="batch of 101 images, but there are only 100"):
        train(arm, SEEDS, toy.data())


@pytest.mark.parametrize("at_start", [True, False])
def test_logits_are_those_of_the_module(at_start):
    trained = train(toy.default_arm(toy.SMALL), SEEDS[:2], toy.data())
    inputs = toy.data().test_inputs
    for r, state in enumerate(trained.replicas(at_start=at_start)):
        module = toy.SMALL.build().eval()
        module.load_state_dict(state)
        assert torch.equal(trained.logits(inputs, at_start=at_start)[r], module(inputs))
    start = toy.default_arm(toy.SMALL).build(SEEDS[0])
    assert torch.equal(trained.logits(inputs, at_start=True)[0], start(inputs))


NORMED = toy.default_arm(
    toy.sequential(nn.Flatten, partial(nn.BatchNorm1d, 20), partial(nn.Linear, 20, toy.CLASSES))
)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_start_keeps_its_running_statistics(engine):
    trained = train(NORMED, SEEDS[:2], toy.data(), engine=engine)
    inputs = toy.data().test_inputs
    for seed, logits, state in zip(
        trained.seeds, trained.logits(inputs, at_start=True), trained.replicas(), strict=True
    ):
        module = NORMED.build(seed).eval()
        assert torch.equal(logits, module(inputs))
        module.load_state_dict(state)
        assert state["1.num_batches_tracked"] == toy.RECIPE.steps
        assert not torch.equal(logits, module(inputs))


class Projecting(nn.Module):
    """Holds a projection that is in no state: as an attribute, or in a container."""

    def __init__(self, wrap):
        super().__init__()
        self.layer = nn.Linear(20, toy.CLASSES)
        self.held = wrap(torch.randn(20, 20))

    def forward(self, x):
        (projection,) = self.held.values() if isinstance(self.held, dict) else self.held
        return self.layer(x.flatten(1) @ projection)


WRAPS = {
    "tensor": lambda p: p[None], "list": lambda p: [p], "tuple": lambda p: (p,),
    "dictionary": lambda p: {"p": p},
}  # fmt: skip


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_logits_are_those_of_each_seeds_own_module(wrap, at_start):
    arm = toy.default_arm(Network("projecting", partial(Projecting, wrap)))
    trained = train(arm, SEEDS[:2], toy.data())
    inputs = toy.data().test_inputs
    states = trained.replicas(at_start=at_start)
    for seed, state, logits in zip(
        trained.seeds, states, trained.logits(inputs, at_start=at_start), strict=True
    ):
        module = arm.build(seed).eval()
        module.load_state_dict(state)
        assert torch.equal(logits, module(inputs))


def test_an_ordinary_network_is_built_once_for_its_logits():
    built = []
    counted = Network("counted", lambda: built.append(1) or toy.SMALL.build())
    trained = train(toy.default_arm(counted), SEEDS, toy.data())
    built.clear()
    for at_start in (True, False):
        trained.logits(toy.data().test_inputs, at_start=at_start)
    assert len(built) == 1


@pytest.mark.parametrize("steps", [1, 9, 10, 11, 25])
@pytest.mark.parametrize("engine", ENGINES)
def test_progress_adds_up_to_all_steps(engine, steps):
    done = []
    arm = toy.arm(recipe=replace(RECIPE, steps=steps))
    train(arm, SEEDS[:3], toy.data(), engine=engine, progress=done.append)
    assert sum(done) == 3 * steps


def test_arm_that_was_not_trained_on_the_requested_device_is_refused(monkeypatch):
    """If tensors stay on the CPU, their results agree with the CPU's record and look right."""
    asked = {"w": torch.ones(1, device="meta")}
    training._check_device(asked, "meta:0")
    with pytest.raises(NetworkError, match=r"requested on 'meta', and afterwards .* on 'cpu'"):
        training._check_device(asked | {"v": torch.ones(1)}, "meta")
    checked = []
    monkeypatch.setattr(training, "_check_device", lambda _, device: checked.append(device))
    train(ARM, [0], toy.data())
    assert checked == ["cpu"]


# --- chunks


@pytest.mark.parametrize("replicas", [1, 2, 3, 7, 8, 9, 16, 17, 33])
def test_chunks_cover_all_replicas_in_order(replicas):
    parts = chunks(replicas, toy.SMALL.build(), "cpu")
    assert parts[0].start == 0
    assert parts[-1].stop == replicas
    assert all(a.stop == b.start for a, b in pairwise(parts))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert 1 <= max(sizes) <= MOST_REPLICAS
    assert len(parts) == -(-replicas // MOST_REPLICAS)


def test_large_networks_are_trained_one_at_a_time():
    wide = nn.Linear(CHUNK_BYTES // 4 // 4, 1)  # float32, and its gradient and two moments
    assert chunks(5, wide, "cpu") == [slice(i, i + 1) for i in range(5)]


def test_an_accelerator_trains_all_at_once():
    assert chunks(33, toy.SMALL.build(), "meta") == [slice(0, 33)]


def test_arms_trained_together_equal_arms_trained_alone():
    kept = replace(RECIPE, keep_at=(3,), keep=("hidden1.weight",))
    arms = [toy.arm(recipe=kept, initializer=start) for start in (he, zeros)]
    together = train_together({arms[0]: (3, 5), arms[1]: (5, 7, 9)}, toy.data())
    for arm, seeds, found in zip(arms, ((3, 5), (5, 7, 9)), together, strict=True):
        alone = train(arm, seeds, toy.data())
        assert (found.arm, found.seeds) == (arm, seeds)
        assert torch.equal(found.losses, alone.losses)
        assert torch.equal(found.first_batch, alone.first_batch)
        assert torch.equal(found.kept[3]["hidden1.weight"], alone.kept[3]["hidden1.weight"])
        for name, tensor in alone.parameters.items():
            assert torch.equal(found.parameters[name], tensor)
            assert torch.equal(found.start[name], alone.start[name])
