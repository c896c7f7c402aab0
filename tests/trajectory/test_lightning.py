"""The callback for Lightning, with the library itself under both of its names."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from functools import partial
from importlib import import_module, util

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from initcheck.trajectory.lightning import WatchCallback
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.run import run
from tests.trajectory.judging import compared, recorded

NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            util.find_spec(package) is None, reason=f"{package} is not installed"
        ),
    )
    for name in ("lightning.pytorch", "pytorch_lightning")
    for package in (name.partition(".")[0],)
]  # fmt: skip
#: Lightning warns about few workers and missing loggers, which pytest turns into errors.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=NAMES)
def library(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = import_module(request.param)
    for name in ("lightning.pytorch", "pytorch_lightning", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return found


def module(library, lr=0.05, *, manual=False):
    class Regression(library.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1), nn.Tanh(), nn.Linear(4, 1))
            self.automatic_optimization = not manual
            self.shown = []

        def training_step(self, batch, batch_idx):
            inputs, targets = batch
            loss = (self.net(inputs) - targets).square().mean()
            if manual:
                self.manual_backward(loss)
                if batch_idx % 2:
                    self.optimizers().step()
                    self.optimizers().zero_grad()
            self.shown.append(float(loss))
            return {"loss": loss}

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=lr)

    return Regression()


def fit(library, network, *, seed, callbacks, **options):
    numbers = torch.randn(64, 3, generator=torch.Generator().manual_seed(seed))
    data = DataLoader(TensorDataset(numbers, numbers.sum(1, keepdim=True)), batch_size=4)
    trainer = library.Trainer(
        max_steps=options.pop("max_steps", 100), accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=callbacks, **options,
    )  # fmt: skip
    trainer.fit(network, data)
    return trainer


def training(seed, *, library, lr=0.05, manual=False, **options):
    torch.manual_seed(seed)
    fit(
        library,
        module(library, lr, manual=manual),
        seed=seed,
        callbacks=[WatchCallback()],
        **options,
    )


def test_a_recorded_loop_is_unchanged_and_another_learning_rate_is_not(library):
    reference = recorded(partial(training, library=library))
    assert compared(partial(training, library=library), reference).r == 0
    other = compared(partial(training, library=library, lr=0.05 * 0.9995), reference)
    assert other.verdict == "changed"
    assert other.tensor.startswith("net.")
    assert other.notes[0].startswith("At step 0, lr of group 0 is 0.04997")


@pytest.mark.parametrize("manual", [False, True], ids=["automatic", "manual"])
def test_the_loss_of_accumulated_gradients_is_the_mean_of_their_batches(library, manual):
    shown = []

    def accumulated(seed):
        torch.manual_seed(seed)
        network = module(library, manual=manual)
        shown.append(network.shown)
        options = {} if manual else {"accumulate_grad_batches": 2}
        fit(library, network, seed=seed, callbacks=[WatchCallback()], **options)

    trace = run(Loop(accumulated, "accumulated"), 0, 3)
    pairs = torch.tensor(shown[0]).reshape(3, 2)
    assert trace.losses == pytest.approx(pairs.mean(1).tolist(), rel=1e-6)


def test_training_ends_after_the_requested_steps(library):
    trained = []

    def counted(seed):
        torch.manual_seed(seed)
        network = module(library)
        trained.append(fit(library, network, seed=seed, callbacks=[WatchCallback()]))

    run(Loop(counted, "counted"), 0, 3)
    assert trained[0].global_step == 3


def test_it_does_nothing_outside_of_unchanged(library):
    torch.manual_seed(0)
    callback = WatchCallback()
    trainer = fit(library, module(library), seed=0, callbacks=[callback], max_steps=4)
    assert trainer.global_step == 4
    assert isinstance(callback, library.Callback)


def test_a_training_step_without_a_loss_is_a_sentence(library):
    def silent(seed):
        torch.manual_seed(seed)
        network = module(library, manual=True)
        inner = network.training_step
        network.training_step = lambda batch, batch_idx: inner(batch, batch_idx) and None
        fit(library, network, seed=seed, callbacks=[WatchCallback()])

    with pytest.raises(TrajectoryError, match="training_step of Regression returns no loss"):
        run(Loop(silent, "silent"), 0, 3)


def test_without_the_library_the_error_names_the_command(monkeypatch):
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TrajectoryError, match="Run: pip install lightning"):
        WatchCallback()


def test_importing_the_callbacks_imports_no_library():
    code = (
        "import sys, initcheck.trajectory.lightning, initcheck.trajectory.trainer\n"
        "print(sorted({'lightning', 'pytorch_lightning', 'transformers'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
