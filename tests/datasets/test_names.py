"""The embedded text: the same on every Python, split by digests, in windows of tokens."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import Counter
from itertools import pairwise
from math import log
from unicodedata import ucd_3_2_0

import pytest
import torch

from initcheck.datasets import NAMES_FINGERPRINT, load, names, unicode_names
from tests.helpers.data import message

DIGEST = "4e02740e188f073a"  # of both texts
NUMBERED = (
    "CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ", "YI SYLLABLE ",
)  # fmt: skip
DIGEST_BY_FILE = "import runpy, sys; print(runpy.run_path(sys.argv[1])['digest']())"
PYTHONS = [f"python3.{minor}" for minor in range(11, 16)]


def test_names_are_all_but_the_numbered_ones():
    every = (ucd_3_2_0.name(chr(code), "") for code in range(0x110000))
    expected = [name for name in every if name and not name.startswith(NUMBERED)]
    assert unicode_names.names() == expected
    assert len(expected) == 11_721


def test_text_is_the_recorded_one():
    assert unicode_names.digest() == DIGEST
    assert load("names").fingerprint == NAMES_FINGERPRINT == names.NAMES_FINGERPRINT


@pytest.mark.parametrize("python", PYTHONS)
def test_text_is_the_same_on_other_pythons(python):
    found = shutil.which(python)
    if found is None:
        pytest.skip(f"{python} is not on this machine")
    command = [found, "-c", DIGEST_BY_FILE, unicode_names.__file__]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode and "Traceback" not in answer.stderr:
        pytest.skip(f"{python} does not start here: {answer.stderr.strip()[:200]}")
    assert answer.stdout.strip() == DIGEST, answer.stderr


def test_names_are_split_and_ordered_by_their_digests():
    train, test = (text.splitlines() for text in unicode_names.parts())
    assert sorted(train + test) == sorted(unicode_names.names())
    first_bytes = [hashlib.sha256(name.encode()).digest()[0] for name in test]
    assert first_bytes == sorted(first_bytes)
    assert first_bytes[-1] < 26
    assert min(hashlib.sha256(name.encode()).digest()[0] for name in train) == 26


def test_windows_follow_each_other_and_targets_are_one_token_later():
    dataset = load("names")
    for inputs, targets, text in zip(
        (dataset.train_inputs, dataset.test_inputs),
        (dataset.train_targets, dataset.test_targets),
        unicode_names.parts(),
        strict=True,
    ):
        assert (inputs.dtype, targets.dtype) == (torch.int64, torch.int64)
        assert inputs.shape == targets.shape == ((len(text) - 1) // 32, 32)
        spelled = ["".join(unicode_names.SYMBOLS[token] for token in t.flatten()) for t in
                   (inputs, targets)]  # fmt: skip
        assert text.startswith(spelled[0])
        assert text[1:].startswith(spelled[1])
    assert dataset.classes == 39
    assert int(dataset.train_targets.max()) == 38


def test_tokens_stay_integers_on_the_way_to_a_device():
    moved = load("names").to("cpu", torch.float64)
    assert moved.train_inputs.dtype == moved.test_inputs.dtype == torch.int64
    assert load("mnist5k").to("cpu", torch.float64).train_inputs.dtype == torch.float64


def entropy(counts: Counter) -> float:
    total = sum(counts.values())
    return -sum(count / total * log(count / total) for count in counts.values())


def test_entropies_are_those_of_the_documentation():
    """Of single symbols, and of a symbol after another, in nats."""
    text = "".join(unicode_names.parts())
    single = entropy(Counter(text))
    assert log(len(set(text))) == pytest.approx(3.6636, abs=5e-5)
    assert single == pytest.approx(2.9955, abs=5e-5)
    assert entropy(Counter(pairwise(text))) - single == pytest.approx(2.3754, abs=2e-4)


def test_other_names_are_refused(monkeypatch):
    names.load_names.cache_clear()
    monkeypatch.setattr(unicode_names, "parts", lambda: ("LATIN SMALL LETTER A\n" * 9,) * 2)
    text = message("names")
    assert f"the evidence was recorded on {NAMES_FINGERPRINT}" in text
    assert "Run the claims with CPython" in text
