"""Checks of the start alone: what nobody wrote, what ignores its seed, what is a copy.

Each check is a function that yields findings. They share a `Start`, the module of the first seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from initcheck.inspection.findings import Finding, NotJudged, SameModuleError
from initcheck.inspection.memory import WatchedMemory, unwritten
from initcheck.inspection.subject import Built, Subject
from initcheck.inspection.tensors import (
    Named,
    bits,
    chance,
    constant,
    digest,
    named_tensors,
    same_bits,
    storage,
    why_not_judged,
)

#: Tensors and rows are compared if two draws are equal by chance with a probability below 2^-40.
RARE = 40


@dataclass
class Start:
    """The module that the first seed builds, and what is known of its tensors.

    Attributes:
        tensors: what can be judged, by name, in the module's order.
        not_judged: collects what cannot be.
        fixed: names of tensors that are the same for both seeds.
        wakes: for each trainable parameter, the first step at which it has a gradient.
    """

    subject: Subject
    built: Built
    seeds: tuple[int, int]
    not_judged: list[NotJudged] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)
    wakes: dict[str, int | None] = field(default_factory=dict)
    tensors: dict[str, Named] = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = {}
        for each in named_tensors(self.built.module):
            why = why_not_judged(each.tensor)
            if why:
                self.not_judged.append(NotJudged("all", each.name, why))
            else:
                self.tensors[each.name] = each

    def line(self, named: Named) -> str:
        """The last line that wrote a tensor."""
        return self.built.lines.get(storage(named.tensor), "")

    def drawn(self, named: Named) -> bool:
        """Whether torch's random operations wrote it."""
        return storage(named.tensor) in self.built.random

    def finding(self, check: str, severity: str, named: Sequence[Named], **rest: object) -> Finding:
        """A finding about these tensors, with their owner's class and the line of the first."""
        return Finding(
            check=check,
            severity=severity,  # type: ignore[arg-type]
            parameters=tuple(each.name for each in named),
            owner=type(named[0].owner).__name__,
            line=self.line(named[0]),
            **rest,  # type: ignore[arg-type]
        )


# --- written and rebuilt --------------------------------------------------------------------------


def check_written_and_rebuilt(start: Start) -> Iterator[Finding]:
    """Build again from the same seed, with other values in memory that nobody writes.

    A difference that follows these values is unwritten memory; any other is a start that does not
    depend on its seed alone.
    """
    first, subject, seed = start.tensors, start.subject, start.seeds[0]
    second = subject(seed, "number", elsewhere=True).module
    if second is start.built.module:
        raise SameModuleError(
            f"{subject.name} returned the same module twice. Build a new one at each call."
        )
    again = _by_name(second)
    changed = [each for name, each in first.items() if not _same(each, again.get(name))]
    if not changed:
        return
    same_fill = _by_name(subject(seed, "nan", elsewhere=True).module)
    unstable = [each for each in changed if not _same(each, same_fill.get(each.name))]
    unstable_names = {each.name for each in unstable}
    for each in changed:
        if each.name in unstable_names:
            continue
        count = int((unwritten(each.tensor, "nan")).sum()) or each.tensor.numel()
        kind = "parameter" if each.parameter else "buffer"
        yield start.finding(
            "written", "fail", [each], value=float(count),
            message=f"{count} of {each.tensor.numel()} entries of this {kind} come from memory "
            "that nobody wrote: their values are whatever was there.",
            repair="Write it after torch.empty, or use torch.zeros.",
        )  # fmt: skip
    if unstable:
        yield from _unstable(start, unstable)


def _unstable(start: Start, unstable: list[Named]) -> Iterator[Finding]:
    subject, seed = start.subject, start.seeds[0]
    if subject.seeded_by:
        repeated = _by_name(subject(seed, "nan").module)
        if all(_same(each, repeated.get(each.name)) for each in unstable):
            yield start.finding(
                "rebuilt", "fail", unstable,
                message="Two builds with the same seed differ if the global generators do: "
                f"{subject.name} takes a seed and does not use it for these.",
                repair="Draw from a generator that is made from the seed.",
            )  # fmt: skip
            return
    yield start.finding(
        "rebuilt", "fail", unstable,
        message="Two builds from the same seed of torch, numpy and random differ in bits.",
        repair="Find what they depend on: the time, a counter, the order of a set, an unseeded "
        "generator.",
    )  # fmt: skip


