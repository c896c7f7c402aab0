"""More faults of kinds that were written down without sight of the checks, each with its repair."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import torch
from torch import nn

from .faulty_blind import Case, images, pretrained, tokens, vectors


class RandomFeatures(nn.Module):
    """A block on random features that are meant to be the same in every run."""

    def __init__(self, width, features, seed, *, broken):
        super().__init__()
        if broken:
            torch.manual_seed(seed)
            directions = torch.randn(width, features)
        else:
            drawn = torch.Generator().manual_seed(seed)
            directions = torch.randn(width, features, generator=drawn)
        self.register_buffer("directions", directions / math.sqrt(width))
        self.back = nn.Linear(features, width)

    def forward(self, x):
        return x + self.back(torch.cos(x @ self.directions))


def random_features(*, broken):
    blocks = [RandomFeatures(16, 32, seed, broken=broken) for seed in range(4)]
    return nn.Sequential(*blocks, nn.Linear(16, 4))


class Recommender(nn.Module):
    """A user's opinion of an item, as a product of two vectors."""

    def __init__(self, users, items, width, *, broken):
        super().__init__()
        self.users = nn.Embedding(users, width)
        self.items = nn.Embedding(items, width)
        for table in (self.users, self.items):
            if broken:
                drawn = np.random.default_rng().normal(0, 0.3, table.weight.shape)
                table.weight.data = torch.from_numpy(drawn.astype(np.float32))
            else:
                nn.init.normal_(table.weight, std=0.3)

    def forward(self, user, item):
        return (self.users(user) * self.items(item)).sum(1)


def opinions():
    drawn = torch.Generator().manual_seed(21)
    user = torch.randint(30, (128,), generator=drawn)
    item = torch.randint(20, (128,), generator=drawn)
    return {"user": user, "item": item}, ((user + item) % 3).float() - 1


class Detector(nn.Module):
    """The chance of an object at each place, rare at the start as in a detector."""

    def __init__(self, channels, *, broken):
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        )
        self.score = nn.Conv2d(channels, 1, 3, padding=1)
        for module in self.modules() if broken else [self.score]:
            if isinstance(module, nn.Conv2d):
                nn.init.constant_(module.bias, -math.log(0.99 / 0.01))

    def forward(self, x):
        return torch.sigmoid(self.score(self.tower(x)))


def objects():
    inputs = images(8, 3, 8)
    return inputs, (inputs[:, :1] > 1.5).float()


class Pyramid(nn.Module):
    """Two scales of an image, mixed by weights that are kept positive."""

    def __init__(self, channels, classes, *, broken):
        super().__init__()
        self.fine = nn.Conv2d(3, channels, 3, padding=1)
        self.coarse = nn.Conv2d(3, channels, 3, padding=1, stride=2)
        self.mix = nn.Parameter(torch.zeros(2) if broken else torch.ones(2))
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        mix = torch.relu(self.mix)
        mix = mix / (mix.sum() + 1e-4)
        coarse = nn.functional.interpolate(self.coarse(x), scale_factor=2.0)
        mixed = mix[0] * self.fine(x) + mix[1] * coarse
        return self.head(torch.relu(mixed).mean((2, 3)))


def tinted():
    inputs = images(48, 3, 8)
    targets = torch.arange(48) % 3
    return inputs + 0.5 * nn.functional.one_hot(targets, 3)[:, :, None, None], targets


class Adapted(nn.Module):
    """A pretrained layer with a bottleneck adapter, of which only the new parts should learn."""

    def __init__(self, width, classes, *, broken):
        super().__init__()
        self.base = nn.Linear(width, width)
        self.base.load_state_dict(pretrained(width, width))
        self.adapter = nn.Sequential(nn.Linear(width, 8), nn.GELU(), nn.Linear(8, width))
        nn.init.zeros_(self.adapter[2].weight)
        nn.init.zeros_(self.adapter[2].bias)
        self.head = nn.Linear(width, classes)
        learns = ("head",) if broken else ("head", "adapter")
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(learns))

    def forward(self, x):
        x = torch.relu(self.base(x))
        return self.head(x + self.adapter(x))


class CausalAttention(nn.Module):
    """Attention in which a word sees itself and those before it."""

    def __init__(self, words, width, length, classes, *, broken):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.head = nn.Linear(width, classes)
        hidden = torch.ones(length, length).triu(0 if broken else 1)
        self.register_buffer("hidden", hidden.bool())

    def forward(self, x):
        query, key, value = self.qkv(self.embed(x)).chunk(3, -1)
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
        scores = scores.masked_fill(self.hidden, -math.inf)
        return self.head((scores.softmax(-1) @ value).mean(1))


class Contrastive(nn.Module):
    """How alike each image and each text are."""

    def __init__(self, image, text, width, *, broken):
        super().__init__()
        self.image, self.text = nn.Linear(image, width), nn.Linear(text, width)
        scale = torch.tensor(1 / 0.07)
        self.logit_scale = nn.Parameter(scale if broken else scale.log())

    def forward(self, image, text):
        image = nn.functional.normalize(self.image(image), dim=1)
        text = nn.functional.normalize(self.text(text), dim=1)
        return self.logit_scale.exp() * image @ text.T


