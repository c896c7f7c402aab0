"""One row for each layer with parameters: its signals, its weights' histogram, when it wakes."""

from __future__ import annotations

import math
from typing import Any

import torch

from initcheck.inspection.observed import Layer
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named, constant

#: Of a larger weight, so many entries at equal distances are counted.
_ENTRIES = 16_384
#: Bins from -4 to 4 standard deviations around the mean.
BINS, WIDTH = 32, 4.0


def layer_rows(start: Start) -> list[dict[str, Any]]:
    """Layers in the order of their calls, then those that were not called.

    Each row has ``path``, ``owner``, ``parameters`` (names), ``wakes`` (the first step at which all
    of them have a gradient, or None), ``forward`` and ``backward`` (mean squares of the output and
    of the loss's gradient with respect to it, or None) and ``weight``: name, shape, mean, standard
    deviation and the shares of its entries in each of 32 bins.
    """
    called = start.first.layers if start.first else {}
    owned: dict[str, list[Named]] = {}
    for each in start.tensors.values():
        if each.parameter:
            owned.setdefault(each.path, []).append(each)
    order = [path for path in called if path in owned]
    order += [path for path in owned if path not in called]
    return [_row(start, path, owned[path], called.get(path)) for path in order]


def _row(start: Start, path: str, named: list[Named], layer: Layer | None) -> dict[str, Any]:
    wakes = [start.wakes[each.name] for each in named if each.name in start.wakes]
    known = [each for each in wakes if each is not None]
    largest = max(named, key=lambda each: (each.tensor.dim() > 1, each.tensor.numel()))
    return {
        "path": path,
        "owner": type(named[0].owner).__name__,
        "parameters": tuple(each.name for each in named),
        "wakes": max(known) if known and len(known) == len(wakes) else None,
        "forward": layer.forward if layer else None,
        "backward": layer.backward if layer else None,
        "weight": _weight(largest),
    }


@torch.no_grad()
def _weight(named: Named) -> dict[str, Any]:
    flat = named.tensor.detach().flatten()
    flat = flat[:: max(len(flat) // _ENTRIES, 1)]
    values = (flat.abs() if flat.is_complex() else flat).double().cpu()
    row = {"name": named.name, "shape": tuple(named.tensor.shape)}
    if not len(values) or not bool(torch.isfinite(values).all()):
        return row | {"mean": math.nan, "std": math.nan, "shares": ()}
    mean, std = float(values.mean()), float(values.std(correction=0))
    if constant(named.tensor) or std == 0:
        return row | {"mean": mean, "std": 0.0, "shares": ()}
    edges = (mean - WIDTH * std, mean + WIDTH * std)
    counts = torch.histc(values, BINS, *edges) / len(values)
    return row | {"mean": mean, "std": std, "shares": tuple(counts.tolist())}
