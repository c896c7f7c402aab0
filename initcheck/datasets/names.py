"""The embedded text `names`: names of Unicode 3.2's characters as windows of tokens."""

from __future__ import annotations

import functools

import numpy as np
import torch

from initcheck.datasets import unicode_names
from initcheck.datasets.arrays import Arrays, Bytes, DataError, Labels, fingerprint
from initcheck.datasets.dataset import DataSet

NAMES_FINGERPRINT = "4738ac3a606f6725"  # of the tokens that all evidence was recorded on
LENGTH = 32  # tokens in a window


@functools.cache
def load_names() -> DataSet:
    """Return the text `names`: each window's targets are its inputs, one token later.

    Inputs and targets are int64 tokens ``(N, 32)`` of 39 symbols: 38 of the names, and the newline
    that ends each. Windows follow each other in the text and do not overlap.

    Raises:
        DataError: this Python's Unicode 3.2 database has other names than CPython's.
    """
    train, test = map(_windows, unicode_names.parts())
    arrays = Arrays(*train, *test)
    found = fingerprint(arrays)
    if found != NAMES_FINGERPRINT:
        raise DataError(
            f"The text 'names' has the fingerprint {found}, but the evidence was recorded on "
            f"{NAMES_FINGERPRINT}. It is built from unicodedata.ucd_3_2_0, which in this Python "
            "has other names than in CPython. Run the claims with CPython."
        )
    inputs, targets, test_inputs, test_targets = map(torch.from_numpy, arrays.named().values())
    return DataSet(
        "names", inputs.long(), targets, test_inputs.long(), test_targets,
        classes=len(unicode_names.SYMBOLS), fingerprint=found,
    )  # fmt: skip


def _windows(text: str) -> tuple[Bytes, Labels]:
    """The tokens of a text in windows ``(N, 32)``, and the token after each of them."""
    places = {symbol: place for place, symbol in enumerate(unicode_names.SYMBOLS)}
    tokens = np.array([places[symbol] for symbol in text], np.uint8)
    count = (len(tokens) - 1) // LENGTH
    inputs, targets = tokens[: count * LENGTH], tokens[1 : count * LENGTH + 1]
    shape = count, LENGTH
    return inputs.reshape(shape), targets.reshape(shape).astype(np.int64)
