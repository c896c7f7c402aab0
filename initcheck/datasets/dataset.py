"""A data set as whole tensors on one device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from initcheck.datasets.arrays import Arrays, Bytes, DataError, Labels, fingerprint


def changes(tensor: torch.Tensor) -> int:
    """Return how often the tensor was changed in place since it was made, as torch counts."""
    return tensor._version  # noqa: SLF001 -- has no public name


@dataclass(frozen=True, eq=False)  # compared by identity: tensors have no truth value
class DataSet:
    """A training and a test set as whole tensors on one device.

    Attributes:
        name: the name that `load` was called with; "cifar10-jpeg" for CIFAR-10 read from JPEG.
        train_inputs: images (N, C, H, W) in [0, 1], contiguous, float32 unless `to` changed that;
            or tokens (N, T), int64.
        train_targets: int64 in [0, classes): one label per image (N,), or one per token (N, T).
        test_inputs: as train_inputs.
        test_targets: as train_targets.
        classes: number of classes.
        fingerprint: 16 hexadecimal digits for the stored bytes (images or tokens uint8, targets
            int64), so `to` keeps it.
    """

    name: str
    train_inputs: torch.Tensor = field(repr=False)
    train_targets: torch.Tensor = field(repr=False)
    test_inputs: torch.Tensor = field(repr=False)
    test_targets: torch.Tensor = field(repr=False)
    classes: int
    fingerprint: str

    def to(self, device: str, dtype: torch.dtype = torch.float32) -> DataSet:
        """Return the data on `device`, with images of `dtype`; tokens and targets stay int64."""
        return replace(
            self,
            train_inputs=_moved(self.train_inputs, device, dtype),
            train_targets=self.train_targets.to(device),
            test_inputs=_moved(self.test_inputs, device, dtype),
            test_targets=self.test_targets.to(device),
        )

    @property
    def changes(self) -> tuple[int, ...]:
        """How often each of the four tensors was changed in place since it was made."""
        tensors = (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)
        return tuple(map(changes, tensors))


def _moved(inputs: torch.Tensor, device: str, dtype: torch.dtype) -> torch.Tensor:
    return inputs.to(device, dtype) if inputs.is_floating_point() else inputs.to(device)


def to_dataset(name: str, arrays: Arrays, *, classes: int) -> DataSet:
    """Return the stored arrays as a data set on the CPU, with inputs scaled to [0, 1].

    Raises:
        DataError: the numbers of images and labels differ, or a label is out of range.
    """
    _check_labels(name, arrays.train_images, arrays.train_labels, classes)
    _check_labels(name, arrays.test_images, arrays.test_labels, classes)
    return DataSet(
        name=name,
        train_inputs=_to_inputs(arrays.train_images),
        train_targets=torch.from_numpy(arrays.train_labels),
        test_inputs=_to_inputs(arrays.test_images),
        test_targets=torch.from_numpy(arrays.test_labels),
        classes=classes,
        fingerprint=fingerprint(arrays),
    )


def _check_labels(name: str, images: Bytes, labels: Labels, classes: int) -> None:
    if not len(images) == len(labels) > 0:
        raise DataError(
            f"The data set '{name}' has {len(labels)} labels for {len(images)} images. It needs "
            "one label per image, and at least one image. Replace its files with intact copies."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"The data set '{name}' has labels from {labels.min()} to {labels.max()}, and they "
            f"must be from 0 to {classes - 1}. Replace its files with intact copies."
        )


def _to_inputs(images: Bytes) -> torch.Tensor:
    # numpy divides as IEEE 754 says; some torch kernels multiply by the reciprocal of a scalar.
    return torch.from_numpy(np.divide(images, np.float32(255), dtype=np.float32))
