"""`initcheck unchanged`: record a training loop, or check it, by the name of its function."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Self

from initcheck import devices
from initcheck.files import is_there, write_atomic
from initcheck.inspection import InspectionError
from initcheck.inspection.calling import imported
from initcheck.trajectory import Report, TrajectoryError, unchanged
from initcheck.trajectory.page import page
from initcheck.trajectory.writable import demand_writable


def run(options: argparse.Namespace) -> bool:
    """Record or check, print, write JSON and page; whether the loop is unchanged or was recorded.

    Raises:
        TrajectoryError: the function or the reference is missing, or the loop cannot be judged.
        OSError: a file cannot be written.
    """
    here = Path.cwd()  # a loop may change the folder
    json_file, html_file = (_absolute(each) for each in (options.json, options.html))
    file = _absolute(options.file)
    assert file is not None  # noqa: S101 -- the parser requires it
    if file in {json_file, html_file}:
        raise TrajectoryError(f"The reference {options.file} would be replaced. Name another file.")
    if json_file and json_file == html_file:
        raise TrajectoryError(f"--json and --html both name {options.json}. Name two files.")
    for each in (json_file, html_file):
        if each:
            demand_writable(each)
    was_there = is_there(file)
    try:
        report = _report(options, here, file)
    except KeyboardInterrupt:
        state = f"{options.file} is as it was" if was_there else f"there is no {options.file}"
        print(f"Interrupted. Nothing was written: {state}.", file=sys.stderr)
        raise
    print("\n".join(report.lines(verbose=options.verbose)))
    if json_file:
        report.write(json_file)
    if html_file:
        write_atomic(html_file, page([report.as_json()]))
    return report.ok or report.verdict == "recorded"


def _report(options: argparse.Namespace, here: Path, file: Path) -> Report:
    if options.device:
        try:
            devices.require([options.device])
        except devices.DeviceError as error:
            raise TrajectoryError(str(error).replace("--initcheck-device", "--device")) from None
    _demand_module(options.training, here)
    try:
        training = imported(options.training, here)
    except InspectionError as error:
        raise TrajectoryError(str(error).replace("models:build", "train:training")) from None
    names = (shlex.quote(str(each)) for each in (options.training, options.file))
    again = "initcheck unchanged {} --file {}".format(*names)
    for name in ("steps", "seeds", "device"):
        if getattr(options, name) is not None:
            again += f" --{name} {getattr(options, name)}"
    again += " --record 'why'"
    with _Progress() as progress:
        return unchanged(
            training, file=file, steps=options.steps, seeds=options.seeds, record=options.record,
            name=options.training, device=options.device, command=again, progress=progress,
        )  # fmt: skip


def _demand_module(name: str, here: Path) -> None:
    """Check that a function is not looked for in a file by its path.

    Raises:
        TrajectoryError: it is; the sentence names the module.
    """
    path, _, function = name.rpartition(":")
    file = Path(path)
    if not (path.endswith(".py") and function):
        return
    if not file.is_file():
        raise TrajectoryError(f"There is no file {path}. Name a module, as in train:training.")
    whole = file.resolve()
    inside = whole.is_relative_to(here.resolve())
    parts = (whole.relative_to(here.resolve()) if inside else Path(whole.name)).with_suffix("")
    where = "" if inside else f"in {whole.parent} "
    module = ".".join(parts.parts)
    raise TrajectoryError(f"{path} is a file. Name its module {where}instead: {module}:{function}")


class _Progress:
    """One line on a terminal that counts the runs, and is removed at the end."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        if self._shown:
            print(f"\rrun {done} of {total}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _absolute(file: Path | None) -> Path | None:
    """The file's absolute path.

    Raises:
        TrajectoryError: its folder does not exist, or it is a folder.
    """
    if file is None:
        return None
    if not file.absolute().parent.is_dir():
        raise TrajectoryError(f"There is no folder {file.absolute().parent}. Create it.")
    if file.is_dir():
        raise TrajectoryError(f"{file} is a folder. Name a file.")
    return file.absolute()