def _by_name(module: nn.Module) -> dict[str, Named]:
    return {each.name: each for each in named_tensors(module)}


def _same(a: Named, b: Named | None) -> bool:
    return b is not None and not why_not_judged(b.tensor) and same_bits(a.tensor, b.tensor)


def check_seed_has_effect(start: Start) -> Iterator[Finding]:
    """Build from another seed: every parameter of random numbers must differ."""
    other = _by_name(start.subject(start.seeds[1]).module)
    random = [
        each for each in start.tensors.values()
        if each.trainable and start.drawn(each) and _telling(each.tensor)
    ]  # fmt: skip
    start.fixed = {name for name, each in start.tensors.items() if _same(each, other.get(name))}
    equal = [each for each in random if each.name in start.fixed]
    if not equal:
        return
    everything = len(equal) == len(random)
    yield start.finding(
        "rebuilt", "fail", equal, value=float(len(equal)),
        message=f"{'All' if everything else len(equal)} of {len(random)} parameters with random "
        f"numbers are the same for seeds {start.seeds[0]} and {start.seeds[1]}: the seed has no "
        "effect on them.",
        repair="Do not seed inside the function that builds or initializes.",
    )  # fmt: skip


def _telling(tensor: Tensor) -> bool:
    """Whether two draws of this tensor are equal by chance with a probability below 2^-40."""
    return chance(tensor, tensor.numel()) >= RARE


# --- deferred -------------------------------------------------------------------------------------


def check_deferred(start: Start) -> Iterator[Finding]:
    """Build on meta, allocate by ``to_empty``, call every ``reset_parameters``: what is unset?

    A class that defines ``reset_parameters`` promises to set its own tensors. One that only
    inherits it, or has none, promises nothing; of these, torch's own layers are noted.
    """
    try:
        with torch.device("meta"):
            module = start.subject(start.seeds[0]).module
    except Exception as error:  # noqa: BLE001 -- many modules compute while they are built
        why = f"it cannot be built on meta ({type(error).__name__})"
        start.not_judged.append(NotJudged("written", "deferred start", why))
        return
    with WatchedMemory("nan"):
        module.to_empty(device="cpu")
        try:
            for part in module.modules():
                reset = getattr(part, "reset_parameters", None)
                if callable(reset):
                    reset()
        except Exception as error:  # noqa: BLE001 -- user code
            why = f"reset_parameters of {type(part).__name__} raised {type(error).__name__}"
            start.not_judged.append(NotJudged("written", "deferred start", why))
            return
    promised: dict[tuple[str, bool], list[Named]] = defaultdict(list)
    unset = []
    for name, each in _by_name(module).items():
        eager = start.tensors.get(name)
        if eager is None or why_not_judged(each.tensor) or not _lost(each.tensor, eager.tensor):
            continue
        if _promises(type(each.owner), each.attribute):
            promised[type(each.owner).__name__, each.parameter].append(eager)
        elif type(each.owner).__module__.startswith("torch.nn."):
            unset.append(eager)
    yield from _unset_by_reset(start, promised)
    if unset:
        owners = ", ".join(sorted({type(each.owner).__name__ for each in unset}))
        yield start.finding(
            "written", "note", unset, value=float(len(unset)),
            message=f"Built on meta, these stay unset: {owners} has no reset_parameters. "
            "Built as here, they are set.",
            repair="If you build on meta, load a checkpoint after to_empty.",
        )  # fmt: skip


def _promises(owner: type, attribute: str) -> bool:
    """Whether the class whose ``__init__`` makes a tensor also defines how to reset it.

    It does not if the tensor was added from outside, as weight normalization by a hook does.
    """
    for each in owner.__mro__:
        if "__init__" in vars(each) and _names(vars(each)["__init__"], attribute):
            return "reset_parameters" in vars(each)
        if "__init__" in vars(each) and "reset_parameters" not in vars(each):
            return False
    return False


