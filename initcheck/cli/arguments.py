"""The arguments of the `initcheck` command and of its subcommands."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any, NoReturn

from initcheck import __version__

MISSING = 4  # pytest's exit code for a wrong option
RESULTS = "a file that --initcheck-json wrote"
PATHS = "default: the claims of this project"
ALLOW = "what may be found, as 'PATTERN CHECK REASON'; repeatable"


class Parser(argparse.ArgumentParser):
    """A parser that exits with pytest's code for a wrong option, 4, not with argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit."""
        self.print_usage(sys.stderr)
        self.exit(MISSING, f"initcheck: {message}\n")


def _names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("no name was given; separate several names by commas")
    return names


def _shard(text: str) -> tuple[int, int]:
    """``I/N``, the I-th of N parts."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shard such as 2/3, the second of 3")
    return int(number), int(count)


def _activation(text: str) -> str:
    from initcheck.plugin.options import ACTIVATIONS  # noqa: PLC0415 -- imports pytest

    if text not in ACTIVATIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(ACTIVATIONS)}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _reason(text: str) -> str:
    """Words that say why. A path here means that the reason was forgotten."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a reason is needed, in quotes")
    path_like = len(text.split()) == 1 and (".py" in text or "/" in text or os.sep in text)
    if path_like or Path(text).exists():
        raise argparse.ArgumentTypeError(f"{text!r} is a path, and no reason in quotes")
    return text


def _reason_before_paths(text: str) -> str:
    try:
        return _reason(text)
    except argparse.ArgumentTypeError as error:
        path = f" {shlex.quote(text)}" if text.strip() else ""
        raise argparse.ArgumentTypeError(
            f'{error}. The reason comes first: initcheck record "why"{path}'
        ) from None


def _add_recording(commands: Any) -> None:
    """Add the subcommands that write evidence: `record` and `merge`."""
    command = commands.add_parser("record", help="write new evidence for all claims or for a shard")
    add = command.add_argument
    add(
        "reason",
        type=_reason_before_paths,
        metavar="REASON",
        help="why, in quotes; the evidence keeps it",
    )
    add("paths", nargs="*", metavar="PATH", help=PATHS)
    add("--jobs", type=_positive, default=1, metavar="N", help="number of processes")
    add("--shard", type=_shard, default=(1, 1), metavar="I/N", help="only the I-th of N parts")
    add("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers record")
    add("--out", type=Path, metavar="DIR", help="write evidence there, for `initcheck merge`")
    for name in ("accept-drift", "data-root", "device", "scale"):
        add(f"--{name}", metavar="TEXT", help=f"like pytest's --initcheck-{name}")
    add("--baselines", type=Path, metavar="DIR", help="default: next to the claims")
    command.set_defaults(command="record")

    command = commands.add_parser("merge", help="merge evidence that record --out wrote")
    command.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    command.add_argument("--baselines", type=Path, default=Path("baselines"), metavar="DIR")
    command.add_argument("--accept-drift", type=_reason, metavar="REASON")
    command.set_defaults(command="merge")


def _add_compare_init(commands: Any) -> None:
    """Add the subcommand `compare-init`."""
    command = commands.add_parser("compare-init", help="compare your initializer with the usual")
    add = command.add_argument
    add("init", nargs="+", metavar="MODULE:FUNCTION", help="as for pytest's --initcheck-init")
    add("--activation", type=_activation, default="relu", metavar="NAME", help="of the networks")
    add("--seeds", type=_positive, default=4, metavar="N", help="per initializer and rate")
    add("--json", type=Path, metavar="FILE", help="write the numbers for machines")
    add("--svg", type=Path, metavar="FILE", help="write a picture")
    command.set_defaults(command="compare_init")


