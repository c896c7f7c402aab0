"""Runs configurations and stores each finished run; an interrupted run starts again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from joblib import Parallel, delayed

from initcheck import datasets
from initcheck.devices import compute
from initcheck.notebooks.figures import Run, read_run, run_path, write_run
from initcheck.notebooks.protocols import CONFIGURATIONS, Configuration

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One configuration with one seed, all its epochs or the first ones."""

    configuration: Configuration
    seed: int
    epochs: int

    @property
    def name(self) -> str:
        """Its name in progress lines and in the name of its file."""
        return f"{self.configuration.name}.seed-{self.seed}"

    @property
    def minutes(self) -> float:
        """Approximate time on one idle core."""
        return self.configuration.minutes * self.epochs / self.configuration.protocol.epochs


def chosen(
    patterns: Sequence[str], configurations: Sequence[Configuration] = CONFIGURATIONS
) -> list[Configuration]:
    """Configurations that match one of the patterns, in the table's order.

    Without patterns, all except the long ones.

    Raises:
        ValueError: a pattern matches no configuration.
    """
    for pattern in patterns:
        if not any(fnmatchcase(c.name, pattern) for c in configurations):
            raise ValueError(f"no configuration matches {pattern!r}. --list shows all of them.")
    return [
        c for c in configurations
        if (any(fnmatchcase(c.name, p) for p in patterns) if patterns else not c.long)
    ]  # fmt: skip


def pending(
    configurations: Iterable[Configuration], seeds: int, folder: Path, epochs: int | None = None
) -> Iterator[Job]:
    """The jobs that are not finished: seed 1 of every configuration first, then seed 2."""
    configurations = list(configurations)
    for seed in range(1, seeds + 1):
        for configuration in configurations:
            job = Job(configuration, seed, min(epochs or 10**6, configuration.protocol.epochs))
            if not finished(job, folder):
                yield job


def finished(job: Job, folder: Path) -> bool:
    """Whether the run is stored with the present protocol and enough epochs."""
    path = run_path(folder, job.configuration.name, job.seed)
    if not path.exists():
        return False
    try:
        run = read_run(path)
    except ValueError:
        return False
    return run.protocol == str(job.configuration.protocol) and run.epochs >= job.epochs


def execute(job: Job, *, folder: Path, root: Path | None, say: Say) -> Run:
    """Train, measure and store one run."""
    configuration = job.configuration
    data = datasets.load(configuration.data, root=root)
    began = time.perf_counter()
    say(f"{job.name}: starts")
    with compute.threads(1):  # so that results do not depend on the number of cores
        figures = replace(configuration.protocol, epochs=job.epochs).run(
            data, job.seed, lambda text: say(f"{job.name}: {text}")
        )
    seconds = round(time.perf_counter() - began, 1)
    run = Run(
        configuration.name, job.seed, job.epochs, str(configuration.protocol), data.name,
        data.fingerprint, torch.__version__, seconds, figures,
    )  # fmt: skip
    say(f"{job.name}: done in {seconds:.0f} s, {write_run(folder, run).name}")
    return run


def run_all(
    jobs: Iterable[Job], *, folder: Path, root: Path | None, workers: int = 1,
    minutes: float = float("inf"), say: Say = print,
) -> int:  # fmt: skip
    """Execute jobs until none is left or the time is up, and return how many were executed.

    A job that has started is finished; none starts when the time is up.
    """
    end = time.monotonic() + 60 * minutes

    def in_time() -> Iterator[Job]:
        for job in jobs:
            if time.monotonic() >= end:
                say(f"the time is up before {job.name}; run the command again to continue")
                return
            yield job

    if workers == 1:
        return len([execute(job, folder=folder, root=root, say=say) for job in in_time()])
    done = Parallel(n_jobs=workers, pre_dispatch=workers, batch_size=1)(
        delayed(_execute_in_worker)(job, folder, root) for job in in_time()
    )
    return len(done)


def _execute_in_worker(job: Job, folder: Path, root: Path | None) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    execute(job, folder=folder, root=root, say=_print)


def _print(text: str) -> None:
    print(text, flush=True)
