"""A large module takes its step on parts of a batch, where that shows what the batch shows."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection import first as first_module
from initcheck.inspection import rows as rows_module
from initcheck.inspection import waking
from initcheck.inspection.first import first_step
from initcheck.inspection.rows import merged, split
from initcheck.inspection.start import Start
from initcheck.inspection.subject import Subject
from tests.inspection import innocent
from tests.inspection.faulty import CLASSES, rows


class Model(nn.Module):
    """Layers, one of which only some samples reach."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.rare = nn.Linear(8, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, CLASSES)
        nn.init.zeros_(self.rare.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(x).tanh()
        return self.head(hidden + (x[:, :1] > 1) * self.rare(hidden))


class NormalizedWithZeroHead(Model):
    """Its loss is ln C for every part, and its samples are centred together."""

    def __init__(self) -> None:
        super().__init__()
        self.rare.reset_parameters()
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(x)
        return self.head(self.rare(hidden - hidden.mean(0)))


class Normalized(Model):
    """Its samples are centred together."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(x)
        return self.head(3 * (hidden - hidden.mean(0)).tanh())


def _taken(build, *, large, size=3):
    subject = Subject("model", build, rows)
    batch = rows()
    subject = Subject("model", build, lambda: batch)
    start = Start(subject, subject(0), (0, 1))
    with (
        mock.patch.object(rows_module, "LARGE", large),
        mock.patch.object(first_module, "at_once", return_value=size),
    ):
        return first_step(start)


def _both(build):
    torch.manual_seed(5)
    parts = _taken(build, large=0)
    torch.manual_seed(5)
    return parts, _taken(build, large=1 << 40)


def test_parts_of_a_batch_show_what_the_batch_shows():
    parts, whole = _both(Model)
    assert parts.at_once == 3
    assert whole.at_once == 0
    assert parts.awake == whole.awake
    assert parts.reached == whole.reached
    assert [each.sources for each in parts.losses] == [each.sources for each in whole.losses] != []
    for path, layer in whole.layers.items():
        assert parts.layers[path].forward == pytest.approx(layer.forward)
        assert parts.layers[path].backward == pytest.approx(layer.backward, rel=1e-4)
        assert parts.layers[path].spread_out == pytest.approx(layer.spread_out)


@pytest.mark.parametrize("build", [Normalized, NormalizedWithZeroHead])
def test_a_module_that_mixes_samples_is_computed_whole(build):
    parts, whole = _both(build)
    assert parts.at_once == 0
    assert parts.layers["head"].backward == whole.layers["head"].backward


@pytest.mark.parametrize("part", [nn.BatchNorm1d(8), nn.Dropout(0.1)])
def test_what_is_known_to_mix_or_to_draw_is_not_split(part):
    assert not rows_module.may_split(nn.Sequential(nn.Linear(8, 8), part), 4)


def test_the_same_is_found_with_parts():
    with (
        mock.patch.object(rows_module, "LARGE", 0),
        mock.patch.object(first_module, "at_once", return_value=1),
    ):
        parts = inspect_model(Model, rows)
    whole = inspect_model(Model, rows)
    assert parts.wakes == whole.wakes
    assert [(each.check, each.severity, each.parameters) for each in parts.findings] == [
        (each.check, each.severity, each.parameters) for each in whole.findings
    ]


def test_parts_that_cannot_change_the_answer_are_left_out():
    """Behind a head of zeros all wake at step 2, in its first part. Each seed has a first step."""
    used = []

    def counted(batch, size):
        for number, part in enumerate(split(batch, size)):
            used.append(number)
            yield part

    with (
        mock.patch.object(rows_module, "LARGE", 0),
        mock.patch.object(first_module, "at_once", return_value=4),
        mock.patch.object(waking, "split", counted),
    ):
        parts = inspect_model(innocent.zero_head, rows)
    assert used == [0, 0, 1, 2, 3]  # step 2 of the first seed, then step 1 of the second
    assert parts.wakes == inspect_model(innocent.zero_head, rows).wakes
    assert {*parts.wakes.values()} == {1, 2}


def test_a_batch_is_split_with_shares():
    batch = (torch.arange(7), torch.arange(3))
    parts = split(batch, 3)
    assert [len(part[0]) for part, _ in parts] == [3, 3, 1]
    assert [share for _, share in parts] == [3 / 7, 3 / 7, 1 / 7]
    assert all(part[1] is batch[1] for part, _ in parts)
    assert split(batch, 0) == [(batch, 1.0)]


def test_a_direction_keeps_what_an_earlier_part_gave():
    known = torch.tensor([1, 0, -1], dtype=torch.int8)
    new = torch.tensor([-1, 1, 0], dtype=torch.int8)
    assert merged(known, new).tolist() == [1, 1, -1]
    assert merged(None, new) is new
