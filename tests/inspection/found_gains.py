"""`python -m tests.inspection.found_gains`: what drawn gains of batch norms do to a MobileViT.

It needs transformers, and takes a minute of processor time per training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import MobileViTConfig, MobileViTForImageClassification

from initcheck import datasets

SEEDS, STEPS, BATCH, SIDE, TESTED = 4, 80, 32, 64, 500
WIDTHS = [8, 16, 24, 32, 48, 64, 128]


def build(seed: int, *, ones: bool) -> nn.Module:
    """The model as released, or with the gains of its batch norms at one."""
    torch.manual_seed(seed)
    module = MobileViTForImageClassification(
        MobileViTConfig(
            image_size=SIDE, hidden_sizes=[32, 48, 64], neck_hidden_sizes=WIDTHS, num_labels=10,
            hidden_dropout_prob=0.0, classifier_dropout_prob=0.0,
        )
    )  # fmt: skip
    for part in module.modules():
        if ones and isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
    return module


def share(seed: int, *, ones: bool) -> float:
    """The share of right answers after training, with the statistics of the tested images."""
    data = datasets.load("mnist5k")
    module, generator = build(seed, ones=ones), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    for _ in range(STEPS):
        chosen = torch.randint(len(data.train_targets), (BATCH,), generator=generator)
        images, labels = _magnified(data.train_inputs[chosen]), data.train_targets[chosen]
        optimizer.zero_grad()
        module(pixel_values=images, labels=labels).loss.backward()
        optimizer.step()
    with torch.no_grad():
        answers = module(pixel_values=_magnified(data.test_inputs[:TESTED])).logits.argmax(-1)
    return float((answers == data.test_targets[:TESTED]).float().mean())


def _magnified(images: Tensor) -> Tensor:
    return nn.functional.interpolate(images.view(-1, 1, 28, 28), SIDE).expand(-1, 3, -1, -1)


def main() -> None:
    """Print mean, least and greatest accuracy with drawn gains and with ones."""
    torch.set_num_threads(1)
    for ones in (False, True):
        shares = torch.tensor([share(seed, ones=ones) for seed in range(SEEDS)])
        text = f"{shares.mean():.3f}, {shares.min():.3f} to {shares.max():.3f}"
        print(f"{'ones' if ones else 'drawn'}: {text}", flush=True)


if __name__ == "__main__":
    main()
