"""`initcheck report` and `initcheck compare`, on results files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initcheck.cli.main import main
from initcheck.results import read, write
from tests.helpers.results import drifted, example, passing, probe, refuted, result


@pytest.fixture
def files(tmp_path):
    """Results files of two runs; the second run has one more claim."""
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    write(paths[0], example(passing(), drifted()))
    write(paths[1], example(passing(), drifted(), refuted()))
    return [str(path) for path in paths]


def test_a_report_of_several_runs_is_one_page(files, tmp_path):
    page = tmp_path / "page.html"
    assert main(["report", *files, "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "run 1" in text
    assert "run 2" in text


def test_a_page_in_a_folder_that_does_not_exist_is_refused(files, tmp_path, capsys):
    assert main(["report", *files, "--html", str(tmp_path / "typo" / "page.html")]) == 4
    assert f"There is no folder {tmp_path / 'typo'}. Create it, or" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("numbers", [(0,), (0, 0), (0, 1, 1)])
def test_runs_are_compared_with_others_only(files, capsys, numbers):
    assert main(["compare", *(files[number] for number in numbers)]) == 4
    assert "compare needs the results of at least two runs" in capsys.readouterr().err


def test_a_report_without_a_page_prints_one_run_after_the_other(files, capsys):
    assert main(["report", *files]) == 0
    output = capsys.readouterr().out
    assert "verdicts: 1 pass, 1 drifted\n" in output
    assert "verdicts: 1 pass, 1 drifted, 1 refuted\n" in output
    assert output.count("torch 2.14.1") == 2


def test_a_report_shows_every_claim_only_on_request(tmp_path, capsys):
    file = tmp_path / "many.json"
    write(file, example(*(result(f"claim_{n}", probe()) for n in range(20))))
    assert main(["report", str(file)]) == 0
    assert capsys.readouterr().out.count("[cpu]  1.2 s  pass") == 3
    assert main(["report", str(file), "-v"]) == 0
    assert capsys.readouterr().out.count("[cpu]  1.2 s  pass") == 20


def test_a_report_is_printed_as_markdown(files, capsys):
    assert main(["report", files[1], "--markdown"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("## initcheck: 1 pass, 1 drifted, 1 refuted\n")
    assert "|verdict|claim|comparison|treated|" in output


def test_annotations_name_each_claim_that_is_not_green(files, tmp_path, capsys):
    assert main(["report", files[1], "--annotations"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert len(output) == 2
    assert all(line.startswith("::error ") for line in output)
    write(tmp_path / "green.json", example(passing()))
    assert main(["report", str(tmp_path / "green.json"), "--annotations"]) == 0
    assert capsys.readouterr().out == ""


def test_a_page_that_cannot_be_written_is_refused(files, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["report", *files, "--html", str(tmp_path / "file" / "page.html")]) == 4
    assert "The page was not written" in capsys.readouterr().err


def test_a_comparison_names_files_and_counts_verdicts(files, capsys):
    assert main(["compare", *files]) == 0
    output = capsys.readouterr().out
    assert all(file in output for file in files)
    assert "he_beats_randn" not in output
    assert output.rstrip().endswith(
        "2 claims in all 2 files: 2 agree, 0 differ, 0 of them in the verdict"
    )
    assert main(["compare", *files, "--all"]) == 0
    assert "he_beats_randn" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_broken_results_file_is_refused_in_a_sentence(command, files, tmp_path, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert main([command, files[0], str(broken)]) == 4
    assert f"initcheck: {broken} is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_command_without_files_is_refused(command):
    with pytest.raises(SystemExit) as exited:
        main([command])
    assert exited.value.code == 4


def test_a_changed_verdict_fails_only_if_that_is_requested(files, tmp_path, capsys):
    changed = tmp_path / "changed.json"
    run = read(files[0])
    first, *others = run.results
    write(changed, replace(run, results=[replace(first, verdict="refuted"), *others]))
    assert main(["compare", files[0], files[0], "--fail-on-change"]) == 0
    assert main(["compare", *files, "--fail-on-change"]) == 1  # one claim is in the second only
    assert main(["compare", files[0], str(changed)]) == 0
    assert main(["compare", files[0], str(changed), "--fail-on-change"]) == 1
    assert "1 of them in the verdict" in capsys.readouterr().out
