"""Checks of the user's initialization: rules without effect, and writes that nothing keeps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from initcheck.inspection.findings import Finding, NotJudged
from initcheck.inspection.memory import Lost, Write
from initcheck.inspection.patterns import unmatched
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named, named_tensors, storage

#: A rule that wrote at least so many times the tensors of another is the more general one.
MORE = 2


def check_effect(start: Start) -> Iterator[Finding]:
    """What an initialization leaves alone, what it overwrites, and what it writes in vain."""
    yield from _overwritten(start)
    yield from _computed_again(start)
    if start.subject.init is not None:
        yield from _without_values(start)
        yield from _left_alone(start)


def _left_alone(start: Start) -> Iterator[Finding]:
    memory = start.built.memory
    alone = [
        each for each in start.tensors.values()
        if each.trainable and memory is not None
        and storage(each.tensor) not in memory.allocated
        and not any(write.init for write in start.writes(each))
    ]  # fmt: skip
    count = sum(each.trainable for each in start.tensors.values())
    if alone and len(alone) == count:
        yield start.finding(
            "effect", "warn", alone, value=float(count),
            message=f"The initialization wrote none of {count} parameters.",
            repair="If it is meant for module.apply, give it as --init-apply (init_apply=).",
        )  # fmt: skip
    elif alone:
        yield start.finding(
            "effect", "note", alone, value=float(len(alone)),
            message=f"The initialization leaves {len(alone)} of {count} parameters as the build "
            "made them.",
        )  # fmt: skip


# --- rules that others overwrite ------------------------------------------------------------------


def _overwritten(start: Start) -> Iterator[Finding]:
    """A rule all of whose values a more general rule overwrites later.

    A layer's own default is meant to be overwritten. So is a general rule by a special one, and
    the build by the user's initialization.
    """
    in_init = start.subject.init is not None
    by_line: dict[str, dict[str, str]] = defaultdict(dict)  # tensors of a line: who wrote last
    size: Counter[str] = Counter()
    tensors = {each.name: each for each in start.tensors.values() if each.trainable}
    for each in tensors.values():
        rules = [
            write for write in start.writes(each)
            if write.init == in_init and _is_rule(write, each)
        ]  # fmt: skip
        for line in dict.fromkeys(write.line for write in rules):
            size[line] += 1
            by_line[line][each.name] = rules[-1].line
    for line, last in by_line.items():
        later = set(last.values())
        if line in later or len(later) != 1:
            continue
        (general,) = later
        if size[general] >= MORE * size[line]:
            found = start.finding(
                "effect", "warn", [tensors[name] for name in last], value=float(len(last)),
                message=f"{line} sets {_these(len(last))}, and {general}, which sets "
                f"{size[general]} parameters, overwrites all of them later: the first rule has no "
                "effect.",
                repair="Apply the special rule last, or leave these out of the general one.",
            )  # fmt: skip
            yield found


def _these(count: int) -> str:
    return "this parameter" if count == 1 else f"these {count} parameters"


def _is_rule(write: Write, each: Named) -> bool:
    return write.explicit and write.whole and bool(write.line) and write.caller != id(each.owner)


# --- writes in vain -------------------------------------------------------------------------------


def _computed_again(start: Start) -> Iterator[Finding]:
    """Writes to a tensor that the next forward pass computes from others."""
    module, memory = start.built.module, start.built.memory
    if memory is None:
        return
    paths = {part: path for path, part in module.named_modules()}
    lost = [each for each in memory.lost if each.owner in paths and not _kept(each)]
    found = {paths[each.owner]: each.line for each in lost if each.owner is not None}
    for path, line in found.items():
        sources = [each for each in start.tensors.values() if each.path == path]
        yield from _in_vain(start, sources, path.replace("parametrizations.", ""), line)
    held = {storage(each.tensor) for each in named_tensors(module)}
    for path, part in module.named_modules():
        for name, tensor in _by_hooks(part):
            writes = [each for each in memory.writes.get(storage(tensor), []) if each.explicit]
            if writes and storage(tensor) not in held:
                sources = [
                    each for each in start.tensors.values()
                    if each.path == path and each.attribute.startswith(f"{name}_")
                ]  # fmt: skip
                full = f"{path}.{name}" if path else name
                yield from _in_vain(start, sources, full, writes[-1].line)


def _in_vain(start: Start, sources: list[Named], name: str, line: str) -> Iterator[Finding]:
    if sources:
        yield start.finding(
            "effect", "fail", sources, value=float(len(sources)), line=line,
            message=f"{name} is written, and computed again from these parameters at the next "
            "forward pass: the write has no effect.",
            repair="Write it before it is parametrized, or write these parameters.",
        )  # fmt: skip


@torch.no_grad()
def _kept(lost: Lost) -> bool:
    """Whether the parametrization gives the written values after all: they were assigned."""
    owner = lost.owner
    if owner is None:
        return True
    training = owner.training
    owner.eval()  # in training, spectral normalization moves its vectors at each use
    try:
        now: Tensor = owner()
    except Exception:  # noqa: BLE001 -- user code
        return True
    finally:
        owner.train(training)
    written = lost.tensor.to(now.device)
    return now.shape == written.shape and torch.allclose(now, written, rtol=1e-3)


def _by_hooks(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Attributes that a hook before each forward pass computes, as in the older weight_norm."""
    for hook in part._forward_pre_hooks.values():  # noqa: SLF001 -- there is no public list
        name = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
        tensor = vars(part).get(name) if isinstance(name, str) else None
        if isinstance(tensor, Tensor):
            yield str(name), tensor


