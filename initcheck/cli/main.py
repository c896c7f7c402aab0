"""`initcheck …`: what is not a test."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from initcheck import __version__

if TYPE_CHECKING:
    from initcheck.results import Run

DONE, FAILED, MISSING = 0, 1, 4  # pytest's exit codes
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
    from initcheck import claims as listing

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
    from initcheck.baselines.evidence import BaselineError
    from initcheck.baselines.folder import Baselines
    from initcheck.claims import CollectionError, collect
    from initcheck.cli.explain import UnknownClaimError, find, folder_of
    from initcheck.cli.explain import explain as explained

    try:
        found = find(options.claim, collect(options.paths))
        print(explained(found, Baselines(options.baselines or folder_of(found[0]))))
    except (BaselineError, CollectionError, UnknownClaimError) as error:
        return _refuse(str(error))
    return DONE


def doctor(options: argparse.Namespace) -> int:
    """Print what there is to run claims with; 4 where something needed is missing."""
    from initcheck.cli.doctor import as_text, examine, missing

    lines = examine()
    print(as_text(lines))
    refusal = missing(lines, options.require)
    return _refuse(refusal) if refusal else DONE


def record(options: argparse.Namespace) -> int:
    """Write new evidence, file of claims by file.

    1 where a claim was not recorded, 4 where pytest refused what it was told: a device, say.
    """
    from initcheck.baselines.evidence import BaselineError
    from initcheck.claims import CollectionError, collect
    from initcheck.cli import record as recorder
    from initcheck.cli.explain import folder_of
    from initcheck.plugin.options import REFUSED_IN_CI

    if os.environ.get("CI"):
        return _refuse(f"initcheck record {REFUSED_IN_CI}")
    try:
        claims = collect(options.paths)
        baselines = options.baselines or folder_of(claims[0])
        out = options.out or baselines
        recorder.prepare(baselines, out)
        work = recorder.jobs(
            claims, _told(options), baselines, workers=options.jobs, shard=options.shard
        )
        missing = 0
        for done in recorder.run_all(work, options.jobs, options.dask):
            recorder.keep(done, out)
            missing += len(done.missing)
            print(done.sentence, flush=True)
            if done.refused:  # as every other file would be: none of them need be tried
                return MISSING
    except (BaselineError, CollectionError) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"The evidence was not written: {error}. Name a folder with --out.")
    return FAILED if missing else DONE


def _told(options: argparse.Namespace) -> list[str]:
    """What pytest is told of a recording."""
    told = [f"--initcheck-record={options.reason}"]
    for name in ("accept_drift", "data_root", "device", "scale"):
        value = getattr(options, name)
        if value is not None:
            told.append(f"--initcheck-{name.replace('_', '-')}={value}")
    return told


def merge(options: argparse.Namespace) -> int:
    """Take in what `record --out` wrote elsewhere."""
    from initcheck.baselines.evidence import BaselineError
    from initcheck.baselines.merging import merge as merged

    try:
        claims = merged(options.folders, options.baselines, options.accept_drift)
    except (BaselineError, OSError) as error:
        return _refuse(str(error))
    print(f"Evidence of {len(claims)} claims was merged into {options.baselines}.")
    return DONE


def report(options: argparse.Namespace) -> int:
    """Write one page of one run or of several, or print them in one of three forms."""
    from initcheck import results
    from initcheck.files import write_atomic
    from initcheck.report import html

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
        for line in _printed(run, options):
            print(line)
    return DONE


def _printed(run: Run, options: argparse.Namespace) -> list[str]:
    """A run as the terminal shows it at its end, as Markdown, or as GitHub's annotations."""
    from initcheck.report import markdown, terminal

    if options.markdown:
        return [markdown.summary(run)]
    if options.annotations:
        return markdown.annotations(run)
    columns = terminal.width()
    return [
        *terminal.header(run.environment, run.settings, columns=columns),
        *terminal.table(run.results, verbose=options.verbose, columns=columns),
        *terminal.closing(run, verbose=options.verbose, columns=columns),
    ]


def compare(options: argparse.Namespace) -> int:
    """Print where several runs differ: in verdicts, and how far each arm moved."""
    from initcheck import results
    from initcheck.report import compare as comparison

    try:
        named = [(str(file), results.read(file)) for file in options.results]
    except results.ResultsError as error:
        return _refuse(str(error))
    print(comparison.compare(*named, everything=options.all))
    return DONE


def _refuse(sentence: str) -> int:
    print(f"initcheck: {sentence}", file=sys.stderr)
    return MISSING


def _names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("names nothing; give one or more, parted by commas")
    return names


def _shard(text: str) -> tuple[int, int]:
    """``I/N``, the I-th of N parts."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; 2/3 is the second of three")
    return int(number), int(count)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a reason is needed, in quotes")
    return text


def _recording(commands: Any) -> None:
    """`record` and `merge`."""
    command = commands.add_parser("record", help="write new evidence, all of it or a shard")
    add = command.add_argument
    add("reason", type=_reason, metavar="REASON", help="why, in quotes; it is kept in the evidence")
    add("paths", nargs="*", metavar="PATH", help="default: the claims of this project")
    add("--jobs", type=_positive, default=1, metavar="N", help="processes at the same time")
    add("--shard", type=_shard, default=(1, 1), metavar="I/N", help="the I-th of N parts only")
    add("--dask", metavar="ADDRESS", help="a Dask scheduler whose workers record")
    add("--out", type=Path, metavar="DIR", help="leave evidence there, for `initcheck merge`")
    for name in ("accept-drift", "data-root", "device", "scale"):
        add(f"--{name}", metavar="TEXT", help=f"as pytest's --initcheck-{name}")
    add("--baselines", type=Path, metavar="DIR", help="default: beside the claims")
    command.set_defaults(run=record)

    command = commands.add_parser("merge", help="take in evidence that record --out left elsewhere")
    command.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    command.add_argument("--baselines", type=Path, default=Path("baselines"), metavar="DIR")
    command.add_argument("--accept-drift", type=_reason, metavar="REASON")
    command.set_defaults(run=merge)


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

    _recording(commands)

    command = commands.add_parser("report", help="one page of one run's results, or of several")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=_RESULTS)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--html", type=Path, metavar="FILE", help="default: print a table of each")
    form.add_argument("--markdown", action="store_true", help="print what a job's page shows")
    form.add_argument(
        "--annotations", action="store_true", help="print GitHub's error lines, none on green"
    )
    command.add_argument("-v", "--verbose", action="store_true", help="print every claim")
    command.set_defaults(run=report)

    command = commands.add_parser("compare", help="print where several runs differ")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=_RESULTS)
    command.add_argument("--all", action="store_true", help="print what agrees, too")
    command.set_defaults(run=compare)

    command = commands.add_parser("doctor", help="say what there is to run claims with")
    command.add_argument(
        "--require", type=_names, default=(), metavar="NAME,...", help="exit 4 unless these work"
    )
    command.set_defaults(run=doctor)
    return parser
