"""The `initcheck` command: exit codes of wrong options, and a reader that closes the pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from initcheck.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["claims", "--nonsense"]], ids=str)
def test_a_wrong_option_exits_with_pytests_code(arguments, capsys):
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 4
    assert "usage: initcheck" in capsys.readouterr().err


def test_a_closed_pipe_says_nothing_and_is_not_green():
    program = "from initcheck.cli.main import main; raise SystemExit(main(['claims']))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(), error) == (141, "")
