"""Where a session's time goes: training, probing, statistics, start-up, and the dearest arms."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

DEAREST = 10  # arms shown
WAITING = "waiting"  # for other processes, whose own time is counted instead


class Profile:
    """Seconds by purpose and by arm; what runs inside another purpose counts for itself alone."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.purposes: dict[str, float] = defaultdict(float)
        self.arms: dict[str, float] = defaultdict(float)
        self._clock = clock
        self._inside = 0.0  # seconds that purposes within the present one have taken

    @contextmanager
    def spent(self, purpose: str, arm: str = "") -> Iterator[None]:
        """Count what runs within, less what is counted within it."""
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
        """Count from here on."""
        self.purposes.clear()
        self.arms.clear()
        self._inside = 0.0

    def lines(self) -> list[str]:
        """The shares, then the dearest arms."""
        spent = {what: s for what, s in self.purposes.items() if what != WAITING}
        total = sum(spent.values())
        if not self.arms:
            return [
                "profile: no arm was trained in this process; pytest-xdist's workers train theirs"
            ]
        shares = ", ".join(f"{what} {s / total:.0%}" for what, s in _descending(spent))
        rows = [f"{seconds:7.2f} s  {arm}" for arm, seconds in _descending(self.arms)[:DEAREST]]
        return [f"profile: {shares} of {total:.1f} s; the dearest arms:", *rows]


def _descending(seconds: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])
