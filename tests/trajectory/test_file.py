"""The reference's file: read back as written, and refused if it is damaged."""

from __future__ import annotations

import json

import pytest
import torch

from initcheck.trajectory import TrajectoryError, unchanged
from initcheck.trajectory.file import read, write
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.recording import made
from tests.helpers.loops import small


@pytest.fixture(scope="module")
def reference():
    made_now, _ = made(Loop(small, "small"), steps=4, seeds=[0, 3], reason="a test")
    return made_now


@pytest.fixture
def file(reference, tmp_path):
    write(reference, tmp_path / "r.json")
    return tmp_path / "r.json"


def test_a_reference_is_read_as_it_was_written(reference, file):
    found = read(file)
    for key in ("name", "steps", "seeds", "judged", "settings", "environment", "draws", "date"):
        assert getattr(found, key) == getattr(reference, key), key
    assert torch.equal(found.losses, reference.losses)
    assert list(found.tensors) == list(reference.tensors)
    for name, each in reference.tensors.items():
        off = (found.tensors[name].ways - each.ways).abs().amax((0, 2))
        assert (off <= each.envelope / 30).all(), name
        assert torch.allclose(found.tensors[name].envelope, each.envelope, rtol=5e-3)
        assert torch.allclose(found.tensors[name].start, each.start, rtol=1e-8)


def test_each_tensor_has_a_line(file):
    lines = file.read_text().splitlines()
    assert sum(line.startswith('  "0.weight": {"shape": "(8, 6) float32"') for line in lines) == 1


def test_a_reference_is_small(file):
    assert len(file.read_bytes()) < 12_000


def test_absent_numbers_survive(reference, tmp_path):
    other = made(Loop(small, "small"), steps=4, seeds=[0], reason="a test")[0]
    other.tensors["0.bias"].ways[:, 0] = torch.nan
    other.tensors["0.bias"].envelope[0] = torch.inf
    write(other, tmp_path / "r.json")
    found = read(tmp_path / "r.json").tensors["0.bias"]
    assert found.ways[:, 0].isnan().all()
    assert found.envelope[0] == torch.inf


def _changed(file, change):
    plain = json.loads(file.read_text())
    change(plain)
    file.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.pop("losses"), r"is damaged: \$: 'losses' is a required property"),
        (lambda p: p.update(steps=0), "is damaged"),
        (lambda p: p.update(steps="4"), "is damaged"),
        (lambda p: p.update(schema=2), "has schema 2, and this version of initcheck reads 1"),
        (lambda p: p.update(kind="else"), "is no reference of a training loop"),
        (lambda p: p["losses"].pop(), "losses does not have 2 seeds and 4 steps"),
        (lambda p: p["losses"][0].pop(), "losses does not have 2 seeds and 4 steps"),
        (lambda p: p["tensors"]["0.bias"]["ways"].pop(), "0.bias does not have 2 seeds"),
        (lambda p: p["tensors"]["0.bias"]["ways"][0].pop(), "0.bias does not have 2 seeds"),
        (lambda p: p["tensors"]["0.bias"]["ways"][0][0].pop(), "0.bias does not have 2 seeds"),
        (lambda p: p["tensors"]["0.bias"]["envelope"].append(1), "0.bias does not have 2 seeds"),
        (lambda p: p["tensors"].clear(), "is damaged"),
        (lambda p: p["environment"].pop("torch"), "is damaged"),
        (lambda p: p.update(extra=1), "is damaged"),
    ],
)
def test_a_damaged_file_is_refused(file, change, sentence):
    _changed(file, change)
    with pytest.raises(TrajectoryError, match=sentence):
        unchanged(small, file=file)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Move it away"),
        (b"{", "Move it away"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[1]", "is no reference"),
        (b"[" * 100_000, "nested too deeply|Move it away"),
        (b'{"kind": 1, "kind": 2}', "twice"),
        (b'{"kind": NaN}', "Move it away"),
    ],
)
def test_what_is_no_reference_is_refused(tmp_path, content, sentence):
    file = tmp_path / "r.json"
    file.write_bytes(content)
    with pytest.raises(TrajectoryError, match=sentence):
        unchanged(small, file=file)
    with pytest.raises(TrajectoryError, match=sentence):
        unchanged(small, file=file, record="why")
    assert file.read_bytes() == content


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(TrajectoryError, match="cannot be read"):
        unchanged(small, file=tmp_path)
