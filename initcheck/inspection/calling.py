"""Importing and calling user code, whose errors become sentences that name the user's line."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from initcheck.inspection.findings import InspectionError
from initcheck.inspection.shown import is_shown, shortened
from initcheck.inspection.surroundings import DownloadRefusedError

#: Characters of an error's message. Longer ones give advice about torch itself.
_LONGEST = 240


def imported(name: str, folder: Path) -> Callable[..., Any]:
    """Import ``MODULE:FUNCTION``, from the folder too.

    Raises:
        InspectionError: there is no such module or function; the sentence says which.
    """
    module_name, _, attribute = name.partition(":")
    if not (module_name and attribute):
        raise InspectionError(f"{name!r} is not MODULE:FUNCTION, as in mypackage.models:build.")
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InspectionError(
            f"There is no module {error.name!r} in {folder} or on Python's path."
            f"{_close(str(error.name), folder)} Install it, or "
            f"run the command in the folder that contains it."
        ) from None
    except Exception as error:
        raise InspectionError(f"{module_name} cannot be imported: {said(error)}") from error
    finally:
        sys.path.remove(str(folder))
    try:
        found: Any = module
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        names = [each for each in dir(module) if callable(getattr(module, each)) and each[0] != "_"]
        hint = _did_you_mean(attribute, names)
        raise InspectionError(f"{module_name} has no function {attribute!r}.{hint}") from None
    if not callable(found):
        raise InspectionError(f"{name} is {what(found)}, which cannot be called.")
    return found  # type: ignore[no-any-return]


def _close(name: str, folder: Path) -> str:
    """Modules with a similar name in the same package, or in the folder."""
    package, _, _ = name.rpartition(".")
    places = getattr(sys.modules.get(package), "__path__", ()) if package else (str(folder),)
    start = f"{package}." if package else ""
    return _did_you_mean(name, [start + each.name for each in pkgutil.iter_modules(places)])


def _did_you_mean(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def called(function: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
    """What user code returns.

    Raises:
        InspectionError: it raised, or ended the program, or connected to another machine.
    """
    try:
        return function(*args, **kwargs)
    except (InspectionError, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise InspectionError(
            f"{name} ended the program (SystemExit: {error}){_at(error)}."
        ) from error
    except DownloadRefusedError as error:
        raise InspectionError(
            f"{name} tried to connect to another machine{_at(error)}. An inspection downloads "
            "nothing: build the model from its configuration, without pretrained weights."
        ) from error
    except Exception as error:
        if out_of_memory(error):
            raise InspectionError(f"{name} ran out of memory{_at(error)}.") from error
        raise InspectionError(f"{name} raised {said(error)}{_at(error)}.") from error


def unreached() -> InspectionError:
    """Says that no gradient arrives at any parameter."""
    off = "" if torch.is_grad_enabled() else ": gradients are off, by torch.set_grad_enabled(False)"
    return InspectionError(f"The loss does not depend on any trainable parameter{off}.")


def out_of_memory(error: BaseException) -> bool:
    """Whether this error says that memory could not be allocated."""
    reported = "can't allocate memory" in str(error) or "out of memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and reported)


def said(error: BaseException) -> str:
    """The type of an error with the first line of its message, or with the start of a long one."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    first = lines[0] if len(lines[0]) <= _LONGEST else f"{lines[0][:_LONGEST].rstrip()} ..."
    return f"{type(error).__name__}: {first if first.endswith('...') else first.rstrip('.')}"


def _at(error: BaseException) -> str:
    """Where the user's own code raised, or else where anything did."""
    frames = [
        each for each in traceback.extract_tb(error.__traceback__)
        if is_shown(each.filename) and "site-packages" not in each.filename
    ]  # fmt: skip
    return f" ({shortened(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""


def what(value: object) -> str:
    """The type of a value for a sentence, such as ``a dict`` or ``an int``."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'AEIOaeiou' else 'a'} {name}"
