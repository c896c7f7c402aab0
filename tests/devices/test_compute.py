"""Settings of torch's arithmetic take effect, and temporary ones are restored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from initcheck.devices import compute
from initcheck.devices.compute import matmul_precision, threads


def run_alone(code: str) -> str:
    """Run `code` in its own process: not all of torch's precision switches can be restored."""
    package = str(Path(compute.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ieee_float32_overrides_what_was_set_before() -> None:
    """Whatever set of switches was used before, every float32 operator is IEEE afterwards."""
    printed = run_alone(
        "import torch\n"
        "from initcheck.devices.compute import matmul_precision, use_ieee_float32\n"
        "torch.set_float32_matmul_precision('high')\n"
        "print(matmul_precision())\n"
        "use_ieee_float32()\n"
        "use_ieee_float32()\n"
        "print(matmul_precision())\n"
        "print(torch.get_float32_matmul_precision() if not hasattr(torch.backends, "
        "'fp32_precision') else torch.backends.cuda.matmul.fp32_precision)\n"
        "print(torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction)\n"
    ).splitlines()
    assert "tf32" in printed[0]
    assert printed[1] == "ieee"
    assert printed[2] in ("highest", "ieee")
    assert printed[3] == "False"


def test_precision_differing_between_operators_is_printed_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switches = {
        "matmul": SimpleNamespace(fp32_precision="tf32"),
        "convolution": SimpleNamespace(fp32_precision="none"),
    }
    monkeypatch.setattr(compute, "_has_new_switches", lambda: True)
    monkeypatch.setattr(compute, "_new_switches", lambda: switches)
    assert matmul_precision() == "matmul tf32, convolution ieee"


def test_threads_are_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads(before + 1):  # noqa: PT012 -- the error is raised inside
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_freed_memory_is_kept_if_the_c_library_can(monkeypatch):
    assert compute.keep_freed_memory() == (compute.platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(compute.platform, "libc_ver", lambda: ("", ""))
    assert not compute.keep_freed_memory()
