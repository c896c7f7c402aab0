"""The README is short, and what it shows runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(README.split())
OPERATING = (ROOT / "baselines" / "OPERATING.md").read_text(encoding="utf-8")
LIMIT = """
[hidden_units_stay_identical.unit_spread]
max = 0.0
unit = "weight"
kind = "exact"
why = "units that are all zero cannot be told apart"
fault = "zeros_with_noise"
"""


LOOP = """
import torch

def build():
    model = torch.nn.Linear(4, 3)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)

def batches(seed):
    while True:
        yield torch.randn(8, 4), torch.randint(3, (8,))

loss_of = torch.nn.functional.cross_entropy
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def measured(pattern: str) -> tuple[str, ...]:
    match = re.search(pattern, OPERATING)
    assert match, pattern
    return match.groups()


def test_it_is_short():
    assert len(README.encode()) <= 6000


def test_its_first_code_block_is_the_two_commands():
    first = re.search(r"^```.*?^```$", README, flags=re.MULTILINE | re.DOTALL)
    assert first is not None
    assert first[0] == "```sh\npython3 -m benchmarks\npython3 -m tests\n```"


def test_its_claim_has_ten_lines():
    claim, _ = blocks("python")
    assert len([line for line in claim.splitlines() if line and "import" not in line]) <= 10


def test_its_claim_holds_and_its_output_has_the_columns_that_are_shown(project):
    claim, _ = blocks("python")
    project.claims(claim)
    project.limits(LIMIT)
    result = project.run()
    assert result.ret == 0, result.output
    table, _ = blocks("text")
    assert " ".join(table.splitlines()[0].split()) in result.text
    assert len(table.splitlines()) == 6


def test_its_claim_fails_under_its_fault_in_the_words_that_are_shown(project):
    claim, _ = blocks("python")
    project.claims(claim)
    project.limits(LIMIT)
    result = project.run("--initcheck-fault=zeros_with_noise")
    assert result.ret == 1
    _, message = blocks("text")
    labels = re.findall(r"^  ([a-z]+) {2,}", message, flags=re.MULTILINE)
    assert labels == ["measured", "because", "evidence", "reproduce"]
    assert set(labels) <= set(re.findall(r"^  ([a-z]+) {2,}", result.output, flags=re.MULTILINE))


def test_its_loop_is_recorded_and_found_unchanged(tmp_path):
    from initcheck import unchanged

    names: dict[str, object] = {}
    exec(LOOP + blocks("python")[1], names)  # noqa: S102 -- our own page
    file = tmp_path / "reference.json"
    recorded = unchanged(names["training"], file=file, steps=4, seeds=2, record="first")
    assert recorded.verdict == "recorded"
    assert unchanged(names["training"], file=file).ok


def test_its_claims_and_faults_are_there():
    for node in re.findall(r"benchmarks/\w+\.py::\w+", README):
        file, _, test = node.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
    from initcheck.faults import FAULTS

    named = set(re.findall(r"--initcheck-fault (\w+)", README))
    assert named
    assert named <= set(FAULTS)


def test_its_time_and_memory_are_those_that_were_measured():
    results = (ROOT / "benchmarks" / "peers" / "results.json").read_text(encoding="utf-8")
    page = (ROOT / "benchmarks" / "peers" / "RESULTS.md").read_text(encoding="utf-8")
    seconds = re.search(r"\| the whole gate, 2 cores \| 60 s \| (\d+) ", page)
    assert seconds is not None
    peak = json.loads(results)["gate"]["peak"]
    assert f"the whole gate takes {seconds[1]} seconds and {peak / 1e9:.1f} GB" in WORDS


def test_its_error_rates_are_those_of_the_summary():
    """A newly written OPERATING.md may need new sentences here: copy those of its summary."""
    summary = re.findall(r"^- (.*)\.$", OPERATING.partition("\n## In short\n")[2].partition("|")[0],
                         flags=re.MULTILINE)  # fmt: skip
    assert len(summary) == 2
    assert [sentence for sentence in summary if sentence not in WORDS] == []
    (largest,) = measured(r"The largest r is \*\*([\d.]+)\*\*: ")
    assert f"the largest r was {largest}, where 10 is the limit" in WORDS