def pairs():
    image, _ = vectors(16, 20, 4)
    return {"image": image, "text": image[:, :12].tanh()}, torch.arange(16)


class PriorClassifier(nn.Module):
    """A classifier whose biases start at how frequent the classes are."""

    def __init__(self, width, counts, *, broken):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, len(counts)))
        prior = torch.from_numpy(np.log(np.array(counts) / np.sum(counts)))
        self.log_prior = nn.Parameter(prior if broken else prior.float())

    def forward(self, x):
        return self.body(x) + self.log_prior


class Positions(nn.Module):
    """Words at known places of a long text."""

    def __init__(self, words, width, length, *, dtype):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        rates = 1e4 ** -(torch.arange(0, width, 2) / width)
        angles = torch.outer(torch.arange(length, dtype=dtype).float(), rates)
        self.register_buffer("table", torch.cat([angles.sin(), angles.cos()], 1))
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.embed(x) + self.table[: x.shape[1]]
        return self.head(torch.relu(self.mix(x)).mean(1))


class Averaged(nn.Module):
    """A student, and a teacher that follows it slowly and is what answers in use."""

    def __init__(self, width, classes, *, broken):
        super().__init__()
        self.student = self.network(width, classes)
        self.teacher = self.network(width, classes) if broken else copy.deepcopy(self.student)
        self.teacher.requires_grad_(False)

    @staticmethod
    def network(width, classes):
        return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, classes))

    @torch.no_grad()
    def follow(self, momentum):
        for mine, its in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            mine.lerp_(its, 1 - momentum)

    def forward(self, x):
        return self.student(x) if self.training else self.teacher(x)


class Probe(nn.Module):
    """A new head on a frozen backbone from a checkpoint that a parallel run wrote."""

    def __init__(self, width, wide, classes, *, broken):
        super().__init__()
        self.backbone = nn.Linear(width, wide)
        saved = {f"module.{name}": value for name, value in pretrained(wide, width).items()}
        if not broken:
            saved = {name.removeprefix("module."): value for name, value in saved.items()}
        self.backbone.load_state_dict(saved, strict=False)
        self.backbone.requires_grad_(False)
        self.head = nn.Linear(wide, classes)

    def forward(self, x):
        return self.head(torch.relu(self.backbone(x)))


class Segmenter(nn.Module):
    """Scores of classes at half the size, doubled by a bilinear kernel that may learn."""

    def __init__(self, classes, *, broken):
        super().__init__()
        self.body = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.score = nn.Conv2d(16, classes, 1)
        self.up = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
        side = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = torch.outer(side, side)
        pairs = torch.ones(classes, classes) if broken else torch.eye(classes)
        self.up.weight.data = pairs[:, :, None, None] * kernel

    def forward(self, x):
        return self.up(self.score(torch.relu(self.body(x))))


def scenes():
    inputs = images(8, 3, 12)
    smooth = nn.functional.avg_pool2d(inputs, 5, stride=1, padding=2)
    return inputs, smooth.argmax(1)


class Remembering(nn.Module):
    """An LSTM that should keep what it has seen at the start."""

    def __init__(self, words, width, classes, *, broken):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        gate = 2 if broken else 1  # another framework's order of the gates, or torch's
        for bias in (self.rnn.bias_ih_l0, self.rnn.bias_hh_l0):
            nn.init.zeros_(bias)
            nn.init.ones_(bias.data[gate * width : (gate + 1) * width])
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.rnn(self.embed(x))[0][:, -1])


class QuantLinear(nn.Linear):
    """A linear layer that trains with its weights rounded to four bits."""

    def __init__(self, width, wide, *, broken):
        super().__init__(width, wide)
        self.broken = broken
        self.register_buffer("step", self.weight.detach().abs().max() / 7)

    def forward(self, x):
        rounded = (self.weight / self.step).round().clamp(-8, 7) * self.step
        if not self.broken:
            rounded = self.weight + (rounded - self.weight).detach()
        return nn.functional.linear(x, rounded, self.bias)


def quantised(*, broken):
    first, second = QuantLinear(16, 48, broken=broken), QuantLinear(48, 48, broken=broken)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(48, 4))


