"""The peak memory of an inspection stays below three times the module's weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection import parts, passes, surroundings
from initcheck.inspection.parts import product_in_parts

ROOT = Path(__file__).parents[2]
PROC = Path("/proc/self")
LIMIT = 3.0  # times the weights
WORDS, WIDTH, BLOCKS, LENGTH = 16_000, 512, 6, 32


class Language(nn.Module):
    """A language model whose tied table is its largest tensor: 27 million numbers, 108 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)
        nn.init.normal_(self.table.weight, std=0.02)
        self.blocks = nn.Sequential(
            *[
                nn.TransformerEncoderLayer(WIDTH, 8, 4 * WIDTH, dropout=0.0, batch_first=True)
                for _ in range(BLOCKS)
            ]
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.table(tokens)) @ self.table.weight.T


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    batch = torch.randint(0, WORDS, (2, LENGTH))
    return batch, batch


def peak_over_weights() -> float:
    """Inspect in this process: its peak above what it held before, in weights of the module."""
    inspect_model(
        lambda: nn.Linear(4, 3), lambda: (torch.randn(2, 4), torch.randn(2, 3))
    )  # imports
    weights = sum(each.numel() * each.element_size() for each in Language().parameters())
    surroundings.give_back_memory()
    before = _bytes("VmRSS")
    (PROC / "clear_refs").write_text("5", encoding="utf-8")  # forget the peak so far
    found = inspect_model(Language, tokens)
    assert "first_gradient" in found.judged.checks, found
    return (_bytes("VmHWM") - before) / weights


def _bytes(field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", (PROC / "status").read_text(encoding="utf-8"))
    assert match
    return 1024 * int(match[1])


def main(saving: str) -> None:
    """Print the ratio; with ``whole``, where operands are converted whole and nothing is freed."""
    if saving == "whole":
        for module in (parts, passes, surroundings):
            for name in ("_PART", "give_back_memory"):
                if hasattr(module, name):
                    new = 1 << 40 if name == "_PART" else mock.Mock()
                    mock.patch.object(module, name, new).start()
    print(peak_over_weights())


def _measured(saving: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.inspection.test_memory import main; main({saving!r})"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a process's peak")
def test_the_peak_is_below_three_times_the_weights():
    """The same inspection exceeds the limit if it converts whole matrices and keeps freed memory.

    Each takes its own process, whose peak nothing else raised.
    """
    assert _measured("parts") < LIMIT < _measured("whole")


def strided(rows: int, columns: int, *, turned: bool, dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.randn(columns, rows).t() if turned else torch.randn(rows, columns)
    return tensor.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "shape", [(3, 7, 500), (3, 500, 7), (500, 7, 3), (7, 500, 3), (40, 40, 41)]
)
def test_a_product_in_parts_is_the_product(shape, turned, dtype):
    with mock.patch.object(parts, "_PART", 100):
        one = strided(*shape[:2], turned=turned, dtype=dtype)
        other = strided(*shape[1:], turned=turned, dtype=dtype)
        product = product_in_parts(one, other)
    torch.testing.assert_close(product, one.double() @ other.double(), rtol=1e-12, atol=1e-12)
    assert product.is_contiguous()


def test_a_small_product_is_left_to_torch():
    assert product_in_parts(torch.ones(3, 4), torch.ones(4, 5)) is None
