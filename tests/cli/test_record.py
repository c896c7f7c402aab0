"""Recording in parts gives what recording at once gives, and merging loses nothing."""

from __future__ import annotations

import builtins
import json
import sys

import pytest

from initcheck.baselines.evidence import BaselineError, read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.claims import Claim
from initcheck.cli import record
from initcheck.cli.main import main
from tests.helpers import projects

ANOTHER = projects.CLAIMS.replace("test_zeros_stay", "test_zeros_remain")
REMAIN = projects.limit("zeros_remain", "weight_magnitude", "max = 0")
CLAIMS = ["zeros_stay", "zeros_remain"]
WHEN = ("reason", "date", "commit")  # of a recording


@pytest.fixture
def two(project, monkeypatch):
    """Two files of one claim each."""
    project.claims()
    project.claims(ANOTHER, name="test_more_claims")
    project.limits(projects.ZEROS_STAY + REMAIN)
    monkeypatch.chdir(project.path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("INITCHECK_DEVICE", "cpu")
    monkeypatch.setenv("PYTHONPATH", str(projects.ROOT))
    yield project
    for name in ("test_claims", "test_more_claims"):  # listing collects them in this process
        sys.modules.pop(name, None)


def recorded(folder):
    """All evidence of a folder of baselines, without when, why and on how many threads."""
    found = {path.stem: read_evidence(path) for path in Baselines(folder).files()}
    return {
        claim: [
            {k: v for k, v in entry.items() if k not in WHEN}
            | {"environment": entry["environment"] | {"threads": 0}}
            for entry in evidence["environments"]
        ]
        for claim, evidence in found.items()
    }


def claims(*files):
    return [Claim(f"in_{file}", "exact", "a test", "so", file, 1) for file in files]


def test_shards_are_every_nth_file_and_nothing_twice(tmp_path):
    every = claims("a", "a", "b", "c", "d", "e")
    parts = [record.jobs(every, [], tmp_path, shard=(i, 3)) for i in (1, 2, 3)]
    assert [[job.file for job in part] for part in parts] == [["a", "d"], ["b", "e"], ["c"]]
    assert parts[0][0].claims == ("in_a", "in_a")


def test_jobs_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "CORES", 8)
    assert [j.threads for j in record.jobs(claims("a"), [], tmp_path, workers=3)] == [2]
    assert [j.threads for j in record.jobs(claims("a"), [], tmp_path, workers=9)] == [1]


def test_two_shards_merged_are_what_one_recording_writes(two, capsys):
    (two.path / "at_once").mkdir()
    (two.path / "at_once" / "limits.toml").write_text(projects.ZEROS_STAY + REMAIN)
    two.run("--initcheck-record=at once", "--initcheck-baselines=at_once")
    for number in ("1", "2"):
        part = ["--shard", f"{number}/2", "--out", f"part{number}", "--jobs", "2"]
        assert main(["record", "why", ".", *part]) == 0
    assert not two.evidence("zeros_stay").exists()
    assert main(["merge", "part1", "part2"]) == 0
    assert "Evidence of 2 claims was merged into baselines." in capsys.readouterr().out
    assert recorded(two.path / "baselines") == recorded(two.path / "at_once")
    assert sorted(recorded(two.path / "baselines")) == sorted(CLAIMS)
    assert two.run("--initcheck-require-evidence").ret == 0


def test_recording_again_what_is_there_already_is_no_miss(two, capsys):
    two.run("--initcheck-record=why", "test_claims.py")
    assert main(["record", "why", "test_claims.py"]) == 0
    assert "not of" not in capsys.readouterr().out


def test_a_claim_that_does_not_hold_is_named_and_not_recorded(two, capsys):
    two.limits(projects.ZEROS_STAY + REMAIN.replace("max = 0", "min = 0.1"))
    assert main(["record", "why", "test_more_claims.py"]) == 1
    said = capsys.readouterr().out
    assert "test_more_claims.py: evidence of 0 claims; not of zeros_remain" in said
    assert "REFUTED" in said
    assert not two.evidence("zeros_remain").exists()