def _names(function: Callable[..., object], attribute: str) -> bool:
    """Whether a function's code uses this name, as an attribute or as a text."""
    code = getattr(function, "__code__", None)
    return code is not None and attribute in {*code.co_names, *code.co_consts}


def _lost(deferred: Tensor, eager: Tensor) -> bool:
    """Whether an entry that the eager build sets is unset in the deferred one."""
    if deferred.shape != eager.shape:
        return bool(unwritten(deferred, "nan").any())
    return bool((unwritten(deferred, "nan") & ~unwritten(eager, "nan").to(deferred.device)).any())


def _unset_by_reset(
    start: Start, promised: dict[tuple[str, bool], list[Named]]
) -> Iterator[Finding]:
    for (owner, parameter), found in promised.items():
        kind = "parameters" if parameter else "buffers"
        yield start.finding(
            "written", "fail", found, value=float(len(found)),
            message=f"Built on meta, then to_empty and every reset_parameters: {len(found)} {kind} "
            "stay unset.",
            repair=f"Set them in {owner}.reset_parameters.",
        )  # fmt: skip


# --- distinct -------------------------------------------------------------------------------------


def check_distinct(start: Start) -> Iterator[Finding]:
    """Parameters of one shape that are equal in bits: whole modules first, then tensors."""
    copies = equal_groups(start)
    for paths in _equal_modules(start, copies):
        names = [
            each for path in paths for each in start.tensors.values()
            if each.trainable and each.name.startswith(f"{path}.")
        ]  # fmt: skip
        yield start.finding(
            "distinct", "warn", names, value=float(len(paths)),
            message=f"{len(paths)} modules start as copies, equal in bits: {', '.join(paths)}.",
            repair="Build each one separately, or initialize again after copying.",
        )  # fmt: skip
        taken = {each.name for each in names}
        copies = [[each for each in group if each.name not in taken] for group in copies]
    for group in copies:
        if len(group) > 1:
            yield start.finding(
                "distinct", "warn", group, value=float(len(group)),
                message=f"{len(group)} parameters of shape {tuple(group[0].tensor.shape)} are "
                "equal in bits and not tied.",
                repair="Draw each one separately.",
            )  # fmt: skip
    yield from _equal_slices(start)


def equal_groups(start: Start) -> list[list[Named]]:
    """Trainable parameters that are not constant and equal in bits, in different memory.

    Tables, which no random operation wrote and no seed changes, may be equal.
    """
    by_shape = defaultdict(list)
    for each in start.tensors.values():
        table = each.name in start.fixed and not start.drawn(each)
        if each.trainable and not table and _telling(each.tensor):
            by_shape[each.tensor.dtype, each.tensor.shape].append(each)
    groups: dict[bytes, dict[int, Named]] = defaultdict(dict)
    for several in by_shape.values():
        if len(several) > 1:
            for each in several:
                groups[digest(each.tensor)].setdefault(storage(each.tensor), each)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def _equal_modules(start: Start, copies: list[list[Named]]) -> list[list[str]]:
    """Paths of the largest modules all of whose parameters that are not constant are copies."""
    number = {each.name: n for n, group in enumerate(copies) for each in group}
    contents: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for each in start.tensors.values():
        if each.trainable and not constant(each.tensor):
            parts = each.name.split(".")
            for cut in range(1, len(parts)):
                path, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
                contents[path].append((rest, number.get(each.name)))
    alike = defaultdict(list)
    for path, inside in contents.items():
        if all(group is not None for _, group in inside):
            alike[tuple(inside)].append(path)
    found = [paths for paths in alike.values() if len(paths) > 1]
    covered = {path for paths in found for path in paths}
    return [
        paths for paths in found
        if not all(any(path.startswith(f"{other}.") for other in covered) for path in paths)
    ]  # fmt: skip


def _equal_slices(start: Start) -> Iterator[Finding]:
    """Experts or heads: slices along the first dimension of a parameter with three dimensions."""
    for each in start.tensors.values():
        convolution = hasattr(each.owner, "kernel_size")
        if not each.trainable or each.tensor.dim() != 3 or convolution or len(each.tensor) < 2:
            continue
        if constant(each.tensor) or constant(each.tensor[0]):
            continue
        count = len(each.tensor) - len({digest(part.contiguous()) for part in each.tensor})
        if count:
            yield start.finding(
                "distinct", "warn", [each], value=float(count),
                message=f"{count + 1} of {len(each.tensor)} slices along the first dimension, such "
                "as experts or heads, are equal in bits.",
                repair="Draw each slice separately.",
            )  # fmt: skip


