"""The examples of the pages do what the pages say: a network, data, an optimizer, limits."""

from __future__ import annotations

import tomllib
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from initcheck import Arm, Network, datasets
from initcheck.initializers import torch_default
from initcheck.networks import NetworkError
from initcheck.training.train import train
from tests.helpers.projects import ROOT
from tests.test_docs import blocks, read

OPTIONS, ADD_A_CLAIM = ROOT / "docs" / "options.md", ROOT / "docs" / "add-a-claim.md"
HOW_IT_DECIDES, READING = (
    ROOT / "docs" / "how-it-decides.md",
    ROOT / "docs" / "reading-a-failure.md",
)


@pytest.fixture(scope="module")
def examples():
    """What all Python examples of the page of options define."""
    names: dict[str, object] = {}
    for block in blocks(read(OPTIONS)):
        if block.language == "python":
            exec(block.text, names)  # noqa: S102 -- the page is the project's
    return SimpleNamespace(**names)


def losses(arm: Arm) -> torch.Tensor:
    """The losses ``(R, steps)`` of two seeds."""
    return train(arm, (1, 2), datasets.load(arm.data)).losses


def test_the_example_of_a_network_and_an_optimizer_learns(examples):
    means = losses(Arm(examples.NETWORK, torch_default, examples.RECIPE)).mean(0)
    assert means[-1] < means[0]


def test_the_example_of_a_folder_of_images_trains(examples, tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 4), ("test", 1)):
        for name in "abcde":
            (tmp_path / "flowers" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(256, (32, 32, 3), generator=generator).byte().numpy()
                Image.fromarray(pixels).save(
                    tmp_path / "flowers" / part / name / f"{number:04}.png"
                )
    monkeypatch.chdir(tmp_path)
    assert losses(examples.FLOWERS).shape == (2, 50)


def test_a_network_that_a_page_calls_invalid_is(examples):
    network = Network("late", lambda: torch.nn.Sequential(torch.nn.LazyLinear(10)))
    for bad in (Network("number", lambda: 3), network):
        with pytest.raises(NetworkError):
            Arm(bad, torch_default, examples.RECIPE).build(0)


def test_the_entries_of_limits_are_those_of_the_package():
    limits = tomllib.loads(read(ROOT / "baselines" / "limits.toml"))
    shown = [b.text for b in blocks(read(HOW_IT_DECIDES)) if b.language == "toml"]
    entries = {k: v for text in shown for k, v in tomllib.loads(text).items()}
    (known,) = entries.pop("failure")
    shipped = tomllib.loads(read(ROOT / "baselines" / "known_failures.toml"))["failure"]
    place = {key: known[key] for key in ("claim", "device", "torch", "comparison")}
    (same,) = [each for each in shipped if place.items() <= each.items()]
    assert same["reason"].startswith(known["reason"].rstrip("."))
    assert same | {"reason": known["reason"]} == known
    assert len(entries) == 2
    for claim, probes in entries.items():
        assert {probe: limits[claim][probe] for probe in probes} == probes


def test_units_in_the_page_are_used():
    limits = tomllib.loads(read(ROOT / "baselines" / "limits.toml"))
    used = {entry["unit"] for probes in limits.values() for entry in probes.values()}
    table = read(READING).partition("| unit | ")[2].partition("\n\n")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    named = {unit.strip("| `") for row in rows for unit in row.split(",")}
    assert named
    assert named <= used


def test_a_selection_without_claims_exits_with_5(project):
    assert project.run("-k", "no_such_claim").ret == 5
    assert "| 5 | no claim was selected" in read(OPTIONS)