def test_a_claim_that_is_skipped_is_named_and_nothing_is_wrong(two, capsys):
    skipped = ANOTHER.replace("@claim", "import pytest\n@pytest.mark.skip\n@claim")
    two.claims(skipped, name="test_more_claims")
    assert main(["record", "why", "test_more_claims.py"]) == 0
    said = capsys.readouterr().out
    assert "test_more_claims.py: evidence of 0 claims; skipped zeros_remain" in said


FULL = """
import pytest

@pytest.fixture
def full_scale(initcheck_session):
    if initcheck_session.settings.scale != "full":
        pytest.skip()
"""


def test_a_claim_of_full_scale_is_recorded_where_that_is_asked_for(two, capsys):
    two.claims(FULL + ANOTHER.replace("(verdict)", "(verdict, full_scale)"), "test_more_claims")
    assert main(["record", "why", "test_more_claims.py"]) == 0
    assert "evidence of 0 claims; skipped zeros_remain" in capsys.readouterr().out
    assert main(["record", "why", "test_more_claims.py", "--scale", "full"]) == 0
    assert two.evidence("zeros_remain").exists()


def test_recording_is_refused_in_ci(two, monkeypatch, capsys):
    monkeypatch.setenv("CI", "1")
    assert main(["record", "why", "."]) == 4
    assert "record is refused where CI is set" in capsys.readouterr().err


@pytest.fixture
def untried(two, monkeypatch):
    """Two files of claims, and a list of those that were tried, which must stay empty."""
    tried = []
    monkeypatch.setattr(record, "run", lambda job: tried.append(job.file))
    return two, tried


def test_baselines_without_limits_are_refused(untried, capsys):
    two, tried = untried
    assert main(["record", "why", ".", "--baselines", str(two.path / "nope")]) == 4
    assert "nope holds no limits.toml" in capsys.readouterr().err
    assert tried == []


@pytest.mark.parametrize("out", ["pytest.ini", "pytest.ini/below"])
def test_out_that_cannot_be_a_folder_is_refused_before_training(untried, capsys, out):
    _, tried = untried
    assert main(["record", "why", ".", "--out", out]) == 4
    assert f"{out} cannot take evidence: " in capsys.readouterr().err
    assert tried == []


def test_evidence_that_cannot_be_kept_is_a_sentence(two, monkeypatch, capsys):
    def full(done, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "run", lambda job: record.Done(job.file, {}, (), (), ""))
    monkeypatch.setattr(record, "keep", full)
    assert main(["record", "why", "."]) == 4
    assert "The evidence was not written: [Errno 28] No space" in capsys.readouterr().err


def test_option_that_pytest_refuses_stops_at_the_first_file(two, capsys):
    assert main(["record", "why", ".", "--device", "nonsense"]) == 4
    said = capsys.readouterr().out
    assert "nonsense" in said
    assert said.count("evidence of 0 claims; not of") == 1


@pytest.mark.parametrize(
    "wrong", [("--shard", "3/2"), ("--shard", "0/2"), ("--shard", "one"), ("--jobs", "0")]
)
def test_a_wrong_option_is_refused(wrong, capsys):
    with pytest.raises(SystemExit) as left:
        main(["record", "why", *wrong])
    assert left.value.code == 4
    assert wrong[1] in capsys.readouterr().err


def test_a_reason_is_needed(capsys):
    with pytest.raises(SystemExit) as left:
        main(["record", " "])
    assert left.value.code == 4
    assert "a reason is needed" in capsys.readouterr().err


def test_dask_is_asked_for_where_it_is_missing(monkeypatch):
    imported = builtins.__import__

    def without(name, *more, **named):
        if name == "distributed":
            raise ImportError(name)
        return imported(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BaselineError, match="pip install distributed"):
        list(record.run_all([], 1, "tcp://nowhere:1"))


