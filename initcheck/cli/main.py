"""The `initcheck` command and its subcommands."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from initcheck import __version__

if TYPE_CHECKING:
    from initcheck.results import Run

DONE, FAILED, MISSING = 0, 1, 4  # pytest's exit codes
UNSEEN = ("Cc", "Cf")  # Unicode's categories of control and format characters
RESULTS = "a file that --initcheck-json wrote"
PATHS = "default: the claims of this project"


class Parser(argparse.ArgumentParser):
    """A parser that exits with pytest's code for a wrong option, 4, not with argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit."""
        self.print_usage(sys.stderr)
        self.exit(MISSING, f"initcheck: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code; ``argv`` is without the program's name."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


# --- subcommands ----------------------------------------------------------------------------------


def claims(options: argparse.Namespace) -> int:
    """Print every claim: as text, as JSON or as a Markdown page."""
    from initcheck.claims import CollectionError
    from initcheck.cli import project
    from initcheck.cli.claims import as_json, as_markdown, as_text

    written = as_json if options.json else as_markdown if options.markdown else as_text
    try:
        found = project.find(options.paths)
        print(written(found.claims))
    except CollectionError as error:
        return _refuse(str(error))
    _note(found.note)
    return DONE


def explain(options: argparse.Namespace) -> int:
    """Print all there is to say about one claim."""
    from initcheck.baselines.evidence import BaselineError
    from initcheck.baselines.folder import Baselines
    from initcheck.claims import CollectionError
    from initcheck.cli.explain import UnknownClaimError, folder_of, searched
    from initcheck.cli.explain import explain as explained

    try:
        found = searched(options.claim, options.paths)
        baselines = Baselines(options.baselines or folder_of(found.claims[0]))
        print(explained(found.claims, baselines, parameters="[" in options.claim))
    except (BaselineError, CollectionError, UnknownClaimError) as error:
        return _refuse(str(error))
    _note(found.note)
    return DONE


def doctor(options: argparse.Namespace) -> int:
    """Print versions, devices, data and baselines; 4 if something that is needed is missing."""
    from initcheck.cli.doctor import as_text, examine, missing

    lines = examine()
    print(as_text(lines))
    refusal = missing(lines, options.require)
    return _refuse(refusal) if refusal else DONE


def record(options: argparse.Namespace) -> int:
    """Write new evidence, one process per file of claims.

    1 if a claim was not recorded, 4 if pytest refused an option, such as a device.
    """
    from initcheck.baselines.evidence import BaselineError
    from initcheck.baselines.place import refuse_foreign
    from initcheck.claims import CollectionError
    from initcheck.cli import project
    from initcheck.cli import record as recorder
    from initcheck.cli.explain import folder_of
    from initcheck.plugin.options import REFUSED_IN_CI, in_ci

    if in_ci():
        return _refuse(f"initcheck record {REFUSED_IN_CI}")
    try:
        found = project.find(options.paths)
        if not found.ours:
            return _refuse(f"{found.note} Nothing was recorded. Name the path of your claims.")
        claims = found.claims
        baselines = options.baselines or folder_of(claims[0])
        out = options.out or baselines
        refuse_foreign(out, Path.cwd())
        recorder.prepare(baselines, out)
        work = recorder.jobs(
            claims, _pytest_options(options), baselines, workers=options.jobs, shard=options.shard
        )
        missing = 0
        for done in recorder.run_all(work, options.jobs, options.dask):
            recorder.keep(done, out)
            missing += len(done.missing)
            print(done.sentence, flush=True)
            if done.refused:  # every other file would be refused, too
                return MISSING
    except (BaselineError, CollectionError) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"The evidence was not written: {error}. Name a folder with --out.")
    return FAILED if missing else DONE


