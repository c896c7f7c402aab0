"""``python -m initcheck.error_rates``: measure for a while, then write the page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from initcheck.error_rates import measure, other_machines, page, runs
from initcheck.files import write_atomic

MISSING = 4  # pytest's exit code for something that was requested and is not there


def main(argv: Sequence[str] | None = None) -> int:
    """0 once the page is written; 4 if there are no runs to write it from."""
    options = _parser().parse_args(argv)
    folder = options.shards or options.baselines / "operating"
    if options.minutes > 0:
        made = measure.measure(
            _plans(options, folder),
            folder,
            options.baselines,
            minutes=options.minutes,
            jobs=options.jobs,
        )
        print(f"{made} runs were added to {folder}")
    for other in options.elsewhere:
        runs.store(folder, other_machines.judged(other, options.baselines / "evidence"))
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
    print(f"{out} was written")
    return 0


def _plans(options: argparse.Namespace, folder: Path) -> list[measure.Plan]:
    claims = [
        c for c in measure.every_claim()
        if not (names := options.again or options.claim) or c.claim.partition("[")[0] in names
    ]  # fmt: skip
    made = {
        "innocent": lambda: measure.innocents(claims, options.python, options.device),
        "fault": lambda: measure.faults(
            claims, options.baselines, runs=options.runs, headline=options.headline_runs,
            names=options.fault, device=options.device,
        ),
        "clean": lambda: measure.clean(claims, options.clean_runs),
    }  # fmt: skip
    plans = [plan for kind in options.only or made for plan in made[kind]()]
    return measure.again(plans, runs.read(folder)) if options.again else plans


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m initcheck.error_rates", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, help="measure no longer; 0 only writes the page")
    add("--jobs", type=int, default=1, metavar="N", help="runs at the same time; default 1")
    add("--only", action="append", choices=("innocent", "fault", "clean"), help="repeatable")
    add("--fault", action="append", default=[], metavar="NAME", help="only these; repeatable")
    add("--claim", action="append", default=[], metavar="NAME", help="only these; repeatable")
    add("--runs", type=int, default=20, help="a fault")
    add("--headline-runs", type=int, default=59, help="a fault that a headline claim must see")
    add("--clean-runs", type=int, default=60, help="of the whole suite, on fresh seeds")
    add("--again", action="append", default=[], metavar="CLAIM",
        help="run these claims, which changed, again in runs of other commits, and no others"
    )  # fmt: skip
    add("--python", action="append", default=[], metavar="FILE", help="another torch; repeatable")
    add("--device", default="", metavar="NAME",
        help="faults on this device; of innocent changes, this device alone")  # fmt: skip
    add("--elsewhere", type=Path, action="append", default=[], metavar="DIR",
        help="evidence of another machine, judged by this one's; repeatable")  # fmt: skip
    add("--baselines", type=Path, default=Path("baselines"), metavar="DIR")
    add("--shards", type=Path, metavar="DIR", help="default: operating in the baselines")
    add("--out", type=Path, metavar="FILE", help="default: OPERATING.md in the baselines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
