"""`python -m initcheck.notebooks`: make the runs that are missing, then write REPRODUCTION.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from initcheck.datasets.arrays import DataError
from initcheck.notebooks import page, run
from initcheck.notebooks.protocols import Configuration

MISSING = 4  # as pytest exits if something that was requested does not exist


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; ``argv`` excludes the program's name."""
    options = _parser().parse_args(argv)
    try:
        configurations = run.chosen(options.only)
        if options.list:
            print(_listing(configurations))
            return 0
        if not options.report:
            _run(options, configurations)
        path = page.write(options.baselines)
    except (DataError, OSError, ValueError) as error:
        print(f"initcheck.notebooks: {error}", file=sys.stderr)
        return MISSING
    print(f"wrote {path}")
    return 0


def _run(options: argparse.Namespace, configurations: list[Configuration]) -> None:
    folder = options.baselines / "reproduced"
    jobs = list(run.pending(configurations, options.seeds, folder, options.epochs))
    minutes = sum(job.minutes for job in jobs)
    print(f"{len(jobs)} runs are missing: about {minutes:.0f} minutes on one core", flush=True)
    run.run_all(
        jobs, folder=folder, root=options.data_root, workers=options.jobs,
        minutes=options.budget, say=partial(print, flush=True),
    )  # fmt: skip


def _listing(configurations: list[Configuration]) -> str:
    width = max(len(c.name) for c in configurations)
    return "\n".join(
        f"{c.name:<{width}}  {c.minutes:6.1f} min  {c.data}{'  (long)' if c.long else ''}"
        for c in configurations
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m initcheck.notebooks",
        description="Run the notebooks' own protocols at full scale. Finished runs are kept and "
        "skipped, so you can stop the command at any time and start it again.",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="GLOB",
        help="configurations to run; repeatable; default: all except the long ones",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 1 to N of each")
    parser.add_argument("--epochs", type=int, metavar="N", help="run only the first N epochs")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at the same time")
    parser.add_argument(
        "--budget", type=float, default=float("inf"), metavar="MINUTES",
        help="start no run after this time",
    )  # fmt: skip
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR",
        help="where torchvision's data is; default: INITCHECK_DATA_ROOT",
    )  # fmt: skip
    parser.add_argument(
        "--baselines", type=Path, default=Path("baselines"), metavar="DIR",
        help="where recorded.csv is, and where reproduced/ and REPRODUCTION.md are written",
    )  # fmt: skip
    parser.add_argument(
        "--list", action="store_true", help="list the configurations and run nothing"
    )
    parser.add_argument(
        "--report", action="store_true", help="only write REPRODUCTION.md, and run nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
