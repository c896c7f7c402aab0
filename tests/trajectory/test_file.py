"""The reference's file: read back as written, and refused if it is damaged."""

from __future__ import annotations

import json
import os

import pytest
import torch

from initcheck.trajectory import TrajectoryError, unchanged
from initcheck.trajectory.file import read, write
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.recording import made
from initcheck.trajectory.writable import demand_writable
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
    other.tensors["0.bias"].envelope[-1] = torch.inf
    write(other, tmp_path / "r.json")
    found = read(tmp_path / "r.json").tensors["0.bias"]
    assert found.ways[:, 0].isnan().all()
    assert found.envelope[-1] == torch.inf
    assert found.envelope[0].isfinite()


def _put(values, place, value):
    values[place] = value


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
        (lambda p: p["tensors"]["0.bias"]["envelope"].append(1), "0.bias does not have 2 seeds"),
        (lambda p: p["tensors"].clear(), "is damaged"),
        (lambda p: p.update(judged=[0, 1, 2, 99]), r"judged is \[0, 1, 2, 99\], and of 4 steps"),
        (lambda p: p["judged"].reverse(), r"judged is \[3, 2, 1, 0\], and of 4 steps"),
        (lambda p: p.update(steps=9), r"judged is \[0, 1, 2, 3\], and of 9 steps"),
        (lambda p: _put(p["loss envelope"], 1, 0), "loss envelope has a number that is not above"),
        (lambda p: _put(p["loss envelope"], 1, -1e-6), "is damaged: .*-1e-06 is less than the min"),
        (
            lambda p: _put(p["loss envelope"], 3, 1e-9),
            "the envelope of the losses becomes narrow",
        ),
        (lambda p: _put(p["tensors"]["0.bias"]["envelope"], 3, 0), "the envelope of 0.bias becom"),
        (lambda p: _put(p["tensors"]["0.bias"]["envelope"], 0, None), "the envelope of 0.bias bec"),
        (lambda p: _put(p["tensors"]["0.bias"]["ways"][0][2], -1, -1), "0.bias has the length -1"),
        (lambda p: _put(p["tensors"]["0.bias"]["ways"][0][2], 0, None), "0.bias is there in part"),
        (lambda p: p["tensors"]["0.bias"]["ways"][0][0].pop(), r"its sketches have \[4, 5\] num"),
        (lambda p: p["layers"]["0"]["sketch"].pop(), r"its sketches have \[4, 5\] numbers"),
        (lambda p: p["batch"][0][0].pop(), r"its sketches have \[4, 5\] numbers"),
        (lambda p: p["batch"][0].append(p["batch"][0][0]), "batch does not have 2 seeds"),
        (lambda p: p["settings"].update({"2": {}}), r"settings has the steps \['0', '2', '3'\]"),
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


def test_a_file_is_asked_for_before_a_recording_runs(tmp_path):
    calls = []

    def counted(seed):
        calls.append(seed)
        yield from small(seed)

    with pytest.raises(TrajectoryError, match=r"none\.json cannot be written: "):
        unchanged(counted, file="/proc/none.json", steps=2, seeds=1, record="why")
    assert calls == []
    unchanged(counted, file=tmp_path / "new" / "r.json", steps=2, seeds=1, record="why")
    assert (tmp_path / "new" / "r.json").is_file()  # missing folders are made


def test_asking_changes_no_file_and_opens_no_pipe(tmp_path):
    (tmp_path / "old").write_text("old")
    os.mkfifo(tmp_path / "pipe")
    for name in ("old", "new", "pipe", "folder/new"):
        demand_writable(tmp_path / name)  # to open the pipe would wait for a reader
    assert (tmp_path / "old").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old", "pipe"]
    with pytest.raises(TrajectoryError, match="it is a folder"):
        demand_writable(tmp_path)
