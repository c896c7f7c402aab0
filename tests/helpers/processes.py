"""The descendants of a process, for tests that kill it. Linux only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 120.0  # seconds; what is waited for takes less than one on an idle machine
PROC = Path("/proc")


def descendants(pid: int) -> set[int]:
    """All processes that this one has started, and those that they have started."""
    children: dict[int, set[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, set()).add(child)
    found, new = set[int](), {pid}
    while new:
        new = {child for each in new for child in children.get(each, ())} - found
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that have not ended. An ended process may wait for its new parent to notice."""
    return pids & {pid for pid, _ in _parents()}


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition becomes true within a generous time."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _parents() -> Iterator[tuple[int, int]]:
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if state not in "ZX":
            yield int(stat.parent.name), int(parent)
