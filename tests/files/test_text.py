"""Files are replaced atomically, and what cannot be read is said in a sentence."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from initcheck.files import UnreadableError, read_json, write_atomic

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path, monkeypatch, broken, error):
    path = tmp_path / "a.json"
    write_atomic(path, "old")

    def stop(*_):
        raise error

    if broken == "fsync":
        monkeypatch.setattr(os, "fsync", stop)
    else:
        monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(error):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


WRITER = """
import signal, sys
from pathlib import Path
from initcheck.files import UnreadableError, read_json, write_atomic
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
path, texts = Path(sys.argv[1]), [letter * 200_000 for letter in "ab"]
while True:
    for text in texts:
        write_atomic(path, text)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGHUP"])
def test_a_file_is_whole_after_a_signal(tmp_path, name):
    """Whenever the signal comes; files written in place were torn in 37 of 40 such kills."""
    path = tmp_path / "a.json"
    for milliseconds in (1, 3, 7, 13):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT)
        try:
            deadline = time.monotonic() + 60
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(milliseconds / 1000)
        finally:
            writer.send_signal(getattr(signal, name))
            writer.wait()
        assert path.read_text() in ("a" * 200_000, "b" * 200_000)


def test_a_link_is_followed(tmp_path):
    """The link's target is written, even if it does not exist yet, and the link stays a link."""
    (tmp_path / "below").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to("below/a.json")
    for text in ("old", "new"):
        write_atomic(link, text)
        assert link.is_symlink()
        assert (tmp_path / "below" / "a.json").read_text() == text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_into(tmp_path):
    """A special file is not replaced by a regular one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, "new")
        assert os.read(reader, 9) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("replace", errno.EBUSY),
        ("replace", errno.EPERM),
        ("open", errno.EACCES),
        ("open", errno.EROFS),
    ],
)
def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path, monkeypatch, step, number):
    """A mounted file, or one in a read-only folder. There a new file is refused."""
    path = tmp_path / "a.json"
    path.write_text("older and longer")
    real = getattr(Path, step)

    def refuse(self, *arguments, **options):
        if self.name.startswith("."):
            raise OSError(number, os.strerror(number), str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, step, refuse)
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "half a character, \ud800")
    assert path.read_text() == "older and longer"
    write_atomic(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(OSError, match=os.strerror(number)):
        write_atomic(tmp_path / "b.json", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


# --- reading JSON ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", "cannot be read: it is not UTF-8"),
        (b"[1,", "is not JSON at line 1, column 4"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"[NaN]", "has a bare NaN"),
        (b'{"a": 1, "a": 2}', "has the key 'a' twice"),
    ],
)
def test_a_file_that_is_no_json_is_named_with_what_is_wrong(tmp_path, content, said):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path} {said}")
    assert not caught.value.missing


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(UnreadableError, match="No such file") as caught:
        read_json(tmp_path / "x.json")
    assert caught.value.missing


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UnreadableError, match="it is a folder, not a regular file"):
        read_json(tmp_path)