# --- merging --------------------------------------------------------------------------------------


@pytest.fixture
def parts(two):
    """A recording that lies in a folder of its own."""
    (two.path / "part").mkdir()
    (two.path / "part" / "limits.toml").write_text(projects.ZEROS_STAY + REMAIN)
    two.run("--initcheck-record=first", "--initcheck-baselines=part")
    return two


def rewritten(path, change):
    """The same evidence, changed."""
    evidence = json.loads(path.read_text())
    change(evidence["environments"][0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(evidence))


def test_two_folders_with_the_same_claim_are_refused_and_nothing_is_written(parts, capsys):
    assert main(["merge", "part", "part"]) == 4
    assert "hold evidence of the same claim for the same device" in capsys.readouterr().err
    assert not (parts.path / "baselines" / "evidence").exists()


def test_a_folder_without_evidence_is_refused(parts, capsys):
    (parts.path / "empty").mkdir()
    assert main(["merge", "part", "empty"]) == 4
    assert "empty holds no folder 'evidence' to merge" in capsys.readouterr().err
    assert not (parts.path / "baselines" / "evidence").exists()


def test_a_target_without_limits_is_refused_and_not_made(parts, capsys):
    assert main(["merge", "part", "--baselines", "typo"]) == 4
    assert "typo holds no limits.toml" in capsys.readouterr().err
    assert not (parts.path / "typo").exists()


def test_a_shard_with_nothing_to_record_merges(parts, capsys):
    assert main(["record", "why", ".", "--shard", "40/50", "--out", "last"]) == 0
    assert list((parts.path / "last" / "evidence").iterdir()) == []
    assert main(["merge", "last", "part"]) == 0
    assert "Evidence of 2 claims was merged" in capsys.readouterr().out


def test_evidence_of_another_device_is_added(parts):
    main(["merge", "part"])
    path = parts.path / "part" / "evidence" / "zeros_stay.json"
    device = {"device type": "cuda", "device": "a card"}
    rewritten(path, lambda entry: entry["environment"].update(device))
    assert main(["merge", "part"]) == 0
    environments = read_evidence(parts.evidence("zeros_stay"))["environments"]
    assert [e["environment"]["device type"] for e in environments] == ["cpu", "cuda"]


def shift(entry):
    """Outcomes far from those first recorded, by who recorded without knowing of them."""
    for known in entry["origin"].values():
        known["control_mean"] *= 2


def test_outcomes_far_from_the_origin_need_a_reason(parts, capsys):
    main(["merge", "part"])
    before = parts.evidence("zeros_stay").read_bytes()
    rewritten(parts.path / "part" / "evidence" / "zeros_stay.json", shift)
    assert main(["merge", "part"]) == 4
    said = capsys.readouterr().err
    assert "in the first recording of" in said
    assert "give the reason with --accept-drift REASON" in said
    assert parts.evidence("zeros_stay").read_bytes() == before
    assert main(["merge", "part", "--accept-drift", "another start"]) == 0
    (entry,) = read_evidence(parts.evidence("zeros_stay"))["environments"]
    assert [drift["reason"] for drift in entry["accepted"]] == ["another start"]


def accepted(entry):
    """What a recording with --accept-drift upon this very evidence leaves."""
    (key,) = entry["comparisons"]
    means = entry["origin"][key] | {"control_mean": 7.0}
    entry["accepted"] = [{"comparison": key, "reason": "meant", "means": means}]


def test_a_drift_accepted_where_it_was_recorded_needs_no_second_reason(parts):
    main(["merge", "part"])
    rewritten(parts.path / "part" / "evidence" / "zeros_stay.json", accepted)
    assert main(["merge", "part"]) == 0
    (entry,) = read_evidence(parts.evidence("zeros_stay"))["environments"]
    assert [drift["reason"] for drift in entry["accepted"]] == ["meant"]
