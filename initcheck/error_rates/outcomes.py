"""A pytest plugin: the gate without the rounding envelope, whose seeds are the same for any salt.

A run on fresh seeds asks how often outcomes alone raise an alarm. The envelope would train its own
four seeds again in each such run and say the same each time; the innocent change ``same`` tells.
"""

from __future__ import annotations

from typing import Any

from initcheck.gate.comparison import Pair
from initcheck.gate.drift import Drift, place
from initcheck.gate.verdict import Verdict

UNCHANGED: Drift = {
    "r": None, "first_step": None, "first_layer": None, "left": False, "start": True,
    "alike": False, "same_torch": True, "note": "the rounding envelope was not asked for",
}  # fmt: skip


def pytest_configure() -> None:
    """Leave the envelope out for the rest of the process."""
    for name, instead in {"referred": _none, "_followed": _unchanged}.items():
        setattr(Verdict, name, instead)


def _none(_: Verdict) -> tuple[int, ...]:
    """The seeds of the envelope."""
    return ()


def _unchanged(_: Verdict, pair: Pair, side: str, recorded: dict[str, Any]) -> Drift:
    """What there is to say of an arm beside its record, without having trained it."""
    if "entry" not in recorded:
        return dict(recorded["missing"])
    return UNCHANGED | {"environment": place(pair.arms[side], recorded["entry"])}
