"""A device that records a step, acted by the CPU: the operators of a step are kept and run again.

Like a CUDA graph, a tape runs no Python of the step when it is replayed, and each operator reads
and writes the tensors that it had when it was recorded.
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from initcheck import devices
from initcheck.faults.fault import replaced


class Tape(TorchDispatchMode):
    """Keeps every operator that is called within the block."""

    def __init__(self):
        super().__init__()
        self.calls, self.before, self.own = [], {}, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        given = storages((args, kwargs))
        for place, tensor in given.items():  # a schema may hide a write, as batch norm's does
            if place not in self.own and place not in self.before:
                whole = tensor.untyped_storage()  # the tensor may be a view of a part
                self.before[place] = (whole, whole.clone())
        out = func(*args, **kwargs)
        self.own |= storages(out).keys() - given.keys()
        self.calls.append((func, args, kwargs, out))
        return out

    def rewind(self):
        """Undo what recording wrote: a device records without computing."""
        for whole, value in self.before.values():
            whole.copy_(value)

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, out in self.calls:
            given = storages((args, kwargs))
            results = tree_leaves(func(*args, **kwargs))
            for kept, new in zip(tree_leaves(out), results, strict=True):
                if isinstance(kept, torch.Tensor) and place_of(kept) not in given:
                    kept.copy_(new)


def place_of(tensor):
    return tensor.untyped_storage().data_ptr()


def storages(tree):
    """Tensors by the memory that they use."""
    return {place_of(leaf): leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)}


def recorded(step, _device):
    """What `devices.recorded` does, on a CPU."""
    tape = Tape()
    try:
        with tape:
            step()
    finally:
        tape.rewind()
    return tape.replay


@contextmanager
def recording(record=recorded):
    """The CPU as a device that records by ``record``; yields the recordings' devices."""
    asked = []

    def counted(step, device):
        asked.append(device)
        return record(step, device)

    @contextmanager
    def nothing(_device):
        yield

    with (
        replaced(devices, "recorded", counted), replaced(devices, "warming_up", nothing),
        replaced(devices, "require_recording", lambda names: None),
    ):  # fmt: skip
        yield asked
