"""The folder of baselines: names of files, storing, and locks."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from initcheck.baselines import layout, lock
from initcheck.baselines.evidence import (
    BaselineError,
    merged,
    read_evidence,
    stem_of,
)
from initcheck.baselines.folder import Baselines
from initcheck.baselines.lock import alone
from tests.helpers.baselines import (
    CPU,
    H200,
    REFERENCE,
    entry,
    written,
)

# --- names of files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "name"),
    [
        ("a_claim[float32-adam]", "a_claim[float32-adam].json"),
        ("a_claim[../../../escape]", "a_claim[..%2F..%2F..%2Fescape].json"),
        ("a_claim[C:\\x]", "a_claim[C%3A%5Cx].json"),
        ("a_claim[a\x00b\n]", "a_claim[a%00b%0A].json"),
        ("a_claim[50%, 2 x é]", "a_claim[50%, 2 x é].json"),
    ],
)
def test_evidence_stays_in_its_folder_whatever_the_id(tmp_path, claim_id, name):
    baselines = Baselines(tmp_path / "baselines")
    path = baselines.store(claim_id, entry())
    assert path == tmp_path / "baselines" / "evidence" / name
    assert [each.name for each in tmp_path.iterdir()] == ["baselines"]
    assert baselines.path(path.stem) == path  # a name found in the folder is an id, too
    assert Baselines(tmp_path / "baselines").evidence(claim_id) == read_evidence(path)


def test_an_id_too_long_for_a_file_is_refused(tmp_path):
    with pytest.raises(BaselineError, match=r"has an id of 309 characters.*shorter ids"):
        Baselines(tmp_path).evidence(f"a_claim[{'x' * 300}]")


def test_every_file_name_of_this_project_stays_as_it_is():
    paths = Baselines(Path(__file__).parents[2] / "baselines").files()
    assert len(paths) > 100
    assert all(stem_of(path.stem) == path.stem for path in paths)


# --- the folder ---------------------------------------------------------------------------------


def test_stored_evidence_is_read_back_exactly(tmp_path):
    made = entry()
    made["comparisons"]["loss"]["treated"] = [0.1 + 0.2, 1 / 3, 5e-324]
    made["arms"]["A"]["seeds"] = [1, 2, 3]
    Baselines(tmp_path).store("a_claim[relu]", made)
    path = tmp_path / "evidence" / "a_claim[relu].json"
    assert read_evidence(path) == Baselines(tmp_path).evidence("a_claim[relu]")
    (back,) = read_evidence(path)["environments"]
    assert back["comparisons"]["loss"]["treated"] == [0.1 + 0.2, 1 / 3, 5e-324]
    assert json.loads(path.read_text()) == json.loads(
        json.dumps(json.loads(path.read_text()), sort_keys=True)
    )
    assert list(json.loads(path.read_text())) == ["claim", "environments", "schema"]


def test_a_recording_with_sketches_replaces_one_without_and_keeps_its_origin(tmp_path):
    old, new = entry(), entry(date="2026-03-01")
    for arm in old["arms"].values():
        arm["reference"].pop("ways", None)  # both arms may share one reference
    baselines = Baselines(tmp_path)
    baselines.store("a_claim", old)
    (back,) = read_evidence(baselines.store("a_claim", new))["environments"]
    assert back["arms"]["A"]["reference"]["ways"] == REFERENCE["ways"]
    assert back["origin"] == old["origin"]


def test_rows_of_numbers_have_a_line_each(tmp_path):
    """So a changed number is a changed line, and files are short."""
    lines = Baselines(tmp_path).store("a_claim", entry()).read_text().splitlines()
    assert "[0.5, -0.1, 0.4]," in [line.strip() for line in lines]


def test_a_long_row_has_a_line_per_number():
    numbers = [1 / (n + 3) for n in range(20)]
    assert json.loads(layout.text(numbers)) == numbers
    assert len(layout.text(numbers).splitlines()) == 22
    assert layout.text([]) == "[]"
    with pytest.raises(ValueError, match="not JSON compliant"):
        layout.text([math.nan])


def test_store_sees_what_another_process_recorded(tmp_path):
    one, two = Baselines(tmp_path), Baselines(tmp_path)
    assert one.evidence("a_claim") is None
    two.store("a_claim", H200)
    one.store("a_claim", CPU)
    entries = read_evidence(one.path("a_claim"))["environments"]
    assert [e["environment"]["device type"] for e in entries] == ["cpu", "cuda"]


def test_store_waits_while_another_process_stores(tmp_path):
    one, two = Baselines(tmp_path), Baselines(tmp_path)
    with ThreadPoolExecutor(1) as elsewhere:
        with alone(tmp_path):
            waiting = elsewhere.submit(one.store, "a_claim", CPU)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            old = {"schema": 1, "claim": "a_claim", "environments": []}
            two.write(
                "a_claim", merged(old, H200)
            )  # as if this process had read before the other one stored
        waiting.result()
    entries = read_evidence(one.path("a_claim"))["environments"]
    assert [e["environment"]["device type"] for e in entries] == ["cpu", "cuda"]


RECORDING = """
import json, sys
from pathlib import Path
from initcheck.baselines.folder import Baselines
folder, entry = Path(sys.argv[1]), json.loads(sys.argv[2])
for _ in range(20):
    Baselines(folder).store("a_claim", entry)
