"""A user's training loop: a function of a seed that trains, and shows each step."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

#: Called with a seed; a generator function, or one that makes a `Watch`.
Training = Callable[..., Any]

_HERE = str(Path(__file__).parent)


class TrajectoryError(ValueError):
    """A loop cannot be judged, or a file cannot be used. The message is a sentence."""


@dataclass(frozen=True)
class Loop:
    """A training function, and what it is called with.

    Attributes:
        training: the user's function.
        name: what messages call it.
        device: given to the function as ``device`` if it has such a parameter.
    """

    training: Training
    name: str
    device: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.training):
            raise TrajectoryError(
                f"{self.name} is a {type(self.training).__name__}, not a function that trains."
            )
        if inspect.iscoroutinefunction(self.training) or inspect.isasyncgenfunction(self.training):
            raise TrajectoryError(
                f"{self.name} is an async function. Write a plain function of the seed that runs "
                "it with asyncio.run, and make a Watch in it."
            )
        if self._seed_parameter() is None:
            raise TrajectoryError(
                f"{self.name} takes no seed, so it cannot be run from several starts. Give it a "
                "parameter named seed, and seed all that it draws from with it."
            )
        required = [
            each.name for each in self._parameters()
            if each.default is each.empty
            and each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}
            and each.name not in {self._seed_parameter(), "dtype", "device"}
        ]  # fmt: skip
        if required:
            raise TrajectoryError(
                f"{self.name} needs {' and '.join(required)}. Write a function of the seed alone "
                "that calls it, and name that one."
            )
        if self.device is not None and not self.takes("device"):
            raise TrajectoryError(
                f"The device {self.device} was requested, and {self.name} has no parameter named "
                "device. Give it one, and build the model there."
            )

    def takes(self, name: str) -> bool:
        """Whether the function has a parameter of this name."""
        return any(each.name == name for each in self._parameters())

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            return [*inspect.signature(self.training).parameters.values()]
        except (TypeError, ValueError):
            return []

    def _seed_parameter(self) -> str | None:
        """Its parameter named seed, or else its first one without a default."""
        usable = [
            each for each in self._parameters()
            if each.kind not in {each.VAR_KEYWORD, each.VAR_POSITIONAL}
        ]  # fmt: skip
        named = [each.name for each in usable if each.name == "seed"]
        free = [
            each.name for each in usable
            if each.default is each.empty and each.name not in {"dtype", "device"}
        ]  # fmt: skip
        return next(iter([*named, *free[:1]]), None)

    def call(self, seed: int, dtype: torch.dtype | None = None) -> Any:
        """What the function returns for a seed: a generator, or its result once it has trained.

        Args:
            seed: the run's seed.
            dtype: the dtype to train in; None for the function's own default.
        """
        parameter = self._seed_parameter()
        kinds = {each.name: each.kind for each in self._parameters()}
        if dtype is None and self._needs("dtype"):
            dtype = torch.float32
        device = self.device or ("cpu" if self._needs("device") else None)
        offered: dict[str, Any] = {"dtype": dtype, "device": device}
        given = {name: value for name, value in offered.items() if value is not None}
        if kinds.get(str(parameter)) is inspect.Parameter.POSITIONAL_ONLY:
            return self.training(seed, **given)
        return self.training(**{str(parameter): seed}, **given)

    def _needs(self, name: str) -> bool:
        return any(each.name == name and each.default is each.empty for each in self._parameters())


def failed(name: str, steps: int | None, error: BaseException) -> NoReturn:
    """Say that a loop raised or ended the program, and where.

    Args:
        name: what the message calls the run.
        steps: how many steps it had shown; None if it had not shown its model.
        error: what it raised.

    Raises:
        TrajectoryError: always.
    """
    frames = [
        each for each in traceback.extract_tb(error.__traceback__)
        if not each.filename.startswith(_HERE) and "site-packages" not in each.filename
    ]  # fmt: skip
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    when = " before it showed its model" if steps is None else f" in step {steps}"
    if isinstance(error, SystemExit):
        raise TrajectoryError(
            f"{name} ended the program with exit code {error.code!r}{where}{when}."
        ) from error
    said = str(error).strip().splitlines()
    what = f"{type(error).__name__}: {said[0].rstrip('.')}" if said else type(error).__name__
    raise TrajectoryError(f"{name} raised {what}{where}{when}.") from error


def ended(name: str, iterator: Iterator[Any]) -> None:
    """Close a generator that has shown enough; other iterators need nothing.

    Raises:
        TrajectoryError: it goes on.
    """
    close = getattr(iterator, "close", None)
    if close is None:
        return
    try:
        close()
    except RuntimeError as error:
        if "ignored GeneratorExit" not in str(error):
            raise
        raise TrajectoryError(
            f"{name} goes on after it was ended: it catches GeneratorExit, as a bare except does. "
            "Let it catch Exception."
        ) from error
