"""Innocent changes take effect and are undone; another machine's evidence is judged by ours."""

from __future__ import annotations

import json

import pytest
import torch

from initcheck import arms as recipes
from initcheck.devices import forks
from initcheck.envelope.fingerprints import BEYOND
from initcheck.error_rates import other_machines, page
from initcheck.faults.innocent import INNOCENT
from initcheck.training import train as training
from tests.helpers.error_rates import baselines_in
from tests.helpers.error_rates import run as run_of
from tests.helpers.evidence import REFERENCE, comparison, evidence


@pytest.fixture
def baselines(tmp_path):
    return baselines_in(tmp_path)


# --- innocent changes -----------------------------------------------------------------------------


def test_float64_computes_in_float64_and_is_undone():
    with INNOCENT["float64"].apply():
        assert recipes.DTYPES["float32"] == torch.float64
    assert recipes.DTYPES["float32"] == torch.float32


def test_threads_are_used_and_restored():
    seen = []
    before = torch.get_num_threads()
    with INNOCENT["threads"].apply():
        part = slice(0, 1)
        training.run_all(lambda _: seen.append(torch.get_num_threads()), [part], 1)
        assert not forks.supported()  # nothing is trained elsewhere, on one thread
    training.run_all(lambda _: seen.append(torch.get_num_threads()), [part], 1)
    assert seen == [2, 1]
    assert torch.get_num_threads() == before


def test_onednn_and_chunks_are_changed_and_restored():
    with INNOCENT["no-onednn"].apply():
        assert not torch._C._get_mkldnn_enabled()
    assert torch._C._get_mkldnn_enabled()
    with INNOCENT["chunks-1"].apply():
        assert len(training.chunks(4, torch.nn.Linear(2, 2), "cpu")) == 4
    assert len(training.chunks(4, torch.nn.Linear(2, 2), "cpu")) == 1


# --- another machine's evidence -------------------------------------------------------------------


def folder_of_evidence(folder, losses, envelope=1e-6, ways=None, **environment):
    """A folder with evidence of one claim whose two arms have these losses and ways."""
    record = json.loads(evidence("sun_rises[always]", accuracy=comparison([0.9] * 64)))
    entry = record["environments"][0]
    entry["environment"] |= environment
    reference = {"seeds": [1], "steps": [0, 1], "losses": [losses], "envelope": [envelope] * 2}
    for arm in entry["arms"].values():
        arm["reference"] = REFERENCE | reference | ({"ways": ways} if ways else {})
    folder.mkdir()
    (folder / "sun_rises[always].json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("losses", "r"), [([1.0, 0.5], 0.0), ([1.0, 0.5 + 2e-6], 4.0), ([1.0, 1e300], BEYOND)]
)
def test_other_evidence_is_judged_by_our_envelopes(tmp_path, losses, r):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5])
    there = folder_of_evidence(tmp_path / "there", losses, envelope=1.0, device="an old abacus")
    run = other_machines.judge(there, here)
    assert (run.kind, run.name, run.machine) == ("elsewhere", "an-old-abacus", "an old abacus")
    assert set(run.arms) == {"sun_rises[always]"}
    assert list(run.arms["sun_rises[always]"].values()) == pytest.approx([r, r], rel=1e-6)


def way(product, steps=2):
    """A way of one seed and one product, with an envelope of a thousandth of it."""
    return {"sketches": [[[product, 1.0]] * steps], "envelope": [1e-3] * steps}


@pytest.mark.parametrize(
    ("ours", "theirs", "r"),
    [
        ({"w": way(1.0)}, {"w": way(1.003)}, 3.0),
        ({"w": way(1.0)}, {"w": way(1.0)}, 0.5),  # the losses are half an envelope apart
        ({"w": way(1.0)}, {"w": way(9.0, steps=1)}, 0.5),
        ({"w": way(1.0)}, {"v": way(9.0)}, 0.5),
        ({"w": way(1.0)}, None, 0.5),
        (None, {"w": way(1.0)}, 0.5),
    ],
)
def test_tensors_of_other_evidence_are_judged_if_both_have_the_same(tmp_path, ours, theirs, r):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5], ways=ours)
    there = folder_of_evidence(tmp_path / "there", [1.0, 0.5 + 0.25e-6], ways=theirs)
    found = other_machines.judge(there, here).arms["sun_rises[always]"].values()
    assert list(found) == pytest.approx([r, r], rel=1e-6)


def test_other_evidence_of_other_seeds_is_not_judged(tmp_path):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5])
    there = folder_of_evidence(tmp_path / "there", [1.0, 0.5])
    path = next(there.glob("*.json"))
    path.write_text(path.read_text().replace('"seeds": [1], "steps"', '"seeds": [2], "steps"'))
    assert {*other_machines.judge(there, here).arms["sun_rises[always]"].values()} == {None}


def test_folders_without_a_common_arm_are_refused(tmp_path):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5])
    with pytest.raises(ValueError, match="no arm in common"):
        other_machines.judge(tmp_path, here)


def test_page_names_the_farthest_arms_of_other_evidence(baselines):
    arms = {"sun_rises": {"warm": 2.5, "cold": 0.0, "cloudy": None}}
    text = page.page([run_of("elsewhere", "an-old-abacus", arms=arms)], baselines)
    assert "2 arms were judged.\n1 of them differ at all, 1 by more than one" in text
    assert "| sun_rises | warm | 2.5 |" in text
