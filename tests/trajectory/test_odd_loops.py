"""Loops that cannot be judged, or do odd things: each gets a sentence, or trains as usual."""

from __future__ import annotations

import itertools
import sys
import threading
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from initcheck import unchanged
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.run import run
from initcheck.trajectory.watch import Watch
from tests.trajectory.judging import compared, recorded
from tests.trajectory.test_kinds_of_training import batches, descend, fit, mlp


def train(seed, *, lr=0.05, after=lambda number, model, loss: None, show=lambda loss: loss):
    """A plain loop that does something after each step, and shows the loss as it is told."""
    torch.manual_seed(seed)
    model = mlp()
    yield model
    for number, (inputs, targets) in enumerate(batches(seed)):
        loss = (model(inputs) - targets).square().mean()
        loss.backward()
        descend(model, lr)
        after(number, model, loss)
        yield show(loss)


def plain(seed, watch=lambda model: [Watch(model)], steps=100):
    """The same loop, which pushes its steps."""
    loop = train(seed)
    watches = watch(next(loop))
    for loss in itertools.islice(loop, steps):
        stop = [each.step(loss) for each in watches]
        if any(stop):
            break


def raises(error):
    def after(number, *_):
        if number == 2:
            raise error

    return after


def nothing(seed):
    return
    yield


def only_its_model(seed):
    yield mlp()


def frozen(seed):
    yield mlp().requires_grad_(False)


def a_list(seed):
    yield [mlp()]


def lazy(seed):
    yield nn.LazyLinear(3)


def on_meta(seed):
    yield nn.Linear(3, 3, device="meta")


def other_seeds(seed):
    return train(7)


def without_seed():
    return train(0)


def with_another_argument(seed, width):
    return train(seed)


async def awaited(seed):
    return train(seed)


def twice(seed):
    model = mlp()
    yield model
    yield model


def greedy(seed):
    for shown in train(seed):
        try:
            yield shown
        except:  # noqa: E722
            yield shown


def catches_everything(seed):
    try:
        Watch(nn.Linear(2, 2)).step("much")
    except Exception:  # noqa: BLE001
        return


def unseeded():
    """A loop whose generator goes on from run to run."""
    generator = torch.Generator().manual_seed(5)
    return lambda seed: train(int(torch.randint(1000, (1,), generator=generator)))


def unseeded_data():
    """A loop that draws its start from its seed, and noise from elsewhere."""
    generator = torch.Generator().manual_seed(5)

    def after(number, model, loss):
        with torch.no_grad():
            model[0].weight += torch.randn(8, 6, generator=generator) / 10

    return partial(train, after=after)


def grows_apart(seed):
    torch.manual_seed(seed)
    return fit(0, lambda: nn.Sequential(nn.Linear(6, 4 + seed), nn.Linear(4 + seed, 1)))


