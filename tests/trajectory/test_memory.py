"""What watching keeps: one copy of the start, and little while it sketches."""

from __future__ import annotations

import gc
import weakref

import torch
from torch import nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from initcheck.trajectory import traces
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.run import run
from initcheck.trajectory.twins import Disturbance

MEGABYTE = 2**20


def model():
    return nn.Sequential(nn.Linear(1024, 1536), nn.Linear(1536, 1024), nn.BatchNorm1d(1024))


def bytes_of(module):
    return sum(each.nbytes for each in (*module.parameters(), *module.buffers()))


def living():
    """Bytes of the storages of all tensors that Python can reach."""
    gc.collect()
    tensors = [
        each for each in gc.get_objects()
        if type(each) in {torch.Tensor, nn.Parameter}
        and not is_functorch_wrapped_tensor(each)  # what other tests left has no storage
    ]  # fmt: skip
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors}
    return sum(each.nbytes() for each in storages.values())


class Peak(TorchDispatchMode):
    """Counts the bytes of the storages that operations make."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        before = {
            each.untyped_storage()._cdata
            for each in tree_leaves((args, kwargs))
            if isinstance(each, torch.Tensor)
        }
        made = function(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self._count(each.untyped_storage(), before)
        return made

    def _count(self, storage, before):
        key = storage._cdata
        if key in before or key in self.known:
            return
        self.known.add(key)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._drop, key, storage.nbytes())

    def _drop(self, key, size):
        self.known.discard(key)
        self.now -= size


def test_watching_keeps_one_copy_of_the_start():
    seen = []

    def training(seed):
        torch.manual_seed(seed)
        trained = model()
        seen.append(living())
        yield trained
        while True:
            seen.append(living())
            with torch.no_grad():
                trained[0].weight *= 1.01
            yield 1.0

    size = bytes_of(model())
    for disturb in (None, Disturbance(0, 0)):
        seen.clear()
        run(Loop(training, "training"), 0, 4, disturb=disturb)
        before, *after = seen
        extra = max(after) - before
        # the factors of all twins are 4 MB, once per process
        assert 0.9 * size < extra < size + 5 * MEGABYTE


def test_the_peak_is_counted():
    with Peak() as peak:
        for _ in range(3):
            torch.zeros(MEGABYTE).double()
    assert peak.most == 12 * MEGABYTE
    assert peak.now == 0


def test_sketching_needs_no_copy_of_the_model():
    trained = model()
    start = {name: each.clone() for name, each in traces.watched(trained).items()}
    with Peak() as peak:
        traces.ways(traces.watched(trained), start)
    assert bytes_of(trained) > 12 * MEGABYTE
    assert peak.most < 4 * MEGABYTE
