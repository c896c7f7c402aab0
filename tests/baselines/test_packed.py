"""A wheel's packed evidence is read as a folder of evidence is."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import pytest

from initcheck.baselines.evidence import BaselineError
from initcheck.baselines.folder import Baselines
from initcheck.baselines.packed import NAME, pack

SHIPPED = Path(__file__).parents[2] / "baselines"
STEMS = ["he_beats_randn", "all_zero_convolutions_stay_zero[adam]"]


@pytest.fixture
def both(tmp_path):
    """Baselines with a folder of evidence, and the same with a packed file in its place."""
    one, other = tmp_path / "one", tmp_path / "other"
    (one / "evidence").mkdir(parents=True)
    other.mkdir()
    for stem in STEMS:
        shutil.copy(SHIPPED / "evidence" / f"{stem}.json", one / "evidence")
    for folder in (one, other):
        shutil.copy(SHIPPED / "limits.toml", folder)
    (other / NAME).write_bytes(pack(one / "evidence"))
    return Baselines(one), Baselines(other)


def test_packed_evidence_is_the_same(both):
    one, other = both
    assert [path.name for path in other.files()] == [path.name for path in one.files()]
    assert len(other.files()) == len(STEMS)
    for stem in STEMS:
        assert other.evidence(stem) == one.evidence(stem) is not None
    assert other.evidence("zeros_stay") is None
    assert other.registered == one.registered


def test_a_folder_of_evidence_goes_before_a_packed_file(both):
    _, other = both
    (other.folder / "evidence").mkdir()
    assert other.files() == []
    assert other.evidence(STEMS[0]) is None


@pytest.mark.parametrize("content", [b"", b"hello", lzma.compress(b"[1,")])
def test_a_damaged_packed_file_is_a_sentence(both, content):
    _, other = both
    (other.folder / NAME).write_bytes(content)
    with pytest.raises(BaselineError, match=r"evidence\.json\.xz cannot be read: it is damaged"):
        other.files()
    with pytest.raises(BaselineError, match="pip install --force-reinstall"):
        other.evidence(STEMS[0])


def test_packed_evidence_of_another_claim_is_refused(both, tmp_path):
    one, other = both
    moved = one.folder / "evidence" / "zeros_stay.json"
    (one.folder / "evidence" / f"{STEMS[0]}.json").rename(moved)
    (other.folder / NAME).write_bytes(pack(one.folder / "evidence"))
    with pytest.raises(BaselineError, match="holds evidence of the claim 'he_beats_randn'"):
        other.evidence("zeros_stay")
