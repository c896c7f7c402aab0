"""The comparisons that a claim's test declares, known without any training."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from initcheck import Arm
from initcheck.claims import FULL_SCALE
from initcheck.gate.comparison import Pair
from initcheck.probes import Difference, Probe


class UndeclaredError(Exception):
    """The comparisons of a claim are known only when it runs; the text says why."""


@dataclass
class _Declarations:
    """A ``verdict`` that keeps comparisons, whatever device they are for, and judges none."""

    pairs: list[Pair] = field(default_factory=list)

    def holds(
        self, probe: Probe, *, treated: Arm, control: Arm, case: str = "", only: str = ""
    ) -> None:
        self._add(Pair(probe, treated, control, case, "holds"), only)

    def gains(
        self, probe: Probe, *, better: Arm, worse: Arm, case: str = "", only: str = ""
    ) -> None:
        self._add(Pair(probe, better, worse, case, "gains"), only)

    def rate(
        self, probe: Probe, *, treated: Arm, control: Arm, case: str = "", only: str = ""
    ) -> None:
        self._add(Pair(probe, treated, control, case, "rate"), only)

    def equal(
        self, difference: Difference, *, treated: Arm, reference: Arm, control: Arm,
        case: str = "", only: str = "",
    ) -> None:  # fmt: skip
        self._add(Pair(difference, treated, control, case, "holds", reference), only)

    def _add(self, pair: Pair, only: str) -> None:
        del only  # the list of claims must not depend on the device
        self.pairs.append(pair)


def declared(item: pytest.Function) -> list[Pair]:
    """The comparisons of a claim's test, in the order in which it declares them.

    The test is called with its parameters and a verdict that trains nothing. Claims of full scale
    are called, too.

    Raises:
        UndeclaredError: the test needs other fixtures, fails, or declares nothing.
    """
    verdict = _Declarations()
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    values = {"verdict": verdict, FULL_SCALE: None, "initcheck_activation": "relu"} | parameters
    names = item._fixtureinfo.argnames  # noqa: SLF001 -- no public name for a test's arguments
    unknown = [name for name in names if name not in values or _has_fixture(item, name, parameters)]
    if unknown:
        raise UndeclaredError(f"its test uses the fixture {', '.join(unknown)}")
    if "verdict" not in names:
        raise UndeclaredError("its test does not use the fixture verdict")
    try:
        item.obj(**{name: values[name] for name in names})
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:  # noqa: BLE001 -- pytest.skip and SystemExit are no Exception
        raise UndeclaredError(f"its test raised {type(error).__name__}: {error}") from None
    if not verdict.pairs:
        raise UndeclaredError("its test declares no comparison")
    return verdict.pairs


def _has_fixture(item: pytest.Function, name: str, parameters: dict[str, object]) -> bool:
    """Whether a fixture computes what the test receives from a parameter of this name."""
    manager = item.session._fixturemanager  # noqa: SLF001 -- no public name tells a value's origin
    ours = name.startswith("initcheck_")  # the plugin's own parameters are passed on as they are
    return name in parameters and not ours and bool(manager.getfixturedefs(name, item))
