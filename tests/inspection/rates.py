"""`python -m tests.inspection.rates`: how often `signal` and `start_loss` warn about sound starts.

Both compare with fixed limits, so no level is chosen in advance: their rates are counted. The
starts are those of `test_innocent`, and language models of transformers where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import util
from typing import Any

import torch
from scipy.stats import beta

from initcheck.inspection.findings import Finding
from initcheck.inspection.signals import check_signal, check_start_loss
from initcheck.inspection.start import Start
from initcheck.inspection.subject import Subject
from initcheck.inspection.surroundings import left_as_found
from tests.inspection.faulty import rows
from tests.inspection.libraries import LANGUAGE_MODELS, language_model
from tests.inspection.test_innocent import INNOCENT

SEEDS = range(100, 110)
CHECKS = {"signal": check_signal, "start_loss": check_start_loss}


def starts() -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Each sound start with its batch."""
    for name, build in INNOCENT.items():
        yield name, build, rows
    if util.find_spec("transformers"):
        for name in LANGUAGE_MODELS:
            yield (name, *language_model(name))


def findings(build: Callable[[], Any], batch: Callable[[], Any], seed: int) -> list[Finding]:
    """What both checks find about one start."""
    subject = Subject("start", build, batch)
    with left_as_found("cpu"), torch.enable_grad():
        start = Start(subject, subject(seed, None), (seed, seed + 1))
        return [each for check in CHECKS.values() for each in check(start)]


def main() -> None:
    """Count starts about which a check warns or fails, and bound the rates."""
    torch.set_num_threads(1)
    alarms = {check: set[str]() for check in CHECKS}
    count = 0
    for name, build, batch in starts():
        for seed in SEEDS:
            count += 1
            for each in findings(build, batch, seed):
                if each.severity != "note":
                    alarms[each.check].add(f"{name} {seed}")
    for check, found in alarms.items():
        bound = beta.ppf(0.95, len(found) + 1, count - len(found))
        print(f"{check}: {len(found)} of {count} starts, at most {bound:.2%}", *sorted(found))


if __name__ == "__main__":
    main()
