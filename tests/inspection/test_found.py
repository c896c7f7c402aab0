"""docs/found.md: each program finds in the installed library what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

import pytest
import torch

from tests.helpers.projects import ROOT
from tests.inspection import found

PAGE = (ROOT / "docs" / "found.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", SECTIONS)
def test_a_program_finds_what_the_page_says(title):
    library, version = re.search(r"\*\*(\w+) ([\d.]+)\*\*", SECTIONS[title]).groups()
    if not any(True for _ in metadata.distributions(name=library)):
        pytest.skip(f"{library} is not installed")
    installed = metadata.version(library).partition("+")[0]
    if installed != version:
        pytest.skip(f"the page is about {library} {version}, and {installed} is installed")
    (program,) = re.findall(r"```python\n(.*?)```", SECTIONS[title], flags=re.DOTALL)
    if library == "torch_xla":  # refuses to start once autograd has run
        subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
        return
    exec(program, {})  # noqa: S102 -- the page's own programs


def test_queries_and_keys_in_memory_of_zeros_never_move():
    """The page says so: attention stays an average."""
    module = found.deferred()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(5):
        inputs, labels = found.sequences(generator)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    queries, keys, values = module.attention.in_proj_weight.chunk(3)
    assert not queries.any()
    assert not keys.any()
    assert values.any()