# --- units ----------------------------------------------------------------------------------------


def check_units(start: Start) -> Iterator[Finding]:
    """Equal rows of a weight (units that cannot be told apart), and padding rows overwritten."""
    for each in start.tensors.values():
        if not each.trainable or each.tensor.dim() < 2 or constant(each.tensor):
            continue
        padding = getattr(each.owner, "padding_idx", None)
        embedding = isinstance(each.owner, (nn.Embedding, nn.EmbeddingBag))
        if embedding and padding is not None and bool(each.tensor[padding].any()):
            yield start.finding(
                "units", "warn", [each], value=float(padding),
                message=f"Row {padding}, the padding row, is not zero. It gets no gradient, so it "
                "stays as it is.",
                repair="Zero it after the initialization that overwrote it.",
            )  # fmt: skip
        yield from _equal_rows(start, each)


def _equal_rows(start: Start, each: Named) -> Iterator[Finding]:
    rows = each.tensor.detach()
    if getattr(each.owner, "transposed", False):  # (in, out, ...): units are along the second
        rows = rows.movedim(1, 0)
    rows = rows.flatten(1)
    count, width = rows.shape
    pairs = 2 * count.bit_length()  # bits: any of so many pairs may be equal by chance
    if count < 2 or chance(each.tensor, width) - pairs < RARE or not start.drawn(each):
        return
    equal = count - _distinct_rows(rows)
    if equal:
        yield start.finding(
            "units", "warn", [each], value=float(equal),
            message=f"{equal} of {count} rows repeat another row in bits, so these units start "
            "as copies.",
            repair="Draw each row separately.",
        )  # fmt: skip


def _distinct_rows(rows: Tensor) -> int:
    """How many different rows there are; each row of zeros counts as different."""
    whole = bits(rows).flatten(1)
    used = whole[whole.any(1)].cpu().contiguous().numpy()
    as_one = used.view([("row", used.dtype, used.shape[1])]).ravel() if len(used) else used
    return len(rows) - len(used) + len({row.tobytes() for row in as_one})


# --- tied -----------------------------------------------------------------------------------------


def check_tied(start: Start) -> Iterator[Finding]:
    """Parameters with one storage must keep it in a deep copy and in a reloaded module."""
    import copy  # noqa: PLC0415 -- used here alone

    module = start.built.module
    ties = _ties(module)
    if not ties:
        return
    try:
        copied = _ties(copy.deepcopy(module))
    except Exception as error:  # noqa: BLE001 -- user code
        why = f"the module cannot be copied ({type(error).__name__}: {error})"
        start.not_judged.append(NotJudged("tied", "", why))
        copied = ties
    reloaded = start.subject(start.seeds[1], None).module
    try:
        reloaded.load_state_dict(module.state_dict())
        loaded = _ties(reloaded)
    except Exception as error:  # noqa: BLE001 -- user code
        why = f"its state_dict cannot be loaded ({type(error).__name__})"
        start.not_judged.append(NotJudged("tied", "", why))
        loaded = ties
    for after, what in ((copied, "copy.deepcopy"), (loaded, "a state_dict round trip")):
        for group in sorted(ties - after):
            known = [start.tensors[name] for name in group if name in start.tensors]
            if known:
                yield start.finding(
                    "tied", "fail", known, value=float(len(group)),
                    message=f"{', '.join(group)} share memory, and no longer do after {what}.",
                    repair="Tie them again there, or hold the tensor once.",
                )  # fmt: skip


def _ties(module: nn.Module) -> set[tuple[str, ...]]:
    """Groups of parameter names with one storage."""
    groups = defaultdict(list)
    for name, tensor in module.named_parameters(remove_duplicate=False):
        memory = (tensor.data_ptr(), tensor.numel()) if storage(tensor) else (0, id(tensor))
        groups[memory].append(name)
    return {tuple(sorted(names)) for names in groups.values() if len(names) > 1}