def _pytest_options(options: argparse.Namespace) -> list[str]:
    """The options of a recording, as pytest takes them."""
    given = [f"--initcheck-record={options.reason}"]
    for name in ("accept_drift", "data_root", "device", "scale"):
        value = getattr(options, name)
        if value is not None:
            given.append(f"--initcheck-{name.replace('_', '-')}={value}")
    return given


def merge(options: argparse.Namespace) -> int:
    """Merge evidence that `record --out` wrote into a folder of baselines."""
    from initcheck.baselines.evidence import BaselineError
    from initcheck.baselines.merging import merge as merged
    from initcheck.report.formatting import counted

    try:
        claims = merged(options.folders, options.baselines, options.accept_drift)
    except (BaselineError, OSError) as error:
        return _refuse(str(error))
    print(f"Evidence of {counted(len(claims), 'claim')} was merged into {options.baselines}.")
    return DONE


def report(options: argparse.Namespace) -> int:
    """Write one page about several runs, or print each as a table, Markdown or annotations."""
    from initcheck import results
    from initcheck.files import is_same, write_atomic
    from initcheck.report import html

    replaced = [file for file in options.results if options.html and is_same(file, options.html)]
    if replaced:
        return _refuse(f"The page would replace the results in {replaced[0]}. Name another file.")
    try:
        runs = [results.read(file) for file in options.results]
    except results.ResultsError as error:
        return _refuse(str(error))
    if options.html is not None:
        folder = options.html.parent
        if not folder.exists():
            return _refuse(f"There is no folder {folder}. Create it, or name another file.")
        try:
            write_atomic(options.html, html.page(*runs))
        except OSError as error:
            return _refuse(f"The page was not written: {error}. Name another file.")
        return DONE
    for run in runs:
        for line in _printed(run, options):
            print(_shown(line))
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
        *([run.unfinished] if run.unfinished else []),
        *terminal.header(run.environment, run.settings, columns=columns),
        *terminal.table(run.results, verbose=options.verbose, columns=columns),
        *terminal.closing(run, verbose=options.verbose, columns=columns),
    ]


def compare(options: argparse.Namespace) -> int:
    """Print where several runs differ: in verdicts, and how far each arm moved."""
    from initcheck import results
    from initcheck.report import compare as comparison
    from initcheck.report import terminal

    distinct = {file.resolve() for file in options.results}
    if len(distinct) < max(2, len(options.results)):
        return _refuse(
            "compare needs the results of at least two runs, each in a file that is named once."
        )
    try:
        named = [(str(file), results.read(file)) for file in options.results]
    except results.ResultsError as error:
        return _refuse(str(error))
    print(_shown(comparison.compare(*named, everything=options.all, columns=terminal.width())))
    changed = comparison.changed(*(run for _, run in named))
    return FAILED if options.fail_on_change and changed else DONE


def inspect(options: argparse.Namespace) -> int:
    """Look for faults in the start of a module; 1 if something failed, 4 if it cannot be built."""
    from initcheck.cli.inspect import run
    from initcheck.inspection import InspectionError

    try:
        return FAILED if run(options) else DONE
    except InspectionError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"The results were not written: {error}. Name another file.")


def _note(sentence: str) -> None:
    """Say on standard error what is no part of the output."""
    if sentence:
        sys.stdout.flush()
        print(f"initcheck: {sentence}", file=sys.stderr)


def compare_init(options: argparse.Namespace) -> int:
    """Print the user's initializers next to the usual ones, in several networks."""
    from initcheck.cli.compare_init import compare_init as compared

    refusal = compared(options)
    return _refuse(refusal) if refusal else DONE


def _refuse(sentence: str) -> int:
    print(_shown(f"initcheck: {sentence}"), file=sys.stderr)
    return MISSING


def _shown(text: str) -> str:
    """Text from a file, with its control characters escaped: a terminal would obey them."""
    return "".join(
        repr(c)[1:-1] if c not in "\n\t" and unicodedata.category(c) in UNSEEN else c for c in text
    )


