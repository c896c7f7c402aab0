"""Recording in parts gives the evidence of a single recording, and merging keeps all of it."""

from __future__ import annotations

import builtins
import json
import sys

import pytest

from initcheck.baselines.checks import digest
from initcheck.baselines.evidence import BaselineError, read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.claims import Claim
from initcheck.cli import record
from initcheck.cli.main import main
from tests.helpers import projects

ANOTHER = projects.CLAIMS.replace("test_zeros_stay", "test_zeros_remain")
REMAIN = projects.limit("zeros_remain", "weight_magnitude", "max = 0")
CLAIMS = ["zeros_stay", "zeros_remain"]
WHEN_AND_WHY = ("reason", "date", "commit", "digest")  # these differ between two recordings


@pytest.fixture
def two(project, monkeypatch):
    """A project with two files of one claim each."""
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
    """The evidence of a folder by claim, without reason, date, commit and number of threads."""
    files = {path.stem: read_evidence(path) for path in Baselines(folder).files()}
    return {
        claim: [
            {k: v for k, v in entry.items() if k not in WHEN_AND_WHY}
            | {"environment": entry["environment"] | {"threads": 0}}
            for entry in evidence["environments"]
        ]
        for claim, evidence in files.items()
    }


def claims(*files):
    """One claim in each of these files."""
    return [Claim(f"in_{file}", "exact", "a test", "so", file, 1) for file in files]


def test_each_file_is_in_one_shard(tmp_path):
    every = claims("a", "a", "b", "c", "d", "e")
    parts = [record.jobs(every, [], tmp_path, shard=(i, 3)) for i in (1, 2, 3)]
    assert [[job.file for job in part] for part in parts] == [["a", "d"], ["b", "e"], ["c"]]
    assert parts[0][0].claims == ("in_a", "in_a")


def test_jobs_share_the_cores_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "CORES", 8)
    assert [j.threads for j in record.jobs(claims("a"), [], tmp_path, workers=3)] == [2]
    assert [j.threads for j in record.jobs(claims("a"), [], tmp_path, workers=9)] == [1]


def test_two_merged_shards_equal_one_recording(two, capsys):
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


def test_equal_evidence_is_recorded_again(two, capsys):
    two.run("--initcheck-record=why", "test_claims.py")
    assert main(["record", "why", "test_claims.py"]) == 0
    assert "not of" not in capsys.readouterr().out


def test_a_refuted_claim_is_named_and_not_recorded(two, capsys):
    two.limits(projects.ZEROS_STAY + REMAIN.replace("max = 0", "min = 0.1"))
    assert main(["record", "why", "test_more_claims.py"]) == 1
    output = capsys.readouterr().out
    assert "test_more_claims.py: evidence of 0 claims; not of zeros_remain" in output
    assert "REFUTED" in output
    assert not two.evidence("zeros_remain").exists()


def test_a_skipped_claim_is_named_and_the_exit_code_is_0(two, capsys):
    skipped = ANOTHER.replace("@claim", "import pytest\n@pytest.mark.skip\n@claim")
    two.claims(skipped, name="test_more_claims")
    assert main(["record", "why", "test_more_claims.py"]) == 0
    output = capsys.readouterr().out
    assert "test_more_claims.py: evidence of 0 claims; skipped zeros_remain" in output


FULL = """
import pytest

@pytest.fixture
def full_scale(initcheck_session):
    if initcheck_session.settings.scale != "full":
        pytest.skip()
"""


def test_a_claim_of_full_scale_is_recorded_with_scale_full(two, capsys):
    two.claims(FULL + ANOTHER.replace("(verdict)", "(verdict, full_scale)"), "test_more_claims")
    assert main(["record", "why", "test_more_claims.py"]) == 0
    assert "evidence of 0 claims; skipped zeros_remain" in capsys.readouterr().out
    assert main(["record", "why", "test_more_claims.py", "--scale", "full"]) == 0
    assert two.evidence("zeros_remain").exists()


def test_recording_is_refused_in_ci(two, monkeypatch, capsys):
    monkeypatch.setenv("CI", "1")
    assert main(["record", "why", "."]) == 4
    assert "record is refused where CI is set" in capsys.readouterr().err


def test_a_variable_ci_that_says_no_is_not_ci(two, monkeypatch, capsys):
    monkeypatch.setenv("CI", "false")
    assert main(["record", "why", "nowhere"]) == 4
    assert "There is no file or folder nowhere." in capsys.readouterr().err


@pytest.fixture
def recorder(two, monkeypatch):
    """A project with two files of claims, and a list of the files that would be recorded."""
    started = []
    monkeypatch.setattr(record, "run", lambda job: started.append(job.file))
    return two, started


def test_baselines_without_limits_are_refused(recorder, capsys):
    two, started = recorder
    assert main(["record", "why", ".", "--baselines", str(two.path / "nope")]) == 4
    assert "nope holds no limits.toml" in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize("out", ["pytest.ini", "pytest.ini/below"])
