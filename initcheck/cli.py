"""`initcheck …`: what is not a test."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from initcheck import __version__

DONE, MISSING = 0, 4  # pytest's exit codes
_RESULTS = "a file that --initcheck-json wrote"


class Parser(argparse.ArgumentParser):
    """A parser that leaves with pytest's exit code for a wrong option, 4, not argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave."""
        self.print_usage(sys.stderr)
        self.exit(MISSING, f"initcheck: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one command; ``argv`` is without the program's name."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def claims(options: argparse.Namespace) -> int:
    """Print every claim, for people or for machines."""
    from initcheck import listing

    try:
        found = listing.collect(options.paths)
    except listing.CollectionError as error:
        return _refuse(str(error))
    if options.json:
        print(json.dumps([asdict(claim) for claim in found], indent=2))
    else:
        print(listing.as_markdown(found) if options.markdown else listing.as_text(found))
    return DONE


def explain(options: argparse.Namespace) -> int:
    """Print all there is to say about one claim."""
    from initcheck.baselines import BaselineError, Baselines
    from initcheck.explain import UnknownClaimError, find, folder_of
    from initcheck.explain import explain as explained
    from initcheck.listing import CollectionError, collect

    try:
        found = find(options.claim, collect(options.paths))
        print(explained(found, Baselines(options.baselines or folder_of(found[0]))))
    except (BaselineError, CollectionError, UnknownClaimError) as error:
        return _refuse(str(error))
    return DONE


def doctor(options: argparse.Namespace) -> int:
    """Print what there is to run claims with; 4 where something needed is missing."""
    from initcheck.doctor import as_text, examine, missing

    lines = examine()
    print(as_text(lines))
    refusal = missing(lines, options.require)
    return _refuse(refusal) if refusal else DONE


def report(options: argparse.Namespace) -> int:
    """Write one page of one run or of several, or print what a run prints at its end."""
    from initcheck.evidence import write_atomic
    from initcheck.report import html, results, terminal

    try:
        runs = [results.read(file) for file in options.results]
    except results.ResultsError as error:
        return _refuse(str(error))
    if options.html is not None:
        try:
            write_atomic(options.html, html.page(*runs))
        except OSError as error:
            return _refuse(f"The page was not written: {error}. Name another file.")
        return DONE
    for run in runs:
        lines = (
            *terminal.header(run["environment"], run["settings"]),
            *terminal.table(run),
            *terminal.closing(run),
        )
        print("\n".join(lines))
    return DONE


def compare(options: argparse.Namespace) -> int:
    """Print the verdicts of several runs side by side, and how far each probe moved."""
    from initcheck.report import compare as comparison
    from initcheck.report import results

    try:
        named = [(str(file), results.read(file)) for file in options.results]
    except results.ResultsError as error:
        return _refuse(str(error))
    print(comparison.compare(*named))
    return DONE


def _refuse(sentence: str) -> int:
    print(f"initcheck: {sentence}", file=sys.stderr)
    return MISSING


def _names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _parser() -> Parser:
    parser = Parser(prog="initcheck", description="Claims about weight initialization, as a gate.")
    parser.add_argument("--version", action="version", version=f"initcheck {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("claims", help="list the claims and where each comes from")
    command.add_argument("paths", nargs="*", metavar="PATH", help="default: those of this project")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for machines")
    form.add_argument("--markdown", action="store_true", help="the table of the README")
    command.set_defaults(run=claims)

    command = commands.add_parser(
        "explain", help="say what a claim rests on, and what it would notice"
    )
    command.add_argument("claim", metavar="CLAIM", help="its name, with or without test_")
    command.add_argument("paths", nargs="*", metavar="PATH", help="default: those of this project")
    command.add_argument("--baselines", type=Path, metavar="DIR", help="default: beside the claim")
    command.set_defaults(run=explain)

    command = commands.add_parser("report", help="one page of one run's results, or of several")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=_RESULTS)
    command.add_argument("--html", type=Path, metavar="FILE", help="default: print a table of each")
    command.set_defaults(run=report)

    command = commands.add_parser("compare", help="runs side by side: verdicts, and what moved")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=_RESULTS)
    command.set_defaults(run=compare)

    command = commands.add_parser("doctor", help="say what there is to run claims with")
    command.add_argument(
        "--require", type=_names, default=(), metavar="NAME,…", help="exit 4 unless these work"
    )
    command.set_defaults(run=doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main())
