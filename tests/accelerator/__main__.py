"""`python -m tests.accelerator --device NAME --json FILE`: all there is, in eight minutes.

The gate once per way of training; the largest distance of every arm; faults of arithmetic, each on
one claim that it is bound to; the examples of `inspect` and `unchanged` on the device, against
references recorded on the CPU before. Each part is written when it is done, and has the rest of
the time at most. `--dry-run` takes few claims and examples, to test the script on a CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from initcheck import devices, inspect_model, results, unchanged
from initcheck.files import write_atomic
from initcheck.trajectory import TrajectoryError
from tests.inspection.libraries.vision import torchvision_classifier
from tests.trajectory.measure import EXAMPLES, STEPS, example
from tests.versions import measure
from tests.versions.apart import ended
from tests.versions.environment import ROOT, last_line

MINUTES = 8
#: Ways of training, by the options that choose them: each step is called, or recorded and replayed.
WAYS: dict[str, tuple[str, ...]] = {"called": (), "replayed": ("--initcheck-engine=replay",)}
#: Faults of arithmetic, and a claim that must notice each.
FAULTS = {
    "bfloat16_products": "zeroed_hidden_layer_still_learns",
    "tf32_products": "zeroed_hidden_layer_still_learns",
    "lr_lower_by_a_thousandth": "zeroed_hidden_layer_still_learns",
    "loss_summed": "he_beats_randn",
}
MODELS = ("resnet18", "mobilenet_v3_small", "swin_t")
DRY = "equal_biases_add_at_most_one_dimension"  # a short claim
Part = Callable[[argparse.Namespace, float], dict[str, Any]]


def main() -> int:
    """Run all parts in order; 4 if the device cannot compute, 1 if a part is not as expected."""
    options = _parser().parse_args()
    try:
        devices.require([options.device])
    except devices.DeviceError as error:
        print(f"tests.accelerator: {error}", file=sys.stderr)
        return 4
    until = time.monotonic() + 60 * options.minutes
    whole: dict[str, Any] = {"device": devices.describe(options.device), "dry": options.dry_run}
    whole |= {key: value for key, value in measure.about("gate").items() if key != "code"}
    for name, part in PARTS.items():
        left = until - time.monotonic()
        began = time.monotonic()
        whole[name] = part(options, left) if left > 5 else {"ok": False, "why": "no time was left"}
        whole[name]["seconds"] = round(time.monotonic() - began, 1)
        write_atomic(options.json, json.dumps(whole, indent=1, allow_nan=False) + "\n")
        state = "as expected" if whole[name]["ok"] else "NOT as expected"
        print(f"{name}: {state} in {whole[name]['seconds']} s", flush=True)
    return int(not all(whole[name]["ok"] for name in PARTS))


def gate(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """The gate, once per way of training; all of them share the time that is left."""
    found: dict[str, Any] = {}
    ways = [way for way in WAYS if way == "called" or devices.records(options.device)]
    for way in ways:
        run, why = _run(options, left / len(ways) - 60, [*WAYS[way], *_selected(options)])
        found[way] = {"why": why} if run is None else measure.condensed(run) | {
            "every": [
                {"claim": result.name, "probe": probe.title, "side": side, "r": drift.r}
                for result in run.results for probe in result.probes
                for side, drift in probe.drift.items()
                if drift.r is not None and drift.r < float("inf")
            ],
            "spent": run.results and sum(result.seconds for result in run.results),
            "verdict count": Counter(result.verdict for result in run.results),
        }  # fmt: skip
    ok = all(not way.get("red", [1]) and not way["not_judged"] for way in found.values())
    return {"ok": ok, "ways": found}


def _selected(options: argparse.Namespace) -> list[str]:
    return ["-k", DRY] if options.dry_run else []


def _run(
    options: argparse.Namespace, limit: float, more: Sequence[str]
) -> tuple[results.Run | None, str]:
    """One run of claims on the device; None, and the last line of the output, if it broke."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", "benchmarks", "-q", "-p", "no:cacheprovider"]
        command += [f"--initcheck-device={options.device}", f"--initcheck-json={file}"]
        command += ["--benchmark-skip", *more]
        _, output = ended(command, max(limit, 5))
        if not file.exists():
            return None, last_line(output)
        return results.read(file), ""


def faults(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Each fault of arithmetic on the claim that must notice it."""
    wanted = {"lr_lower_by_a_thousandth": DRY} if options.dry_run else FAULTS
    caught: dict[str, Any] = {}
    for name, claim in wanted.items():
        chosen = [f"--initcheck-fault={name}", "-k", f"test_{claim}["]
        run, why = _run(options, left / len(wanted), chosen)
        red = [each.id for each in run.results if each.verdict != "pass"] if run else []
        caught[name] = {"claim": claim, "caught": bool(red), "why": why}
    return {"ok": all(each["caught"] for each in caught.values()), "faults": caught}


def inspected(options: argparse.Namespace, _left: float) -> dict[str, Any]:
    """What `inspect` finds on the device, and what it finds on the CPU."""
    found = {}
    for name in MODELS[: 1 if options.dry_run else None]:
        build, batch, *_ = torchvision_classifier(name)
        checks = {
            device: sorted({
                f"{each.severity} {each.check}"
                for each in inspect_model(build, batch, name=name, device=device).findings
            })
            for device in dict.fromkeys(("cpu", options.device))
        }  # fmt: skip
        found[name] = {"checks": checks, "same": len({*map(tuple, checks.values())}) == 1}
    return {"ok": all(each["same"] for each in found.values()), "models": found}


def followed(options: argparse.Namespace, _left: float) -> dict[str, Any]:
    """Each example on the device, against its reference from the CPU."""
    found: dict[str, Any] = {}
    for name in EXAMPLES[: 1 if options.dry_run else None]:
        file = measure.file_of_reference(ROOT / "baselines" / "versions", name)
        with tempfile.TemporaryDirectory() as folder:
            if not file.exists():
                file = Path(folder) / file.name
                unchanged(example(name), file=file, steps=STEPS, record="for comparison", name=name)
            try:
                report = unchanged(example(name), file=file, name=name, device=options.device)
            except TrajectoryError as error:
                found[name] = {"verdict": "refused", "why": str(error)}
                continue
        found[name] = {"verdict": report.verdict, "r": report.r, "why": report.comparison.why}
    return {"ok": all(each["verdict"] == "unchanged" for each in found.values()), "loops": found}


PARTS: dict[str, Part] = {
    "gate": gate, "faults": faults, "inspected": inspected, "followed": followed,
}  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.accelerator", description=__doc__)
    add = parser.add_argument
    add("--device", metavar="NAME", required=True, help="the device, which must compute")
    add("--json", metavar="FILE", type=Path, required=True, help="what was measured")
    add("--minutes", type=float, default=MINUTES, help=f"for all parts; default {MINUTES}")
    add("--dry-run", action="store_true", help="few claims and examples")
    return parser


if __name__ == "__main__":
    sys.exit(main())