def test_a_folder_that_cannot_be_written_is_refused_before_training(recorder, capsys, out):
    _, started = recorder
    assert main(["record", "why", ".", "--out", out]) == 4
    assert f"Evidence cannot be written to {out}: " in capsys.readouterr().err
    assert started == []


def test_evidence_that_cannot_be_written_is_reported_in_a_sentence(two, monkeypatch, capsys):
    def full(done, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "run", lambda job: record.Done(job.file, {}, (), (), ""))
    monkeypatch.setattr(record, "keep", full)
    assert main(["record", "why", "."]) == 4
    assert "The evidence was not written: [Errno 28] No space" in capsys.readouterr().err


def test_an_option_that_pytest_refuses_stops_at_the_first_file(two, capsys):
    assert main(["record", "why", ".", "--device", "nonsense"]) == 4
    output = capsys.readouterr().out
    assert "nonsense" in output
    assert output.count("evidence of 0 claims; not of") == 1


@pytest.mark.parametrize(
    "wrong", [("--shard", "3/2"), ("--shard", "0/2"), ("--shard", "one"), ("--jobs", "0")]
)
def test_a_wrong_option_is_refused(wrong, capsys):
    with pytest.raises(SystemExit) as exited:
        main(["record", "why", *wrong])
    assert exited.value.code == 4
    assert wrong[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (" ", "a reason is needed, in quotes"),
        ("benchmarks/test_x.py", "'benchmarks/test_x.py' is a path"),
        ("test_x.py::test_claim", 'initcheck record "why" test_x.py::test_claim\n'),
        ("benchmarks/", "is a path"),
        ("test_claims.py", "is a path"),
        ("baselines", "is a path"),
    ],
)
def test_a_missing_reason_is_refused(two, capsys, reason, words):
    with pytest.raises(SystemExit) as exited:
        main(["record", reason])
    assert exited.value.code == 4
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["why", "torch 2.15/CUDA 13", "see notes.py for the reason"])
def test_a_reason_in_words_is_accepted(two, monkeypatch, reason):
    options = []
    monkeypatch.setattr(record, "run_all", lambda jobs, *_: options.extend(jobs[0].options) or [])
    assert main(["record", reason, "."]) == 0
    assert options == [f"--initcheck-record={reason}"]


def test_a_missing_dask_is_reported_with_the_command_that_installs_it(monkeypatch):
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
    """A project whose evidence was recorded into the folder part."""
    (two.path / "part").mkdir()
    (two.path / "part" / "limits.toml").write_text(projects.ZEROS_STAY + REMAIN)
    two.run("--initcheck-record=first", "--initcheck-baselines=part")
    return two


def rewritten(path, change):
    """Write the evidence of this file again, with a change."""
    evidence = json.loads(path.read_text())
    entry = evidence["environments"][0]
    change(entry)
    entry["digest"] = digest(entry)  # a change that is meant, unlike damage
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


def test_a_target_without_limits_is_refused_and_not_created(parts, capsys):
    assert main(["merge", "part", "--baselines", "typo"]) == 4
    assert "typo holds no limits.toml" in capsys.readouterr().err
    assert not (parts.path / "typo").exists()


def test_a_shard_without_claims_can_be_merged(parts, capsys):
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
    """Move the outcomes away from those first recorded, as on a machine that lacks these."""
    for known in entry["origin"].values():
        known["control_mean"] *= 2


def test_outcomes_far_from_the_origin_need_a_reason(parts, capsys):
    main(["merge", "part"])
    before = parts.evidence("zeros_stay").read_bytes()
    rewritten(parts.path / "part" / "evidence" / "zeros_stay.json", shift)
    assert main(["merge", "part"]) == 4
    error = capsys.readouterr().err
    assert "in the first recording of" in error
    assert "give the reason with --accept-drift REASON" in error
    assert parts.evidence("zeros_stay").read_bytes() == before
    assert main(["merge", "part", "--accept-drift", "another start"]) == 0
    (entry,) = read_evidence(parts.evidence("zeros_stay"))["environments"]
    assert [drift["reason"] for drift in entry["accepted"]] == ["another start"]


def accepted(entry):
    """Add what a recording with --accept-drift adds to this evidence."""
    (key,) = entry["comparisons"]
    means = entry["origin"][key] | {"control_mean": 7.0}
    entry["accepted"] = [{"comparison": key, "reason": "meant", "means": means}]


def test_a_drift_accepted_while_recording_needs_no_second_reason(parts):
    main(["merge", "part"])
    rewritten(parts.path / "part" / "evidence" / "zeros_stay.json", accepted)
    assert main(["merge", "part"]) == 0
    (entry,) = read_evidence(parts.evidence("zeros_stay"))["environments"]
    assert [drift["reason"] for drift in entry["accepted"]] == ["meant"]
