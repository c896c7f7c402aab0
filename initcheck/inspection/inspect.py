"""Inspect the start of any module: run the checks in order and collect what they find."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from initcheck.inspection import (
    beyond,
    builds,
    copies,
    deferred,
    effect,
    extremes,
    first_gradient,
    gains,
    precision,
    recorded,
    resets,
    scale,
    signals,
    steps,
    ties,
)
from initcheck.inspection.calling import out_of_memory, said
from initcheck.inspection.exceptions import divided, exceptions
from initcheck.inspection.findings import (
    CHECKS,
    NEED_BATCH,
    SEVERITIES,
    Finding,
    Inspection,
    InspectionError,
    Judged,
    NotJudged,
    SameModuleError,
)
from initcheck.inspection.layers import layer_rows
from initcheck.inspection.placing import require
from initcheck.inspection.start import Start
from initcheck.inspection.subject import (
    Batch,
    Build,
    Init,
    Loss,
    Subject,
    whole_init,
)
from initcheck.inspection.surroundings import give_back_memory, left_as_found
from initcheck.inspection.tensors import named_tensors

SEEDS = (0, 1)

#: What runs, in order; each belongs to one of `CHECKS`.
_CHECKS: tuple[tuple[str, Callable[[Start], Iterator[Finding]]], ...] = (
    ("written", builds.check_written_and_rebuilt),
    ("rebuilt", builds.check_seed_has_effect),
    ("rebuilt", beyond.check_unsaved),
    ("written", deferred.check_deferred),
    ("distinct", copies.check_distinct),
    ("distinct", steps.check_locked),
    ("asleep", steps.check_asleep),
    ("asleep", beyond.check_frozen),
    ("effect", effect.check_effect),
    ("effect", effect.check_patterns),
    ("effect", resets.check_resets),
    ("tied", ties.check_tied),
    ("units", copies.check_units),
    ("units", beyond.check_tables),
    ("units", signals.check_dead_units),
    ("scale", scale.check_scale),
    ("scale", gains.check_gains),
    ("first_gradient", first_gradient.check_first_gradient),  # it tells signals from rounding
    ("signal", signals.check_signal),
    ("start_loss", signals.check_start_loss),
    ("outliers", extremes.check_outliers),
    ("dtype", precision.check_dtype),
    ("recorded_start", recorded.check_recorded_start),
)
_TRAINS = (steps.check_locked, steps.check_asleep)
#: Parts that need no batch, of checks that do. Without one, a finding here makes the check judged.
_PARTS = (beyond.check_frozen,)
_WITH_BATCH = (
    *_TRAINS,
    signals.check_dead_units,
    signals.check_signal,
    signals.check_start_loss,
    first_gradient.check_first_gradient,
)


def inspect_model(
    build: Build,
    batch: Batch | None = None,
    *,
    loss: Loss | None = None,
    init: Init | None = None,
    init_apply: Init | None = None,
    record: Path | None = None,
    against: Path | None = None,
    name: str = "",
    device: str = "cpu",
    allow: Iterable[str | tuple[str, str, str]] = (),
) -> Inspection:
    """Look for faults in the start of the module that a function builds.

    The function is called several times, from the seeds 0 and 1. The global generators of torch,
    numpy and Python, the default dtype and the deterministic flags are as before afterwards. While
    it runs, connections to other machines are refused.

    Args:
        build: ``build()`` or ``build(seed)``, which returns an ``nn.Module``. Without a seed, the
            global generators are seeded before each call.
        batch: ``batch()``, which returns ``(inputs, targets)`` or the inputs alone. Inputs are a
            tensor, a tuple or a dict. Without it, the checks that compute a loss are not run.
        loss: ``loss(module, batch)``, a scalar. By default the module's own ``loss``, or cross
            entropy for integer targets and mean squares for floats.
        init: ``init(module)``, your own initialization, called once with the whole module after
            each build.
        init_apply: the same, called by ``module.apply``: with every part of the module.
        record: write a fingerprint of every tensor to this file.
        against: compare with the fingerprints in this file.
        name: what to call the module; by default the function's name.
        device: where the module and the batches are moved.
        allow: exceptions, each ``(pattern, check, why)`` or one text with these three parts, as in
            ``blocks.*.gate asleep adaLN-Zero``. One that allows nothing is a finding.

    Raises:
        InspectionError: the device cannot compute, the module cannot be built, an exception is
            none, or the recorded start cannot be read. The message is a sentence.
        OSError: ``record`` cannot be written.
    """
    began = time.perf_counter()
    require(device)
    allowances, whole = exceptions(allow), whole_init(init, init_apply)
    subject = Subject(name or _name(build), build, batch, loss, device, whole)
    known = recorded.read(Path(against)) if against is not None else None
    file = Path(record).absolute() if record is not None else None  # a build may change the folder
    with left_as_found(device), torch.enable_grad():
        start = Start(subject, subject(SEEDS[0]), SEEDS, recorded=known)
        found, ran = _run(start)
        if file is not None:
            recorded.record(start, file)
    findings, allowed, untried = divided(found, allowances, ran, [*start.tensors])
    parameters = [each for each in start.tensors.values() if each.parameter]
    return Inspection(
        name=subject.name,
        findings=tuple(sorted(findings, key=_order)),
        judged=Judged(
            parameters=len(parameters) if ran else 0,
            of_parameters=sum(each.parameter for each in named_tensors(start.built.module)),
            buffers=len(start.tensors) - len(parameters) if ran else 0,
            seeds=len(SEEDS),
            checks=ran,
            seconds=time.perf_counter() - began,
        ),
        allowed=tuple(sorted(allowed, key=_order)),
        not_judged=tuple(sorted((*start.not_judged, *untried), key=_place)),
        wakes=start.wakes,
        tensors=tuple(_row(start, each) for each in start.tensors.values()),
        layers=tuple(layer_rows(start)),
    )


def try_out(build: Build, *, name: str, against: Path | None = None) -> None:
    """Build the module once and read the recorded start, so that a run can be refused early.

    Raises:
        InspectionError: the module cannot be built, or the recorded start cannot be read.
    """
    subject = Subject(name, build)
    if against is not None:
        recorded.read(Path(against))
    with left_as_found(subject.device):
        subject(SEEDS[0], None)


def _run(start: Start) -> tuple[list[Finding], tuple[str, ...]]:
    """Run every check; one that cannot run is named in ``start.not_judged``."""
    findings: list[Finding] = []
    ran: list[str] = []
    if any(nn.parameter.is_lazy(each) for each in start.built.module.parameters()):
        why = "lazy parameters: call the module once in the build function"
        start.not_judged.append(NotJudged("all", "", why))
        return findings, ()
    for name, check in _CHECKS:
        if check in _WITH_BATCH and start.subject.batch is None:
            continue
        if name == "recorded_start" and start.recorded is None:
            continue
        give_back_memory()
        try:
            found = [*check(start)]
            findings += found
        except SameModuleError:
            raise
        except InspectionError as error:
            asked_for = check not in _WITH_BATCH or check in _TRAINS  # training says what is broken
            start.not_judged.append(NotJudged(name, "", str(error), requested=asked_for))
            continue
        except Exception as error:  # noqa: BLE001 -- a module may do anything when it is looked at
            start.not_judged.append(_could_not_run(name, error, requested=check in _TRAINS))
            continue
        finally:
            start.put_back()
        if name not in ran and (found or check not in _PARTS):
            ran.append(name)
    if start.subject.batch is None:
        start.not_judged += [
            NotJudged(name, "", "it needs a batch: --batch MODULE:FUNCTION") for name in NEED_BATCH
        ]
    return _without_repeats(findings), tuple(ran)


def _without_repeats(findings: list[Finding]) -> list[Finding]:
    """Drop what another finding implies: copies that are locked, dead units that are asleep."""
    asleep = {
        name for each in findings if (each.check, each.severity) == ("asleep", "fail")
        for name in each.parameters
    }  # fmt: skip
    return [
        each for each in _without_locked_twice(findings)
        if each.check != "units" or not asleep.issuperset(each.parameters)
    ]  # fmt: skip


def _could_not_run(name: str, error: Exception, *, requested: bool) -> NotJudged:
    """Memory may run out for any module. Another error is that of an odd one."""
    if out_of_memory(error):
        return NotJudged(name, "", "it ran out of memory. Give it more.", requested=True)
    return NotJudged(name, "", f"the check could not run: {said(error)}", requested)


def _without_locked_twice(findings: list[Finding]) -> list[Finding]:
    """Drop the warning about copies that a fail about the same parameters repeats."""
    locked = [
        set(each.parameters) for each in findings
        if each.check == "distinct" and each.severity == "fail"
    ]  # fmt: skip
    return [
        each for each in findings
        if each.check != "distinct" or each.severity == "fail"
        or not set(each.parameters) <= set().union(*locked)
    ]  # fmt: skip


def _place(not_judged: NotJudged) -> int:
    """What concerns all checks comes first."""
    return CHECKS.index(not_judged.check) if not_judged.check in CHECKS else -1


def _order(finding: Finding) -> tuple[int, int]:
    return SEVERITIES.index(finding.severity), CHECKS.index(finding.check)


def _row(start: Start, each: Any) -> dict[str, Any]:
    measured = start.laws.get(each.name)
    return {
        "name": each.name,
        "owner": type(each.owner).__name__,
        "shape": tuple(each.tensor.shape),
        "dtype": str(each.tensor.dtype).removeprefix("torch."),
        "kind": "parameter" if each.trainable else "frozen" if each.parameter else "buffer",
        "line": start.line(each),
        "law": measured.law if measured else None,
        "gain": _finite(measured.gain) if measured else None,
        "std": _finite(measured.moments.variance**0.5) if measured else None,
    }


def _finite(number: float | None) -> float | None:
    """The number, or None if there is none that JSON can hold."""
    return number if number is not None and math.isfinite(number) else None


def _name(build: Build) -> str:
    return getattr(build, "__qualname__", None) or type(build).__name__