def _add_inspect(commands: Any) -> None:
    """Add the subcommand `inspect`."""
    command = commands.add_parser("inspect", help="look for faults in the start of a module")
    add = command.add_argument
    add("build", metavar="MODULE:FUNCTION", help="builds the module; takes a seed, or nothing")
    add("--batch", metavar="MODULE:FUNCTION", help="returns (inputs, targets), or the inputs alone")
    add("--loss", metavar="MODULE:FUNCTION", help="computes the loss from (module, batch)")
    init = command.add_mutually_exclusive_group().add_argument
    init("--init", metavar="MODULE:FUNCTION", help="your initialization of the whole module")
    init("--init-apply", metavar="MODULE:FUNCTION", help="the same, for module.apply")
    add("--device", default="cpu", metavar="NAME", help="where the module is moved; default: cpu")
    add("--record", type=Path, metavar="FILE", help="keep the start in this file")
    add("--against", type=Path, metavar="FILE", help="compare with the start in this file")
    add("--json", type=Path, metavar="FILE", help="write the findings for machines")
    add("--allow", action="append", default=[], metavar="EXCEPTION", help=ALLOW)
    add("--html", type=Path, metavar="FILE", help="write a page with each layer's signals")
    add("--strict", action="store_true", help="fail on warnings, too")
    add("-v", "--verbose", action="store_true", help="print repairs and what exceptions allow, too")
    command.set_defaults(command="inspect")


def _add_unchanged(commands: Any) -> None:
    """Add the subcommand `unchanged`."""
    command = commands.add_parser("unchanged", help="is a training loop as it was recorded?")
    add = command.add_argument
    add("training", metavar="MODULE:FUNCTION", help="trains from a seed, and shows each step")
    add("--file", type=Path, required=True, metavar="FILE", help="the reference")
    add("--record", type=_reason, metavar="REASON", help="write the reference; why, in quotes")
    add("--steps", type=_positive, metavar="N", help="of a recording; default: 32")
    add("--seeds", type=_positive, metavar="N", help="of a recording; default: 4")
    add("--device", metavar="NAME", help="given to a function that takes a device")
    add("--json", type=Path, metavar="FILE", help="write the result for machines")
    add("--html", type=Path, metavar="FILE", help="write a page with r over steps and tensors")
    add("-v", "--verbose", action="store_true", help="print every tensor")
    command.set_defaults(command="unchanged")


def parser() -> Parser:
    """The parser of the whole command; ``command`` names the function to run."""
    whole = Parser(prog="initcheck", description="Claims about weight initialization, as a gate.")
    whole.add_argument("--version", action="version", version=f"initcheck {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("claims", help="list the claims")
    command.add_argument("paths", nargs="*", metavar="PATH", help=PATHS)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON, with regime, source and file")
    form.add_argument("--markdown", action="store_true", help="as the page docs/claims.md")
    command.set_defaults(command="claims")

    command = commands.add_parser(
        "explain", help="print a claim's regime, limits, faults, sources and evidence"
    )
    command.add_argument("claim", metavar="CLAIM", help="its name, with or without test_")
    command.add_argument("paths", nargs="*", metavar="PATH", help=PATHS)
    command.add_argument("--baselines", type=Path, metavar="DIR", help="default: next to the claim")
    command.set_defaults(command="explain")

    _add_recording(commands)

    command = commands.add_parser("report", help="one page about one run or several")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=RESULTS)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--html", type=Path, metavar="FILE", help="default: print a table of each")
    form.add_argument("--pictures", type=Path, metavar="DIR", help="write an SVG file per picture")
    form.add_argument("--markdown", action="store_true", help="print a summary for a CI job")
    form.add_argument(
        "--annotations",
        action="store_true",
        help="print a GitHub error per claim that is not green",
    )
    command.add_argument("-v", "--verbose", action="store_true", help="print every claim")
    command.set_defaults(command="report")

    command = commands.add_parser("compare", help="print where several runs differ")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=RESULTS)
    command.add_argument("--all", action="store_true", help="print what agrees, too")
    command.add_argument(
        "--fail-on-change",
        action="store_true",
        help="exit 1 if a claim's verdict differs, or a claim is not in all runs",
    )
    command.set_defaults(command="compare")

    _add_inspect(commands)
    _add_unchanged(commands)
    _add_compare_init(commands)

    command = commands.add_parser("doctor", help="print versions, devices, data and baselines")
    command.add_argument(
        "--require", type=_names, default=(), metavar="NAME,...", help="exit 4 unless these work"
    )
    command.set_defaults(command="doctor")
    return whole
