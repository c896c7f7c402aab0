"""`python -m tests.inspection`: inspect models that are right, and write baselines/INSPECTED.md.

Each model is inspected in a separate process, and its result is kept: an interrupted run
continues with the models that are missing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, metadata, util
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from scipy.stats import beta

from initcheck import inspect_model
from initcheck.files import write_atomic
from initcheck.files.templates import table
from initcheck.inspection import InspectionError
from initcheck.inspection.names import grouped
from tests.inspection import layers
from tests.inspection.faulty import rows
from tests.inspection.libraries import MODELS
from tests.inspection.test_innocent import INNOCENT

ROOT = Path(__file__).parents[2]
PAGE, RUNS = ROOT / "baselines" / "INSPECTED.md", ROOT / "baselines" / "inspected.jsonl"
LIBRARIES = ("torch", "torchvision", "timm", "transformers", "diffusers", "peft")
TIMEOUT = 900  # seconds for one model
OPTIMISTIC = (
    "A false alarm on this list is repaired in the check that raised it, so the bounds are "
    "optimistic for models that are not like these."
)
#: Findings that are true, by check and model, with the public thread about them.
KNOWN: dict[tuple[str, str], str] = {
    ("distinct", "torch TransformerEncoder"): "pytorch/pytorch#72253",
    ("distinct", "torch TransformerDecoder"): "pytorch/pytorch#86274",
    ("effect", "torchvision swin_t"): "none found",
    ("effect", "torchvision swin_v2_t"): "none found",
    ("scale", "timm visformer_tiny"): "pytorch/pytorch#23854",
    ("scale", "transformers mobilevit"): "none found",
    ("effect", "transformers wav2vec2"): "none found",
    ("effect", "transformers hubert"): "none found",
    ("asleep", "transformers vit_mae"): "none found",
}


def models() -> dict[str, Callable[[], Any]]:
    """Every model by name; each returns its build function, its batch and perhaps its loss."""
    starts = {
        f"start {name}": (lambda build=build: (build, rows)) for name, build in INNOCENT.items()
    }
    of_torch = {
        f"torch {name}": (lambda layer=layer: (layer[0], lambda: layer[1], layers.weighted))
        for name, layer in (layers.LAYERS | layers.KNOWN).items()
    }
    return {**of_torch, **MODELS, **starts}


def inspect_one(name: str) -> dict[str, Any]:
    """Inspect one model in this process."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = heading(name)
    began = time.process_time()
    try:
        build, batch, *loss = models()[name]()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = inspect_model(build, batch, loss=loss[0] if loss else None, name=name)
    except InspectionError as error:
        return result | {"error": str(error)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes = [int(torch.Size(row["shape"]).numel()) for row in found.tensors]
    return result | {
        "findings": [
            {"check": each.check, "severity": each.severity, "message": each.message,
             "parameters": grouped(each.parameters)}
            for each in found.of_severity("fail", "warn")
        ],
        "not_judged": [f"{each.check}: {each.why}" for each in found.not_judged],
        "numbers": sum(sizes), "seconds": round(time.process_time() - began, 1),
        "megabytes": round((peak - before) / 1024),
    }  # fmt: skip


def heading(name: str) -> dict[str, Any]:
    """What every result says: the model, the machine and the versions."""
    return {"model": name, "machine": platform.machine(), "versions": versions()}


def versions() -> dict[str, str]:
    """The versions of the libraries that are installed."""
    return {
        name: metadata.version(name) for name in LIBRARIES
        if any(True for _ in metadata.distributions(name=name))
    }  # fmt: skip


def kept() -> dict[str, dict[str, Any]]:
    """The results so far, by model; the newest wins."""
    if not RUNS.exists():
        return {}
    lines = RUNS.read_text(encoding="utf-8").splitlines()
    return {(line := json.loads(text))["model"]: line for text in lines}


def in_order(results: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The results of the models that there are, in their order."""
    return {name: results[name] for name in models() if name in results}


def inspect_missing(names: list[str]) -> None:
    """Inspect each model in a separate process, and append its result."""
    for name in names:
        result = _in_a_process(name)
        with RUNS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        found = result.get("error") or len(result["findings"])
        print(name, "-", found, f"in {result.get('seconds')} s", flush=True)


def _in_a_process(name: str) -> dict[str, Any]:
    """Inspect one model in a forked process, which need not import the libraries again."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_send, args=(sender, name))
    process.start()
    sender.close()
    try:
        if receiver.poll(TIMEOUT):
            result: dict[str, Any] = receiver.recv()
            return result
        error = f"no result after {TIMEOUT} s"
    except EOFError:
        process.join()
        error = f"the process ended with {process.exitcode}"
    finally:
        process.kill()
        process.join()
    return heading(name) | {"error": error}


def _send(sender: Connection, name: str) -> None:
    try:
        result = inspect_one(name)
    except Exception as error:  # noqa: BLE001 -- of a library, and the others must be inspected
        result = heading(name) | {"error": f"{type(error).__name__}: {error}"}
    sender.send(result)


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown page about all results."""
    judged = {name: each for name, each in results.items() if "error" not in each}
    false = {severity: _false(judged, severity) for severity in ("fail", "warn")}
    machines = sorted({each["machine"] for each in results.values()})
    used = {
        name: version for each in results.values() for name, version in each["versions"].items()
    }
    lines = [
        "# Inspected models",
        "",
        "<!-- Written by `nox -s inspected` from `baselines/inspected.jsonl`; do not edit. -->",
        "",
        f"{len(judged)} models were inspected in "
        f"{sum(each['seconds'] for each in judged.values()) / 60:.0f} minutes on "
        f"{', '.join(machines)} with one thread, with "
        + ", ".join(f"{name} {version}" for name, version in sorted(used.items()))
        + ".",
        "",
    ]
    lines += [OPTIMISTIC, ""]
    for severity, names in false.items():
        bound = beta.ppf(0.95, len(names) + 1, max(len(judged) - len(names), 1)) if judged else 1.0
        lines.append(
            f"- False `{severity}`: {len(names)} of {len(judged)} models, at most {bound:.1%} with "
            f"95 % confidence{': ' + ', '.join(names) if names else ''}."
        )
    lines += [
        f"- True: {name}, `{check}`: {thread} ([found in libraries](../docs/found.md))."
        for (check, name), thread in KNOWN.items() if _finds(judged.get(name, {}), check)
    ]  # fmt: skip
    failed = [f"- {name}: {each['error']}" for name, each in results.items() if "error" in each]
    if failed:
        lines += ["", "Not inspected:", "", *failed]
    head = ("model", "numbers", "seconds", "MB", "found", "not judged")
    return "\n".join([*lines, "", table(head, _rows(judged)), ""])


def _false(judged: Mapping[str, Mapping[str, Any]], severity: str) -> list[str]:
    """Models with a finding of this severity that is not known to be true."""
    return [
        name for name, each in judged.items()
        if any(
            found["severity"] == severity and (found["check"], name) not in KNOWN
            for found in each["findings"]
        )
    ]  # fmt: skip


def _finds(result: Mapping[str, Any], check: str) -> bool:
    return any(each["check"] == check for each in result.get("findings", ()))


def _rows(judged: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[object, ...]]:
    for name, each in judged.items():
        found = "; ".join(
            f"{f['severity']} {f['check']} {', '.join(f['parameters'])[:120]}"
            for f in each["findings"]
        )
        yield (
            name, f"{each['numbers']:,}", each["seconds"], each["megabytes"], found or "-",
            "; ".join(dict.fromkeys(each["not_judged"])) or "-",
        )  # fmt: skip


def main() -> None:
    """Inspect what is missing, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.inspection", description=__doc__)
    parser.add_argument("--one", metavar="MODEL", help="inspect one model and print its result")
    parser.add_argument("--only", metavar="TEXT", default="", help="models with this in their name")
    parser.add_argument("--again", action="store_true", help="inspect those with a result, too")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(inspect_one(options.one)))
        return
    for library in LIBRARIES:
        if util.find_spec(library):
            import_module(library)  # once, before the processes are forked
    known = {} if options.again else kept()
    inspect_missing([name for name in models() if options.only in name and name not in known])
    write_atomic(PAGE, page(in_order(kept())))


if __name__ == "__main__":
    main()
