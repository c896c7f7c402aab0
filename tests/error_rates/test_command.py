"""`python -m initcheck.error_rates`, where there is nothing to write a page from."""

from __future__ import annotations

from initcheck.error_rates.__main__ import main


def test_command_explains_that_a_wheel_has_no_runs(tmp_path, capsys):
    assert main(["--minutes", "0", "--baselines", str(tmp_path)]) == 4
    assert "not part of a wheel" in capsys.readouterr().err
    assert not (tmp_path / "OPERATING.md").exists()