def _without_values(start: Start) -> Iterator[Finding]:
    """Writes of the initialization to tensors on meta or without entries."""
    memory, module = start.built.memory, start.built.module
    if memory is None:
        return
    for why, what in (("meta", "on meta, where there are no values"), ("empty", "empty")):
        lost = [each for each in memory.lost if each.why == why]
        named = [
            each for each in named_tensors(module)
            if each.parameter and (each.tensor.is_meta if why == "meta" else _empty(each.tensor))
        ]  # fmt: skip
        shapes = {each.tensor.shape for each in lost}
        written = [each for each in named if each.tensor.shape in shapes]
        if written:
            yield start.finding(
                "effect", "fail", written, value=float(len(written)), line=lost[-1].line,
                message=f"The initialization writes {len(written)} parameters that are {what}: "
                "nothing is stored.",
                repair="Allocate or gather them before they are initialized.",
            )  # fmt: skip


def _empty(tensor: Tensor) -> bool:
    return not tensor.is_meta and not tensor.numel()


# --- name patterns --------------------------------------------------------------------------------


def check_patterns(start: Start) -> Iterator[Finding]:
    """Comparisons with names in the initialization that were never true."""
    subject = start.subject
    if subject.init is None:
        return
    module = replace(subject, init=None)(start.seeds[0], None).module
    patterns, why = unmatched(subject.init, module)
    if why:
        start.not_judged.append(NotJudged("effect", "name patterns", why))
    for pattern in patterns:
        yield Finding(
            check="effect",
            severity="warn",
            parameters=(),
            owner=type(module).__name__,
            message=f"`{pattern.source}` was true for none of {pattern.names} names, such as "
            f"{pattern.example!r}: the rule matches nothing.",
            repair=_other_pattern(pattern.source),
            value=float(pattern.names),
            line=pattern.line,
        )


def _other_pattern(source: str) -> str:
    """What to compare with instead, by how the condition compares."""
    if ".endswith(" in source:
        return "Give the end of a name that named_parameters gives."
    if ".startswith(" in source:
        return "Give the beginning of a name that named_parameters gives, or use endswith."
    if "re." in source or "fnmatch." in source:
        return "Try the pattern on the names that named_parameters gives."
    return "Compare with whole names as named_parameters gives them, or use endswith."
