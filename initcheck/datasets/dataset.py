"""A data set as whole tensors on one device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from initcheck.datasets.arrays import Arrays, Bytes, DataError, Labels, fingerprint


def changes(tensor: torch.Tensor) -> int:
    """How often a tensor was changed in place since it was made, as torch counts."""
    return tensor._version  # noqa: SLF001 -- has no public name


@dataclass(frozen=True, eq=False)  # compared by identity: tensors have no truth value
class DataSet:
    """A training and a test set that lie as whole tensors on one device.

    Inputs are (N, C, H, W) in [0, 1], contiguous, float32 unless `to` changed that; targets are
    (N,) int64 in [0, classes). The fingerprint is that of the stored bytes (images uint8, targets
    int64: their shapes, types and values), so `to` keeps it.
    """

    name: str
    train_inputs: torch.Tensor = field(repr=False)
    train_targets: torch.Tensor = field(repr=False)
    test_inputs: torch.Tensor = field(repr=False)
    test_targets: torch.Tensor = field(repr=False)
    classes: int
    fingerprint: str  # 16 hexadecimal digits

    def to(self, device: str, dtype: torch.dtype = torch.float32) -> DataSet:
        """Return the same data with inputs of `dtype` on `device`; targets stay int64."""
        return replace(
            self,
            train_inputs=self.train_inputs.to(device, dtype),
            train_targets=self.train_targets.to(device),
            test_inputs=self.test_inputs.to(device, dtype),
            test_targets=self.test_targets.to(device),
        )

    @property
    def changes(self) -> tuple[int, ...]:
        """How often each tensor was changed in place since it was made, as torch counts."""
        held = (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)
        return tuple(map(changes, held))

    @property
    def majority_share(self) -> float:
        """Test accuracy of always answering the most frequent class of the training set."""
        train, test = self.train_targets.cpu(), self.test_targets.cpu()  # float64 is needed
        majority = train.bincount(minlength=self.classes).argmax()
        return float((test == majority).double().mean())


def to_dataset(name: str, arrays: Arrays, *, classes: int) -> DataSet:
    """The data set that stored bytes make; `DataError` if labels and images do not fit."""
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
    if not len(images) == len(labels) > 0 or labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"The data set '{name}' has {len(labels)} labels for {len(images)} images, "
            f"which must be as many, at least one, and from 0 to {classes - 1}; put its files back."
        )


def _to_inputs(images: Bytes) -> torch.Tensor:
    # numpy divides as IEEE 754 says; some torch kernels multiply by the reciprocal of a scalar.
    return torch.from_numpy(np.divide(images, np.float32(255), dtype=np.float32))
