"""Fills a network from an initializer; errors in a user's code become sentences with its line."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch
from torch import nn

from initcheck.datasets import DataError
from initcheck.initializers.factory import InitializerError
from initcheck.initializers.rules import Initializer


def fill(module: nn.Module, initializer: Initializer, generator: torch.Generator) -> None:
    """Fill the parameters of a network in place.

    Raises:
        DataError: the data that the initializer learns from are missing or damaged.
        InitializerError: the initializer raised any other error.
    """
    try:
        initializer(module, generator)
    except (InitializerError, DataError):
        raise  # a sentence already
    except Exception as error:
        raise InitializerError(
            f"The initializer '{initializer.name}' raised {type(error).__name__}: {error} "
            f"({_users_line(error)})"
        ) from error


def _users_line(error: Exception) -> str:
    """Where the innermost line of the user's own code is, and the line."""
    frames = traceback.extract_tb(error.__traceback__)
    installed = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
    own = [frame for frame in frames if not frame.filename.startswith(installed)]
    frame = (own or frames)[-1]
    return f"line {frame.lineno} of {Path(frame.filename).name}: {frame.line}"
