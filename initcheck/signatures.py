"""Signatures of functions that others wrote, whatever their annotations name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

AS_IT_STANDS: dict[str, Any] = {}
if sys.version_info >= (3, 14):  # which evaluates annotations when they are asked for
    from annotationlib import Format

    AS_IT_STANDS["annotation_format"] = Format.FORWARDREF


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature; an annotation whose names are for type checkers alone is left unevaluated.

    Raises:
        ValueError, NameError: the function does not tell.
    """
    return inspect.signature(function, **AS_IT_STANDS)
