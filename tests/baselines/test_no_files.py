"""Limits and evidence where there is something that is no file."""

from __future__ import annotations

import errno
import os

import pytest

from initcheck.baselines.evidence import (
    BaselineError,
)
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import nearest, read_limits
from tests.helpers.baselines import (
    written,
)


def dangling(path):
    path.symlink_to("nowhere")
    return "it is a link to nowhere, which does not exist"


def loop(path):
    path.symlink_to(path.name)
    return os.strerror(errno.ELOOP)


def pipe(path):
    os.mkfifo(path)
    return "it is a pipe or a device, not a regular file"


def device(path):
    path.symlink_to("/dev/zero")
    return "it is a pipe or a device, not a regular file"


def folder(path):
    path.mkdir()
    return "it is a folder, not a regular file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [dangling, loop, pipe, device, folder])
def test_evidence_that_is_there_and_no_file_is_refused(tmp_path, make):
    """It is not `no evidence yet`, and a pipe does not keep the run waiting."""
    baselines = Baselines(tmp_path)
    path = baselines.path("a_claim")
    path.parent.mkdir()
    problem = make(path)
    written(tmp_path)
    for read in (baselines.evidence, lambda _: baselines.registered):
        with pytest.raises(BaselineError) as error:
            read("a_claim")
        assert str(error.value).startswith(f"{path} cannot be read: {problem}. Restore it")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [dangling, loop, pipe, device, folder])
def test_limits_that_are_there_and_no_file_are_refused(tmp_path, make):
    (tmp_path / "baselines").mkdir()
    problem = make(tmp_path / "baselines" / "limits.toml")
    found = nearest(tmp_path / "below")  # not a folder further up
    with pytest.raises(BaselineError, match=rf"limits\.toml cannot be read: {problem}"):
        read_limits(found / "limits.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("make", [dangling, loop, pipe, device])
def test_folder_of_evidence_that_is_there_and_no_folder_is_refused(tmp_path, make):
    make(tmp_path / "evidence")
    with pytest.raises(BaselineError, match=r"evidence cannot be read: .* must be a folder"):
        Baselines(tmp_path).files()


def test_nothing_recorded_yet_is_no_error(tmp_path):
    assert Baselines(tmp_path).files() == []
    assert Baselines(tmp_path).evidence("a_claim") is None
