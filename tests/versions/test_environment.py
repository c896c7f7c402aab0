"""Environments of a pair: what is asked of an interpreter, and the sentence when one fails."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.versions import environment
from tests.versions.environment import Pair, PairError

PAIR = Pair("2.4.1", "0.19.1", "3.11")
PIP = """
Collecting torch==2.4.1
ERROR: Could not find a version that satisfies the requirement torch==2.4.1 (from versions: none)

[notice] A new release of pip is available
"""


def test_an_interpreter_is_asked_for_its_pair():
    pair = environment.of(Path(sys.executable))
    assert pair.torch == metadata.version("torch").partition("+")[0]
    assert pair.torchvision == metadata.version("torchvision").partition("+")[0]
    assert pair.python == ".".join(map(str, sys.version_info[:2]))


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PairError, match="does not run"):
        environment.of(tmp_path / "python")


def test_releases_are_sorted_by_number():
    names = ("2.9.1", "2.15.0", "2.10.0")
    pairs = sorted((Pair(name, "", "3.11") for name in names), key=lambda pair: pair.place)
    assert [pair.torch for pair in pairs] == ["2.9.1", "2.10.0", "2.15.0"]


def test_the_last_error_of_pip_is_its_sentence():
    assert environment.last_line(PIP).startswith("Could not find a version that satisfies")
    assert environment.last_line("Traceback\n  File\nOSError: libc10.so\n") == "OSError: libc10.so"
    assert environment.last_line("") == ""


def test_a_pair_that_pip_refuses_fails_with_its_sentence(tmp_path, monkeypatch):
    python = tmp_path / "base"
    python.write_text(
        "#!/bin/sh\n"  # makes an environment whose pip refuses
        'mkdir -p "$3/bin"\n'
        "printf '#!/bin/sh\\necho ERROR: no wheel for this platform >&2\\nexit 1\\n' "
        '> "$3/bin/python"\n'
        'chmod +x "$3/bin/python"\n'
    )
    python.chmod(0o755)
    with pytest.raises(PairError, match="no wheel for this platform"):
        environment.make(PAIR, python, tmp_path / "environment")


def test_another_pair_than_the_requested_one_is_refused():
    with pytest.raises(PairError, match=r"torch 2\S+ and torchvision 0\S+ were installed"):
        environment.check(Path(sys.executable), Pair("1.0.0", "0.1.0", "3.11"))
