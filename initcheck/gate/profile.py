"""Where a session's time goes: training, probing, statistics, start-up, and the slowest arms."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

SLOWEST = 10  # arms shown
WAITING = "waiting"  # for other processes; their own time is counted instead


class Profile:
    """Seconds by purpose and by arm. Time inside a nested purpose counts only for that purpose."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.purposes: dict[str, float] = defaultdict(float)
        self.arms: dict[str, float] = defaultdict(float)
        self._clock = clock
        self._inside = 0.0  # seconds spent in purposes nested in the current one

    @contextmanager
    def spent(self, purpose: str, arm: str = "") -> Iterator[None]:
        """Count the time of the block, except what nested blocks count."""
        before, self._inside, began = self._inside, 0.0, self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            self.purposes[purpose] += took - self._inside
            if arm:
                self.arms[arm] += took - self._inside
            self._inside = before + took

    def add(self, purposes: Mapping[str, float], arms: Mapping[str, float]) -> None:
        """Count what another process spent."""
        for purpose, seconds in purposes.items():
            self.purposes[purpose] += seconds
        for arm, seconds in arms.items():
            self.arms[arm] += seconds

    def clear(self) -> None:
        """Start counting from zero."""
        self.purposes.clear()
        self.arms.clear()
        self._inside = 0.0

    def lines(self) -> list[str]:
        """The shares, then the slowest arms."""
        spent = {what: s for what, s in self.purposes.items() if what != WAITING}
        total = sum(spent.values())
        if not self.arms:
            return [
                "profile: this process trained no arm; pytest-xdist's workers train in their own"
            ]
        shares = ", ".join(f"{what} {s / total:.0%}" for what, s in _descending(spent))
        rows = [f"{seconds:7.2f} s  {arm}" for arm, seconds in _descending(self.arms)[:SLOWEST]]
        return [f"profile: {shares} of {total:.1f} s; the slowest arms:", *rows]


def _descending(seconds: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])