"""


def test_three_recordings_at_once_keep_all_evidence(tmp_path):
    """Each stores the evidence of its device again and again, in one file."""
    names = ("A100", "H200", "V100")
    recordings = [
        subprocess.Popen(
            [sys.executable, "-c", RECORDING, str(tmp_path), json.dumps(entry("cuda", name))],
            cwd=Path(__file__).parents[2],
        )
        for name in names
    ]
    assert [recording.wait() for recording in recordings] == [0, 0, 0]
    entries = read_evidence(Baselines(tmp_path).path("a_claim"))["environments"]
    assert [each["environment"]["device"] for each in entries] == [*names]


def test_folders_do_not_wait_for_each_other(tmp_path):
    with alone(tmp_path / "one"):
        Baselines(tmp_path / "two").store("a_claim", CPU)
    assert Baselines(tmp_path / "two").files()


def test_a_folder_that_cannot_be_locked_is_guarded_by_a_file(tmp_path, monkeypatch):
    """Some network file systems lock no folders."""
    monkeypatch.setattr(lock, "_locked", lambda folder: None)
    test_store_waits_while_another_process_stores(tmp_path)


def test_no_lock_file_remains(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    Baselines(tmp_path / "one").store("a_claim", CPU)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["evidence"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_evidence_of_another_claim_is_refused(tmp_path):
    Baselines(tmp_path).store("a_claim", CPU)
    path = Baselines(tmp_path).path("a_claim")
    other = path.rename(path.with_name("another_claim.json"))
    with pytest.raises(BaselineError, match="of the claim 'a_claim', but its name says 'another_"):
        read_evidence(other)


def test_invalid_evidence_is_not_stored(tmp_path):
    baselines = Baselines(tmp_path)
    baselines.store("a_claim", CPU)
    before = baselines.path("a_claim").read_bytes()
    with pytest.raises(BaselineError):
        baselines.store("a_claim", entry() | {"date": "soon"})
    assert baselines.path("a_claim").read_bytes() == before


def test_registered_counts_three_per_comparison(tmp_path):
    written(tmp_path)
    assert Baselines(tmp_path).registered == 3  # without evidence, one per limit
    baselines = Baselines(tmp_path)
    for name in ("a_claim[relu]", "a_claim[celu]"):
        baselines.store(name, entry())
    assert Baselines(tmp_path).registered == 6  # one per limit and parameter
    baselines.store("a_claim[relu]", H200)
    assert Baselines(tmp_path).registered == 6  # error rates are stated per device
