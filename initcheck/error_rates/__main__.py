"""``python -m initcheck.error_rates``: add runs until the time is up, then write OPERATING.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from initcheck.claims import collect
from initcheck.error_rates import measure, other_machines, page, runs
from initcheck.files import write_atomic

MISSING = 4  # pytest's exit code for something that was requested and is not there


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 once the page is written, 4 if there are no runs; ``argv`` excludes the name."""
    options = _parser().parse_args(argv)
    folder = options.shards or options.baselines / "operating"
    if options.minutes > 0:
        count = measure.measure(
            _plans(options, folder),
            folder,
            options.baselines,
            minutes=options.minutes,
            jobs=options.jobs,
        )
        print(f"added {count} runs to {folder}")
    for other in options.elsewhere:
        runs.store(folder, other_machines.judge(other, options.baselines / "evidence"))
    measured = runs.read(folder)
    if not measured:
        print(
            f"initcheck.error_rates: {folder} has no runs to write a page from. Raw runs are kept "
            "in the project's checkout and are not part of a wheel. Run this in a checkout, or "
            "measure new runs with --minutes.",
            file=sys.stderr,
        )
        return MISSING
    text = page.page(measured, options.baselines)
    out = options.out or options.baselines / "OPERATING.md"
    write_atomic(out, text)
    print(f"wrote {out}")
    return 0


def _plans(options: argparse.Namespace, folder: Path) -> list[measure.Plan]:
    names = options.again or options.claim
    claims = [c for c in collect() if not names or c.claim.partition("[")[0] in names]
    of_kind = {
        "innocent": lambda: measure.innocents(claims, options.python, options.device),
        "fault": lambda: measure.faults(
            claims, options.baselines, runs=options.runs, headline=options.headline_runs,
            names=options.fault, device=options.device,
        ),
        "clean": lambda: measure.clean(claims, options.clean_runs),
    }  # fmt: skip
    plans = [plan for kind in options.only or of_kind for plan in of_kind[kind]()]
    return measure.reruns(plans, runs.read(folder)) if options.again else plans


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m initcheck.error_rates", description=__doc__)
    add = parser.add_argument
    add(
        "--minutes",
        type=float,
        default=30.0,
        help="start no run after this time; 0 only writes the page; default 30",
    )
    add("--jobs", type=int, default=1, metavar="N", help="runs at the same time; default 1")
    add(
        "--only",
        action="append",
        choices=("innocent", "fault", "clean"),
        help="measure only this kind; repeatable",
    )
    add("--fault", action="append", default=[], metavar="NAME", help="only this fault; repeatable")
    add("--claim", action="append", default=[], metavar="NAME", help="only this claim; repeatable")
    add("--runs", type=int, default=20, help="runs per fault; default 20")
    add(
        "--headline-runs",
        type=int,
        default=59,
        help="runs per fault that a limit of a headline claim names; default 59",
    )
    add(
        "--clean-runs",
        type=int,
        default=60,
        help="runs of the whole suite on fresh seeds; default 60",
    )
    add("--again", action="append", default=[], metavar="CLAIM",
        help="run only this claim, which changed, again in the runs of other commits; repeatable"
    )  # fmt: skip
    add(
        "--python",
        action="append",
        default=[],
        metavar="FILE",
        help="an interpreter with another torch; repeatable",
    )
    add("--device", default="", metavar="NAME",
        help="faults on this device; this device as the only innocent change")  # fmt: skip
    add("--elsewhere", type=Path, action="append", default=[], metavar="DIR",
        help="judge another machine's evidence by this one's; repeatable")  # fmt: skip
    add("--baselines", type=Path, default=Path("baselines"), metavar="DIR")
    add("--shards", type=Path, metavar="DIR", help="default: operating/ in the baselines")
    add("--out", type=Path, metavar="FILE", help="default: OPERATING.md in the baselines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
