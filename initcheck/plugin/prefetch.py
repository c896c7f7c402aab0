"""Prefetches what claims will need: trains and measures planned arms, all seeds of each at once.

On the CPU, worker processes do it; on an accelerator, this process does, when a claim first needs
an arm. Only numbers come back. A claim computes for itself what could not be prefetched.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

import torch

from initcheck import devices
from initcheck.devices import forks
from initcheck.gate.jobs import Job
from initcheck.gate.profile import WAITING
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Key, Measured

WORTH = 4000  # replica-steps; starting a process takes longer than training fewer
POLL = 0.2  # seconds between two updates of the progress line


class Prefetch(Protocol):
    """Gives what was measured for one side of a comparison."""

    def measured(self, key: Key) -> Measured | None:
        """None if the claim has to compute it."""

    def close(self) -> None:
        """Run no more jobs."""


# --- worker processes -----------------------------------------------------------------------------

_JOBS: list[Job] = []  # a forked worker finds the jobs here, and receives a number
_LABORATORY: list[Laboratory] = []  # the workers' own: empty, one thread, no progress line


@dataclass(frozen=True)
class JobResult:
    """What a job measured, and where its time went."""

    measured: dict[Key, Measured]
    purposes: dict[str, float]
    arms: dict[str, float]


def _work(number: int) -> JobResult:
    (laboratory,) = _LABORATORY
    laboratory.profile.clear()
    measured = _JOBS[number].run(laboratory)
    return JobResult(measured, dict(laboratory.profile.purposes), dict(laboratory.profile.arms))


def load_optimizers() -> None:
    """Make torch import what the first optimizer of a process needs, so that forks inherit it.

    That is much of torch's compiler, 850 modules, and takes 1.7 s. The garbage collector need not
    search them: that took 2 s, most of it at exit.
    """
    with devices.without_starting_accelerators():  # an optimizer looks for accelerators
        torch.optim.SGD([torch.zeros(1)]).step()
    gc.freeze()


def _start_worker() -> None:
    """Workers train on one thread each, since as many run as there are cores."""
    forks.end_with_parent()
    gc.enable()  # collection may have switched it off
    torch.set_num_threads(1)
    devices.hide_accelerators()


class Workers:
    """Runs jobs in worker processes and reports their time and progress to ``laboratory``."""

    def __init__(self, laboratory: Laboratory, jobs: Sequence[Job], processes: int) -> None:
        self._laboratory = laboratory
        _JOBS[:], _LABORATORY[:] = jobs, [laboratory.alone()]
        load_optimizers()
        self._pool = ProcessPoolExecutor(
            processes, multiprocessing.get_context("fork"), initializer=_start_worker
        )
        with forks.without_fork_warnings():
            self._submitted = [self._pool.submit(_work, number) for number in range(len(jobs))]
        self._steps = [job.steps for job in jobs]
        self._job_of = {key: number for number, job in enumerate(jobs) for key in job.keys}
        self._results: dict[int, JobResult | None] = {}

    def measured(self, key: Key) -> Measured | None:
        """What a worker measured for this side of a comparison; waits for it."""
        number = self._job_of.get(key)
        if number is None:
            return None
        if number not in self._results:
            self._results[number] = self._wait_for(self._submitted[number])
        result = self._results[number]
        return None if result is None else result.measured[key]

    def _wait_for(self, job: Future[JobResult]) -> JobResult | None:
        with self._laboratory.profile.spent(WAITING):
            while not wait([job], timeout=POLL).done:
                self._report_progress()
        if job.cancelled() or job.exception() is not None:
            return None  # the claim meets the same error and reports it
        result = job.result()
        self._laboratory.profile.add(result.purposes, result.arms)
        return result

    def _report_progress(self) -> None:
        pairs = zip(self._steps, self._submitted, strict=True)
        done = sum(steps for steps, job in pairs if job.done())
        self._laboratory.progress("all arms", done, sum(self._steps))

    def close(self) -> None:
        """Stop the workers."""
        self._job_of.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


# --- this process ---------------------------------------------------------------------------------


class OnDemand:
    """Jobs that this process runs, each when a claim first needs a part of it."""

    def __init__(self, laboratory: Laboratory, jobs: Sequence[Job]) -> None:
        self._laboratory = laboratory
        self._job_of = {key: job for job in jobs for key in job.keys}
        self._measured: dict[Key, Measured] = {}

    def measured(self, key: Key) -> Measured | None:
        """What was measured for this side of a comparison, together with the rest of its job."""
        job = self._job_of.get(key)
        if job is not None:
            for each in job.keys:
                del self._job_of[each]
            with contextlib.suppress(Exception):  # the claim meets the same error and reports it
                self._measured.update(job.run(self._laboratory))
        return self._measured.get(key)

    def close(self) -> None:
        """Run no more jobs."""
        self._job_of.clear()


def start(laboratory: Laboratory, jobs: Sequence[Job], device: str, processes: int) -> Prefetch:
    """The prefetch of one device's jobs."""
    if device != "cpu":
        return OnDemand(laboratory, jobs)
    worthwhile = sum(job.steps for job in jobs) >= WORTH
    if processes < 2 or not worthwhile or not devices.forkable():
        return OnDemand(laboratory, ())
    if laboratory.download:
        _download(laboratory, jobs)
    try:
        return Workers(laboratory, jobs, processes)
    except OSError:  # the system allows no more processes: the claims train for themselves
        return OnDemand(laboratory, ())


def _download(laboratory: Laboratory, jobs: Sequence[Job]) -> None:
    """Download missing data once, before several processes would write the same files."""
    for name in dict.fromkeys(arm.data for job in jobs for arm in job.uses):
        laboratory.fetch(name)