# --- options --------------------------------------------------------------------------------------


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
    from initcheck.plugin.options import ACTIVATIONS

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
    command.set_defaults(run=record)

    command = commands.add_parser("merge", help="merge evidence that record --out wrote")
    command.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    command.add_argument("--baselines", type=Path, default=Path("baselines"), metavar="DIR")
    command.add_argument("--accept-drift", type=_reason, metavar="REASON")
    command.set_defaults(run=merge)


def _add_compare_init(commands: Any) -> None:
    """Add the subcommand `compare-init`."""
    command = commands.add_parser("compare-init", help="compare your initializer with the usual")
    add = command.add_argument
    add("init", nargs="+", metavar="MODULE:FUNCTION", help="as for pytest's --initcheck-init")
    add("--activation", type=_activation, default="relu", metavar="NAME", help="of the networks")
    add("--seeds", type=_positive, default=4, metavar="N", help="per initializer and rate")
    add("--json", type=Path, metavar="FILE", help="write the numbers for machines")
    add("--svg", type=Path, metavar="FILE", help="write a picture")
    command.set_defaults(run=compare_init)


def _add_inspect(commands: Any) -> None:
    """Add the subcommand `inspect`."""
    command = commands.add_parser("inspect", help="look for faults in the start of a module")
    add = command.add_argument
    add("build", metavar="MODULE:FUNCTION", help="builds the module; takes a seed, or nothing")
    add("--batch", metavar="MODULE:FUNCTION", help="returns (inputs, targets), or the inputs alone")
    add("--loss", metavar="MODULE:FUNCTION", help="computes the loss from (module, batch)")
    add("--device", default="cpu", metavar="NAME", help="where the module is moved; default: cpu")
    add("--json", type=Path, metavar="FILE", help="write the findings for machines")
    add("--strict", action="store_true", help="fail on warnings, too")
    command.set_defaults(run=inspect)


def _parser() -> Parser:
    parser = Parser(prog="initcheck", description="Claims about weight initialization, as a gate.")
    parser.add_argument("--version", action="version", version=f"initcheck {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("claims", help="list the claims")
    command.add_argument("paths", nargs="*", metavar="PATH", help=PATHS)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON, with regime, source and file")
    form.add_argument("--markdown", action="store_true", help="as the page docs/claims.md")
    command.set_defaults(run=claims)

    command = commands.add_parser(
        "explain", help="print a claim's regime, limits, faults, sources and evidence"
    )
    command.add_argument("claim", metavar="CLAIM", help="its name, with or without test_")
    command.add_argument("paths", nargs="*", metavar="PATH", help=PATHS)
    command.add_argument("--baselines", type=Path, metavar="DIR", help="default: next to the claim")
    command.set_defaults(run=explain)

    _add_recording(commands)

    command = commands.add_parser("report", help="one page about one run or several")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=RESULTS)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--html", type=Path, metavar="FILE", help="default: print a table of each")
    form.add_argument("--markdown", action="store_true", help="print a summary for a CI job")
    form.add_argument(
        "--annotations",
        action="store_true",
        help="print a GitHub error per claim that is not green",
    )
    command.add_argument("-v", "--verbose", action="store_true", help="print every claim")
    command.set_defaults(run=report)

    command = commands.add_parser("compare", help="print where several runs differ")
    command.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=RESULTS)
    command.add_argument("--all", action="store_true", help="print what agrees, too")
    command.add_argument(
        "--fail-on-change",
        action="store_true",
        help="exit 1 if a claim's verdict differs, or a claim is not in all runs",
    )
    command.set_defaults(run=compare)

    _add_inspect(commands)
    _add_compare_init(commands)

    command = commands.add_parser("doctor", help="print versions, devices, data and baselines")
    command.add_argument(
        "--require", type=_names, default=(), metavar="NAME,...", help="exit 4 unless these work"
    )
    command.set_defaults(run=doctor)
    return parser
