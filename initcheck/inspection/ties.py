"""A check of parameters that share memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from torch import nn

from initcheck.inspection.findings import Finding, NotJudged
from initcheck.inspection.start import Start
from initcheck.inspection.surroundings import give_back_memory
from initcheck.inspection.tensors import storage


def check_tied(start: Start) -> Iterator[Finding]:
    """Parameters with one storage must keep it in a deep copy and in a reloaded module."""
    import copy  # noqa: PLC0415 -- used here alone

    module = start.built.module
    tied = ties(module)
    if not tied:
        return
    try:
        copied = ties(copy.deepcopy(module))
    except Exception as error:  # noqa: BLE001 -- user code
        why = f"the module cannot be copied ({type(error).__name__}: {error})"
        start.not_judged.append(NotJudged("tied", "", why))
        copied = tied
    give_back_memory()  # of the copy, before another build
    reloaded = start.subject(start.seeds[1], None).module
    try:
        reloaded.load_state_dict(module.state_dict())
        loaded = ties(reloaded)
    except Exception as error:  # noqa: BLE001 -- user code
        why = f"its state_dict cannot be loaded ({type(error).__name__})"
        start.not_judged.append(NotJudged("tied", "", why))
        loaded = tied
    for after, what in ((copied, "copy.deepcopy"), (loaded, "a state_dict round trip")):
        for group in sorted(tied - after):
            known = [start.tensors[name] for name in group if name in start.tensors]
            if known:
                yield start.finding(
                    "tied", "fail", known, value=float(len(group)),
                    message=f"{', '.join(group)} share memory, and no longer do after {what}.",
                    repair="Tie them again there, or hold the tensor once.",
                )  # fmt: skip


def ties(module: nn.Module) -> set[tuple[str, ...]]:
    """Groups of parameter names with one storage."""
    groups = defaultdict(list)
    for name, tensor in module.named_parameters(remove_duplicate=False):
        memory = (tensor.data_ptr(), tensor.numel()) if storage(tensor) else (0, id(tensor))
        groups[memory].append(name)
    return {tuple(sorted(names)) for names in groups.values() if len(names) > 1}
