"""``python -m initcheck.error_rates``: add runs until the time is up, then write OPERATING.md."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from initcheck.claims import collect
from initcheck.error_rates import measure, other_machines, page, plans, runs
from initcheck.files import write_atomic

KINDS = ("innocent", "fault", "clean")  # that can be measured, in this order
MISSING = 4  # pytest's exit code for something that was requested and is not there


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 once the page is written, else 4; ``argv`` excludes the program's name."""
    options = _parser().parse_args(argv)
    folder = options.shards or options.baselines / "operating"
    if options.minutes > 0 and not _measured(options, folder):
        return MISSING
    for other in options.elsewhere:
        runs.store(folder, other_machines.judge(other, options.baselines / "evidence"))
    stored = runs.read(folder)
    if not stored:
        print(
            f"initcheck.error_rates: {folder} has no runs to write a page from. Raw runs are kept "
            "in the project's checkout and are not part of a wheel. Run this in a checkout, or "
            "measure new runs with --minutes.",
            file=sys.stderr,
        )
        return MISSING
    counted = plans.counted(stored, options.baselines)
    left_out = Counter(run.kind for run in stored) - Counter(run.kind for run in counted)
    out = options.out or options.baselines / "OPERATING.md"
    write_atomic(out, page.page(counted, options.baselines, left_out))
    print(f"wrote {out}")
    return 0


def _measured(options: argparse.Namespace, folder: Path) -> bool:
    """Add runs; False, with a message, if that is not possible or was not finished."""
    kinds = options.only or [*KINDS]
    reason = plans.unfit() if "clean" in kinds else ""
    if reason:
        print(f"initcheck.error_rates: whole runs cannot be made here. {reason}", file=sys.stderr)
        return False
    try:
        count = measure.measure(
            _plans(options, kinds, folder), folder, options.baselines, minutes=options.minutes,
            jobs=options.jobs,
        )  # fmt: skip
    except measure.ChangedError as error:
        print(f"initcheck.error_rates: {error}", file=sys.stderr)
        return False
    print(f"added {count} runs to {folder}")
    return True


def _plans(options: argparse.Namespace, kinds: Sequence[str], folder: Path) -> list[plans.Plan]:
    names = options.again or options.claim
    claims = [
        c for c in (collect() if {*kinds} & {"innocent", "fault"} else [])
        if not names or c.claim.partition("[")[0] in names
    ]  # fmt: skip
    if options.again:
        planned = plans.innocents(claims, options.python, options.device)
        return plans.reruns(planned, runs.read(folder), measure.commit())
    of_kind = {
        "innocent": lambda: plans.innocents(claims, options.python, options.device),
        "fault": lambda: plans.faults(
            claims, options.baselines, runs=options.runs, headline=options.headline_runs,
            names=options.fault, device=options.device,
        ),
        "clean": lambda: plans.clean(options.clean_runs),
    }  # fmt: skip
    return [plan for kind in kinds for plan in of_kind[kind]()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m initcheck.error_rates", description=__doc__)
    add = parser.add_argument
    add(
        "--minutes",
        type=float,
        default=30.0,
        help="start no run after this time; 0 only writes the page; default 30",
    )
    add("--jobs", type=int, default=1, metavar="N",
        help="runs at the same time, of which one with -n 2 counts for two; default 1"
    )  # fmt: skip
    add(
        "--only",
        action="append",
        choices=KINDS,
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
        default=300,
        help="whole runs, as users make them, on fresh seeds; default 300",
    )
    add("--again", action="append", default=[], metavar="CLAIM",
        help="run only this claim, which changed, again under innocent changes; repeatable"
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
