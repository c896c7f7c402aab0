"""Inputs of small models of libraries, each from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Entry = tuple[Callable[..., Any], ...]

WORDS = 96  # the vocabulary of every small language model


def images(side: int, count: int = 2, classes: int = 10) -> Any:
    """Images with labels, from a fixed seed."""
    generator = torch.Generator().manual_seed(11)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return torch.randn(count, 3, side, side, generator=generator), labels


def tokens(length: int = 12, **more: Any) -> Any:
    """Token ids that are their own labels, as a dict."""
    generator = torch.Generator().manual_seed(11)
    ids = torch.randint(5, WORDS, (2, length), generator=generator)
    return {"input_ids": ids, "labels": ids, **more}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11))
