"""The `initcheck` command and its subcommands."""

from __future__ import annotations

import argparse
import os
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from initcheck.cli.arguments import MISSING, parser

if TYPE_CHECKING:
    from initcheck.results import Run

DONE, FAILED, INTERRUPTED = 0, 1, 2  # pytest's exit codes, as MISSING
UNREAD = 141  # what shells report for SIGPIPE: the result is not known to be green
UNSEEN = ("Cc", "Cf")  # Unicode's categories of control and format characters


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code; ``argv`` is without the program's name."""
    options = parser().parse_args(argv)
    try:
        code: int = COMMANDS[options.command](options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("initcheck: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
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
    from initcheck.plugin.options import REFUSED_IN_CI
    from initcheck.plugin.values import in_ci

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
    from initcheck.files import is_same

    replaced = [file for file in options.results if options.html and is_same(file, options.html)]
    if replaced:
        return _refuse(f"The page would replace the results in {replaced[0]}. Name another file.")
    try:
        runs = [results.read(file) for file in options.results]
    except results.ResultsError as error:
        return _refuse(str(error))
    if options.pictures is not None or options.html is not None:
        from initcheck.cli.pages import write_page, write_pictures

        refusal = (
            write_page(options.html, runs)
            if options.html is not None
            else write_pictures(options.pictures, runs, options.results)
        )
        return _refuse(refusal) if refusal else DONE
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
        *terminal.ending(run, verbose=options.verbose, columns=columns),
    ]


def compare(options: argparse.Namespace) -> int:
    """Print where several runs differ: in verdicts, and how far each arm moved."""
    from initcheck.cli.compare import ComparisonError, compared

    try:
        found = compared(options.results, everything=options.all)
    except ComparisonError as error:
        return _refuse(str(error))
    print(_shown(found.text))
    if found.in_vain:
        return _refuse(found.in_vain)
    return FAILED if options.fail_on_change and found.changed else DONE


def inspect(options: argparse.Namespace) -> int:
    """Look for faults in the start of a module; 1 if something failed, 4 if it cannot be built."""
    from initcheck.cli.inspect import run
    from initcheck.inspection import InspectionError

    try:
        return FAILED if run(options) else DONE
    except InspectionError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # no file: the reader of the output has closed the pipe
        raise
    except OSError as error:
        return _refuse(f"The results were not written: {error}. Name another file.")


def unchanged(options: argparse.Namespace) -> int:
    """Record or check a training loop; 1 unless it is unchanged, 4 if it cannot be judged."""
    from initcheck.cli.unchanged import run
    from initcheck.plugin.options import REFUSED_IN_CI
    from initcheck.plugin.values import in_ci
    from initcheck.trajectory import TrajectoryError

    if options.record is not None and in_ci():
        return _refuse(f"--record {REFUSED_IN_CI}")
    try:
        return DONE if run(options) else FAILED
    except TrajectoryError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # no file: the reader of the output has closed the pipe
        raise
    except OSError as error:
        return _refuse(f"A file was not written: {error}. Name another file.")


def _note(sentence: str) -> None:
    """Say on standard error what is no part of the output."""
    if sentence:
        sys.stdout.flush()
        print(f"initcheck: {sentence}", file=sys.stderr)


def compare_init(options: argparse.Namespace) -> int:
    """Print the user's initializers next to the usual ones, in several networks."""
    from initcheck.cli.compare_init.command import compare_init as compared

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


COMMANDS = {
    "claims": claims, "compare": compare, "compare_init": compare_init, "doctor": doctor,
    "explain": explain, "inspect": inspect, "merge": merge, "record": record, "report": report,
    "unchanged": unchanged,
}  # fmt: skip
