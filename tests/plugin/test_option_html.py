"""`--initcheck-html`: a report for people."""

from __future__ import annotations


def test_report_names_the_claim(project):
    file = project.path / "below" / "report.html"
    assert project.run(f"--initcheck-html={file}").ret == 0
    assert "zeros_stay" in file.read_text(encoding="utf-8").replace("<wbr>", "")
    assert [path.name for path in file.parent.iterdir()] == ["report.html"]


def test_folder_is_refused(project):
    result = project.run(f"--initcheck-html={project.path}")
    assert result.ret == 4
    assert "is a folder. Name a file." in result.text
