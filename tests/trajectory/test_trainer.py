"""The callback for the Trainer of transformers, with the library itself."""

from __future__ import annotations

import sys
from functools import partial
from importlib import util
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.run import run
from initcheck.trajectory.trainer import WatchCallback
from tests.trajectory.judging import compared, recorded

needs_transformers = pytest.mark.skipif(
    not (util.find_spec("transformers") and util.find_spec("accelerate")),
    reason="transformers[torch] is not installed",
)
pytestmark = pytest.mark.filterwarnings("ignore")


class Network(nn.Module):
    """A model as the Trainer wants it: the output has the loss."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, inputs, labels):
        return {"loss": (self.net(inputs) - labels).square().mean()}


def made(folder, seed, *, lr=0.05, trainer="Trainer", **options):
    import transformers

    transformers.set_seed(seed)
    numbers = torch.randn(64, 3, generator=torch.Generator().manual_seed(seed))
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), seed=seed, max_steps=options.pop("max_steps", 100), use_cpu=True,
        learning_rate=lr, per_device_train_batch_size=4, report_to="none", disable_tqdm=True,
        save_strategy="no", logging_strategy=options.pop("logging_strategy", "no"), **options,
    )  # fmt: skip
    data = [{"inputs": row, "labels": row.sum()[None]} for row in numbers]
    return transformers.Trainer(Network(), arguments, train_dataset=data)


def training(seed, *, folder, **options):
    trainer = made(folder, seed, **options)
    trainer.add_callback(WatchCallback(trainer=trainer))
    trainer.train()


@needs_transformers
def test_a_recorded_loop_is_unchanged_and_another_learning_rate_is_not(tmp_path):
    reference = recorded(partial(training, folder=tmp_path))
    assert compared(partial(training, folder=tmp_path), reference).r == 0
    other = compared(partial(training, folder=tmp_path, lr=0.05 * 0.9995), reference)
    assert other.verdict == "changed"
    assert other.tensor.startswith("net.")
    assert any("lr of group 0 is" in note for note in other.notes)


@needs_transformers
@pytest.mark.parametrize("batches", [1, 2])
def test_the_loss_is_what_the_trainer_logs_at_each_step(tmp_path, batches, capsys):
    trainers = []

    def logged(seed):
        trainer = made(
            tmp_path, seed, gradient_accumulation_steps=batches, logging_strategy="steps",
            logging_steps=1,
        )  # fmt: skip
        trainers.append(trainer)
        trainer.add_callback(WatchCallback(trainer=trainer))
        trainer.train()

    trace = run(Loop(logged, "logged"), 0, 3)
    shown = [each["loss"] for each in trainers[0].state.log_history if "loss" in each]
    assert trace.losses == pytest.approx(shown, rel=1e-6)
    assert trainers[0].state.global_step == 3


@needs_transformers
def test_it_does_nothing_outside_of_unchanged(tmp_path):
    import transformers

    trainer = made(tmp_path, 0, max_steps=4)
    callback = WatchCallback(trainer)
    trainer.add_callback(callback)
    before = trainer.training_step
    trainer.train()
    assert trainer.state.global_step == 4
    assert isinstance(callback, transformers.TrainerCallback)
    assert trainer.training_step == before


@needs_transformers
def test_a_callback_made_of_something_else_is_a_sentence():
    with pytest.raises(TrajectoryError, match=r"was given a SimpleNamespace\. Make it of the Trai"):
        WatchCallback(SimpleNamespace())


def test_without_the_library_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(TrajectoryError, match=r"Run: pip install 'transformers\[torch\]'"):
        WatchCallback(SimpleNamespace())