CASES: dict[str, Case] = {
    "constructor_reseeds": Case(
        partial(random_features, broken=True),
        partial(random_features, broken=False),
        partial(vectors, 64, 16, 4),
        (
            *(f"{block}.back.{name}" for block in range(4) for name in ("weight", "bias")),
            "4.weight",
            "4.bias",
        ),
        "A layer seeds the global generator to fix its own features, so all weights drawn after it "
        "are the same whatever the user's seed, and runs that should vary are one run.",
        "constructor seeds globally",
    ),
    "numpy_ignores_seed": Case(
        partial(Recommender, 30, 20, 8, broken=True),
        partial(Recommender, 30, 20, 8, broken=False),
        opinions,
        ("users.weight", "items.weight"),
        "The tables come from a fresh generator of numpy, which torch.manual_seed does not reach, "
        "so the same seed starts another model every time.",
        "draw ignores the seed",
    ),
    "prior_bias_everywhere": Case(
        partial(Detector, 12, broken=True),
        partial(Detector, 12, broken=False),
        objects,
        ("tower.0.bias", "tower.2.bias"),
        "The bias for a rare class, meant for the last layer, is on every convolution, so all "
        "rectifiers before it are off and only the last bias ever learns.",
        "rectifiers biased off",
    ),
    "rectified_weights_at_zero": Case(
        partial(Pyramid, 12, 3, broken=True),
        partial(Pyramid, 12, 3, broken=False),
        tinted,
        ("mix",),
        "The mixing weights start at zero, where the rectifier on them passes no gradient, so the "
        "features stay multiplied by zero for ever.",
        "rectified parameter at zero",
    ),
    "adapter_frozen": Case(
        partial(Adapted, 24, 4, broken=True),
        partial(Adapted, 24, 4, broken=False),
        partial(vectors, 64, 24, 4),
        ("adapter.0.weight", "adapter.0.bias", "adapter.2.weight", "adapter.2.bias"),
        "The freezing of the pretrained weights caught the new adapter too, whose output is zero, "
        "so it never learns and adds nothing.",
        "new part frozen",
    ),
    "mask_hides_itself": Case(
        partial(CausalAttention, 20, 16, 8, 4, broken=True),
        partial(CausalAttention, 20, 16, 8, 4, broken=False),
        partial(tokens, 64, 8, 20, 4),
        ("hidden",),
        "The mask hides the diagonal too, so the first word sees nothing, its softmax is not a "
        "number, and neither is any output.",
        "mask hides all",
    ),
    "temperature_not_in_logs": Case(
        partial(Contrastive, 20, 12, 16, broken=True),
        partial(Contrastive, 20, 12, 16, broken=False),
        pairs,
        ("logit_scale",),
        "The scale is stored as itself while forward takes its exponential, so the logits are a "
        "hundred thousand times too large and the softmax is saturated.",
        "logarithm left out",
    ),
    "double_prior": Case(
        partial(PriorClassifier, 16, (70, 20, 8, 2), broken=True),
        partial(PriorClassifier, 16, (70, 20, 8, 2), broken=False),
        partial(vectors, 64, 16, 4),
        ("log_prior",),
        "The prior came from numpy in double precision, so the outputs and the loss are double "
        "too, which is slow, fails on devices without it and in half precision.",
        "one double parameter",
    ),
    "positions_in_bfloat16": Case(
        partial(Positions, 20, 32, 512, dtype=torch.bfloat16),
        partial(Positions, 20, 32, 512, dtype=torch.float32),
        partial(tokens, 16, 512, 20, 4),
        ("table",),
        "The places were counted in bfloat16, which has no odd numbers above 256, so neighbours "
        "in the far half of a text share one position.",
        "positions rounded together",
    ),
    "teacher_not_copied": Case(
        partial(Averaged, 16, 4, broken=True),
        partial(Averaged, 16, 4, broken=False),
        partial(vectors, 64, 16, 4),
        ("teacher.0.weight", "teacher.0.bias", "teacher.2.weight", "teacher.2.bias"),
        "The averaged teacher starts from its own random weights and not from the student's, so "
        "the average of the two is of no use until the start is forgotten.",
        "average starts elsewhere",
    ),
    "checkpoint_not_loaded": Case(
        partial(Probe, 24, 32, 4, broken=True),
        partial(Probe, 24, 32, 4, broken=False),
        partial(vectors, 64, 24, 4),
        ("backbone.weight", "backbone.bias"),
        "No name in the checkpoint matches because of its prefix and strict=False hides that, so "
        "the frozen backbone is random and can never learn.",
        "checkpoint silently skipped",
    ),
    "bilinear_between_all": Case(
        partial(Segmenter, 3, broken=True),
        partial(Segmenter, 3, broken=False),
        scenes,
        ("up.weight",),
        "The bilinear kernel is set between every two channels and not from each to itself, so "
        "all classes get one score and no gradient reaches the layers below.",
        "output channels all equal",
    ),
    "wrong_gate_open": Case(
        partial(Remembering, 20, 16, 4, broken=True),
        partial(Remembering, 20, 16, 4, broken=False),
        partial(tokens, 64, 12, 20, 4),
        ("rnn.bias_ih_l0", "rnn.bias_hh_l0"),
        "The bias that should keep the forget gate open is on the candidate's block, since torch "
        "orders the gates otherwise, so cells forget and fill with a constant.",
        "bias of another gate",
    ),
    "rounding_stops_gradient": Case(
        partial(quantised, broken=True),
        partial(quantised, broken=False),
        partial(vectors, 64, 16, 4),
        ("0.weight", "2.weight"),
        "The weights go through round, whose gradient is zero everywhere, with no straight-through "
        "path, so they stay at their start.",
        "gradient lost in rounding",
    ),
}
