"""Opens a page in Debian's chromium without a window, and measures what it shows.

Copies of the page are shown in frames of each width and theme. A script in each measures, and
writes JSON into the outer document, which chromium prints. In a copy, the media query for the dark
theme is replaced by one that is always or never true, and all details are open.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS, THEMES = (400, 1280), ("light", "dark")
WAIT = 120  # seconds; a machine under load starts a browser slowly
DARK = "(prefers-color-scheme: dark)"
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
MEASURE = Path(__file__).with_name("measure.js")


def chromium() -> str:
    """The path of the browser; skips the test with a sentence if there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip("chromium is not installed. On Debian: apt-get install chromium.")


def run(page: Path, profile: Path) -> tuple[str, str]:
    """The document after loading, and what the browser wrote to its log."""
    done = subprocess.run(
        [
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={profile}", "--window-size=1400,1000",
            "--disable-background-networking", "--enable-logging=stderr", "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=WAIT, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def console(text: str, folder: Path) -> list[str]:
    """The lines that the page itself, unchanged, makes the browser write to its console."""
    page = folder / "page.html"
    page.write_text(text, encoding="utf-8")
    _, log = run(page, folder / "profile")
    return [line for line in log.splitlines() if "CONSOLE" in line]


def measured(text: str, folder: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """What ``measure.js`` finds on the page, by width in pixels and theme."""
    frames = [
        f'<iframe id="{width}-{theme}" style="border:0;width:{width}px;height:1000px" '
        f'srcdoc="{html.escape(_copy(text, theme))}"></iframe>'
        for width in WIDTHS for theme in THEMES
    ]  # fmt: skip
    page = folder / "frames.html"
    page.write_text("<!doctype html><title>frames</title>" + "".join(frames), encoding="utf-8")
    document, log = run(page, folder / "profile")
    found = re.findall(r'<pre id="measured-(\d+)-(\w+)">(.*?)</pre>', document, re.DOTALL)
    assert len(found) == len(frames), log[-2000:]
    return {(int(width), theme): json.loads(html.unescape(each)) for width, theme, each in found}


def _copy(text: str, theme: str) -> str:
    copy, replaced = POLICY.subn("", text)
    assert replaced == 1
    assert DARK in copy
    copy = copy.replace(DARK, "all" if theme == "dark" else "not all")
    copy = copy.replace("<details open", "<details").replace("<details", "<details open")
    script = MEASURE.read_text(encoding="utf-8")
    return copy.replace("</body>", f"<script>{script}</script></body>")