REFUSED = {
    "yields nothing": (nothing, "training with seed 0 shows nothing. Let it yield its model"),
    "returns None": (lambda seed: None, "training with seed 0 shows nothing. Let it yield its"),
    "no step": (only_its_model, "shows its model and no step. Let it yield the loss after each"),
    "Watch without a step": (
        partial(plain, steps=0), "no step. Let it yield the loss after each step, or call step of",
    ),
    "Watch twice": (
        partial(plain, watch=lambda model: [Watch(model), Watch(model)]),
        "training with seed 0 shows a second model. Yield or watch one module, and put several",
    ),
    "stops early": (
        lambda seed: itertools.islice(train(seed), 4),
        "training with seed 0 ends after 3 of the 5 requested steps. Request 3 steps, or let it go",
    ),
    "NaN": (
        partial(train, show=lambda loss: loss * torch.nan),
        "The loss of training with seed 0 is nan at step 0, so nothing was recorded.",
    ),
    "many losses": (
        partial(train, show=lambda loss: loss.expand(3)),
        "shows a tensor of shape (3,) as the loss of step 0. Show one number, such as the loss's m",
    ),
    "complex loss": (
        partial(train, show=lambda loss: loss + 1j), "shows a complex tensor of shape () as the",
    ),
    "a text": (partial(train, show=str), "shows a str as the loss of step 0. Show one number"),
    "no loss": (partial(train, show=lambda loss: None), "shows nothing as the loss of step 0."),
    "the model twice": (
        twice,
        "Show one number, such as the loss's mean. Its model is shown once, before the first step.",
    ),
    "no module": (a_list, "shows a list first. Yield or watch the torch.nn.Module that trains, or"),
    "frozen": (frozen, "shows a Sequential without a parameter that trains."),
    "lazy": (lazy, "weight has no shape before the first forward pass. Run one before the model"),
    "meta": (on_meta, "weight is on the meta device, so it has no numbers."),
    "ignores its seed": (
        other_seeds, "training does the same with seed 1 as with seed 0: 2 equal runs are one.",
    ),
    "takes no seed": (without_seed, "training takes no seed, so it cannot be run from several st"),
    "needs more": (with_another_argument, "training needs width. Write a function of the seed al"),
    "async": (awaited, "training is an async function. Write a plain function of the seed that ru"),
    "no function": (7, "training is a int, not a function that trains."),
    "raises": (
        partial(train, after=raises(ValueError("too big."))),
        "training with seed 0 raised ValueError: too big (test_odd_loops.py:",
    ),
    "exits": (
        partial(train, after=raises(SystemExit(3))),
        "training with seed 0 ended the program with exit code 3 (test_odd_loops.py:",
    ),
    "catches GeneratorExit": (
        greedy, "training with seed 0 goes on after it was ended: it catches GeneratorExit, as a",
    ),
    "catches our error": (catches_everything, "shows a str as the loss of step 0. Show one numb"),
    "starts elsewhere": (
        unseeded(),
        "training is not repeatable: two runs with seed 0 start from different values of 0.weight.",
    ),
    "is not repeatable": (
        unseeded_data(), "% of losses and tensors differ between two runs with seed 0. At step ",
    ),
    "another model": (grows_apart, "training builds another model with seed 1 than with seed 0."),
    "does not move": (
        partial(train, lr=0.0), "training cannot be judged: No parameter moved in 5 steps. Nothing",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_a_loop_that_cannot_be_judged_is_refused_in_a_sentence(case):
    training, message = REFUSED[case]
    with pytest.raises(TrajectoryError) as refused:
        recorded(training)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_error_says_in_which_step_it_came():
    with pytest.raises(TrajectoryError, match=r"too big \(.*\) in step 2\.$"):
        run(Loop(partial(train, after=raises(ValueError("too big"))), "training"), 0, 5)
    with pytest.raises(TrajectoryError, match=r"\) before it showed its model\.$"):
        run(Loop(lambda seed: 1 / 0, "training"), 0, 5)


def exits_when_done(seed):
    plain(seed)
    sys.exit()


class Trains:
    """A loop inside a class."""

    def method(self, seed):
        return train(seed)

    def __call__(self, seed):
        return train(seed)

    @staticmethod
    def static(seed):
        return train(seed)


def in_a_thread(seed):
    thread = threading.Thread(target=plain, args=(seed,))
    thread.start()
    thread.join()


def on_in_a_thread(seed):
    """It does not stop when it is told to."""

    def forever():
        loop = train(seed)
        watch = Watch(next(loop))
        for loss in loop:
            watch.step(loss)

    thread = threading.Thread(target=forever)
    thread.start()
    thread.join()


def never_stops(seed):
    loop = train(seed)
    watch = Watch(next(loop))
    for loss in loop:
        watch.step(loss)


def of_inference(seed):
    loop = train(seed)
    while True:
        with torch.inference_mode(False):
            shown = next(loop)
        with torch.inference_mode():
            yield shown


ACCEPTED = {
    "endless": train,
    "plain": plain,
    "exits when it is done": exits_when_done,
    "method": Trains().method,
    "object": Trains(),
    "static": Trains.static,
    "lambda": lambda seed: train(seed, lr=0.05),
    "partial": partial(train, lr=0.05),
    "iterator": lambda seed: itertools.chain(train(seed)),
    "positional": lambda seed, /: train(seed),
    "another name": lambda number: train(number, lr=0.05),
    "numpy loss": partial(train, show=lambda loss: np.float32(loss.item())),
    "one-element loss": partial(train, show=lambda loss: loss[None]),
    "thread": in_a_thread,
    "endless thread": on_in_a_thread,
    "endless watch": never_stops,
    "inference mode": of_inference,
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # Python: none
@pytest.mark.parametrize("way", ACCEPTED)
def test_a_loop_may_be_written_in_many_ways(way):
    loop = Loop(ACCEPTED[way], "training")
    trace = run(loop, 3, 4)
    assert trace.losses == run(Loop(train, "training"), 3, 4).losses


def test_messages_call_a_partial_by_its_function(tmp_path):
    with pytest.raises(TrajectoryError, match=r"Record one: unchanged\(train, file="):
        unchanged(partial(partial(train, lr=0.1), lr=0.2), file=tmp_path / "none.json")


def test_a_loop_that_ends_early_has_changed():
    reference = recorded(train)
    early = compared(lambda seed: itertools.islice(train(seed), 4), reference)
    assert (early.verdict, early.why) == ("changed", "It ends after 3 of 5 steps with seed 0.")
    nan = compared(partial(train, show=lambda loss: loss * torch.inf), reference)
    assert nan.why.startswith("The loss is inf at step 0 with seed 0. Only a loop whose losses")


def test_training_that_stands_still_now_has_changed():
    still = compared(partial(train, lr=0.0), recorded(train))
    assert still.verdict == "changed"
    assert still.first_step == 0


def test_without_gradients_the_error_is_torchs_own():
    def blind(seed):
        with torch.no_grad():
            yield from train(seed)

    with pytest.raises(TrajectoryError, match="raised RuntimeError: element 0 of tensors does not"):
        run(Loop(blind, "training"), 0, 3)
