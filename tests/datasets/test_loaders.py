"""Data sets by name: `load`, and the DataSet that it returns."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from initcheck import datasets
from initcheck.datasets import load
from tests.helpers.data import message

pytestmark = pytest.mark.usefixtures("isolated_data")


def test_same_call_returns_the_same_object(tmp_path: Path) -> None:
    assert load("mnist5k") is load("mnist5k")
    assert load("mnist5k") is load("mnist5k", root=tmp_path)


def test_importing_and_loading_leave_heavy_packages_alone() -> None:
    """The embedded digits need neither torchvision nor PIL, nor a library of tables."""
    code = (
        "import sys\n"
        "from initcheck.datasets import load\n"
        "heavy = {'pandas', 'torchvision', 'PIL', 'sklearn'}\n"
        "load('mnist5k')\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    package = str(Path(datasets.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["[]"]


# --- DataSet --------------------------------------------------------------------------------------


def test_to_changes_the_inputs_only() -> None:
    dataset = load("mnist5k")
    moved = dataset.to("cpu", torch.float64)
    assert moved.train_inputs.dtype == moved.test_inputs.dtype == torch.float64
    assert torch.equal(moved.train_inputs.float(), dataset.train_inputs)
    assert moved.train_targets.dtype == moved.test_targets.dtype == torch.int64
    assert (moved.name, moved.fingerprint) == (dataset.name, dataset.fingerprint)


def test_data_sets_can_be_compared_hashed_and_shown() -> None:
    dataset = load("mnist5k")
    other = replace(dataset, train_inputs=dataset.train_inputs + 1)
    assert dataset != other
    assert len({dataset, other}) == 2
    assert len(repr(dataset)) < 100


# --- names and roots ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnst", "", "folder", "folder:", "folder:PATH", "cifar10-jpeg"])
def test_unknown_name_lists_the_known_ones(name: str) -> None:
    text = message(name)
    if name == "folder:PATH":  # the placeholder of the list, taken literally
        assert "PATH has no image" in text
    else:
        assert f"no data set '{name}'" in text
        assert "mnist5k, names, mnist, cifar10, folder:PATH" in text


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_missing_root_names_the_fixes(name: str) -> None:
    text = message(name)
    assert f"'{name}'" in text
    for fix in ("--initcheck-data-root DIR", "INITCHECK_DATA_ROOT=DIR", "--initcheck-download"):
        assert fix in text
