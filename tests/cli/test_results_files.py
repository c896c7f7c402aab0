"""`initcheck report` and `initcheck compare`, on results files."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from initcheck.cli.main import main
from initcheck.results import NotJudged, read, write
from tests.helpers.recorded_runs import good
from tests.helpers.results import drifted, example, passing, probe, refuted, result

ROOT = Path(__file__).parents[2]


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


def test_runs_without_a_claim_in_common_are_refused(tmp_path, capsys):
    one, other = tmp_path / "a.json", tmp_path / "b.json"
    write(one, example(passing()))
    write(other, example(refuted()))
    assert main(["compare", str(one), str(other)]) == 4
    assert "No claim was judged in all 2 runs" in capsys.readouterr().err


def test_a_record_of_a_loop_is_sent_to_its_own_command(files, capsys):
    loop = ROOT / "baselines" / "versions" / "reference-lora.json"
    assert main(["compare", files[0], str(loop)]) == 4
    assert "It is the record of a training loop: `initcheck unchanged`" in capsys.readouterr().err


@pytest.mark.parametrize("link", ["", "symlink_to", "hardlink_to"])
def test_a_page_never_replaces_the_results_that_it_is_about(files, tmp_path, capsys, link):
    path = tmp_path / "a.json"
    before = path.read_text()
    target = path
    if link:
        target = tmp_path / "page.html"
        getattr(target, link)(path)
    assert main(["report", *files, "--html", str(target)]) == 4
    assert f"would replace the results in {path}. Name another file" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize("form", [[], ["-v"], ["--markdown"], ["--annotations"]])
def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, capsys, form):
    hidden = "\x1b]0;title\x07 \x9b31m \u202e \r"
    bad = probe("refuted", reason=f"it {hidden} failed", case=hidden)
    lost = NotJudged(id=f"lost{hidden}", reason=hidden)
    claim = replace(result("escaped", bad), id=f"escaped{hidden}[cpu]", message=hidden)
    write(tmp_path / "a.json", replace(example(claim), not_judged=[lost]))
    write(tmp_path / "b.json", example(replace(claim, probes=[probe()])))
    assert main(["report", str(tmp_path / "a.json"), *form]) == 0
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    output = capsys.readouterr()
    assert not set("\x1b\x07\x9b\u202e\r") & set(output.out + output.err)
    assert r"\x1b]0;title\x07" in output.out.replace("\\\\", "\\")


@pytest.mark.parametrize("command", ["report", "compare"])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' * 100_000, "is nested too deeply"),
        ('"schema": 1', '"seconds": 1' + "0" * 400),
        (r'{"\u001b[31m": 1, "\u001b[31m": 2}', r"has the key '\x1b[31m' twice"),
    ],
)
def test_results_that_cannot_be_read_end_in_a_sentence(tmp_path, capsys, command, text, sentence):
    path = tmp_path / "a.json"
    write(path, example(passing()))
    if sentence.startswith('"'):  # a number that no float can hold, in place of a good one
        whole = re.sub(r'"seconds": [\d.]+', sentence, path.read_text())
        text, sentence = whole, "has a whole number of 401 digits, which is too large"
    path.write_text(text)
    write(tmp_path / "b.json", example(passing()))
    assert main([command, str(path), str(tmp_path / "b.json")]) == 4
    error = capsys.readouterr().err
    assert f"{path} {sentence}" in error
    assert "\x1b" not in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_results_that_are_no_file_are_refused_and_never_keep_waiting(tmp_path, capsys, make):
    make(tmp_path / "a.json")
    assert main(["report", str(tmp_path / "a.json")]) == 4
    assert "it is a pipe or a device, not a regular file" in capsys.readouterr().err


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
    output = capsys.readouterr().out
    assert "20 claims in 1 mechanism on cpu" in output
    assert "[cpu]  1.2 s  pass" not in output
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
    assert "was not written: " in capsys.readouterr().err


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
    same = tmp_path / "same.json"
    write(same, run)
    assert main(["compare", files[0], str(same), "--fail-on-change"]) == 0
    assert main(["compare", *files, "--fail-on-change"]) == 1  # one claim is in the second only
    assert main(["compare", files[0], str(changed)]) == 0
    assert main(["compare", files[0], str(changed), "--fail-on-change"]) == 1
    assert "1 of them in the verdict" in capsys.readouterr().out


def test_pictures_are_written_as_files(tmp_path, capsys):
    file, folder = tmp_path / "a.json", tmp_path / "below" / "figures"
    write(file, good())
    assert main(["report", str(file), "--pictures", str(folder)]) == 0
    names = sorted(path.stem for path in folder.iterdir())
    assert names == sorted(picture.name for picture in good().pictures)
    assert "Wrote 10 pictures to" in capsys.readouterr().out


def test_pictures_that_are_not_there_are_refused_with_the_command(files, tmp_path, capsys):
    assert main(["report", files[0], "--pictures", str(tmp_path)]) == 4
    assert "has no pictures. Run the claims with them: pytest" in capsys.readouterr().err
    assert main(["report", *files, "--pictures", str(tmp_path)]) == 4
    assert "draws one run, and several were given" in capsys.readouterr().err
    write(tmp_path / "c.json", good())
    assert main(["report", str(tmp_path / "c.json"), "--pictures", files[0]]) == 4
    assert "The pictures were not written" in capsys.readouterr().err
