"""Ways to train that `unchanged` judges: each recorded, followed exactly, and told from a fault."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tests.trajectory.judging import compared, recorded


def batches(seed, size=8, width=6):
    generator = torch.Generator().manual_seed(seed)
    while True:
        inputs = torch.randn(size, width, generator=generator)
        yield inputs, inputs.square().sum(1, keepdim=True).sqrt()


def descend(model, lr):
    with torch.no_grad():
        for each in model.parameters():
            each.sub_(each.grad, alpha=lr)
            each.grad = None


def mlp(*middle):
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), *middle, nn.Linear(8, 1))


def fit(seed, build=mlp, *, lr=0.05, loss_of=functional.mse_loss, dtype=None):
    """A plain loop, of which the others are variants."""
    torch.manual_seed(seed)
    model = build().to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    yield model, optimizer
    for inputs, targets in batches(seed):
        loss = loss_of(model(inputs.to(dtype)), targets.to(dtype))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss


class OwnNoise(nn.Module):
    """Dropout that draws from a generator of its module."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(torch.initial_seed())

    def forward(self, values):
        return values * (torch.rand(values.shape, generator=self.generator) > 0.2)


def dropout(seed, *, lr=0.05):
    return fit(seed, partial(mlp, nn.Dropout(0.2)), lr=lr)


def own_generator(seed, *, lr=0.05):
    return fit(seed, partial(mlp, OwnNoise()), lr=lr)


def accumulation(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    yield model, optimizer
    data = batches(seed)
    while True:
        total = 0.0
        for _ in range(3):
            inputs, targets = next(data)
            loss = functional.mse_loss(model(inputs), targets) / 3
            loss.backward()
            total += loss.item()
        optimizer.step()
        optimizer.zero_grad()
        yield total


def clipping_and_schedule(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4)
    yield model, optimizer
    for inputs, targets in batches(seed):
        loss = functional.mse_loss(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        yield loss


def autocast(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    with torch.autocast("cpu", torch.bfloat16):  # around the yields too
        yield model, optimizer
        for inputs, targets in batches(seed):
            loss = functional.mse_loss(model(inputs).float(), targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            yield loss


class Rows(Dataset):
    """Rows with noise that a worker draws."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        noise = torch.randn(6) / 10  # of the worker's generator
        row = torch.randn(6, generator=torch.Generator().manual_seed(index)) + noise
        return row, row.sum()[None]


def workers(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    yield model, optimizer
    for inputs, targets in DataLoader(Rows(), batch_size=8, shuffle=True, num_workers=2):
        loss = functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss


class Images(nn.Module):
    """A convolution, which has layouts of memory."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 1)

    def forward(self, values):
        images = values.view(-1, 3, 1, 2).expand(-1, 3, 5, 2).repeat(1, 1, 1, 3)
        images = images.contiguous(memory_format=torch.channels_last)
        return self.head(self.body(images).mean((2, 3)))


def channels_last(seed, *, lr=0.05):
    return fit(seed, lambda: Images().to(memory_format=torch.channels_last), lr=lr)


def groups_ties_and_frozen(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(4)))
    model[2].weight = model[0].weight
    model[1].requires_grad_(False)
    weights = [each for name, each in model.named_parameters() if "weight" in name]
    biases = [each for name, each in model.named_parameters() if "bias" in name]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": biases, "lr": lr / 2}], lr=lr
    )
    yield model, optimizer
    for inputs, _ in batches(seed):
        loss = (model(inputs) - 1).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss


def grows(seed, *, lr=0.05):
    """The hidden layer is widened after three steps, and a head is added."""
    torch.manual_seed(seed)
    model = nn.ModuleDict({"a": nn.Linear(6, 4), "b": nn.Linear(4, 1)})
    yield model
    for number, (inputs, targets) in enumerate(batches(seed)):
        if number == 3:
            model["a"], model["b"] = nn.Linear(6, 8), nn.Linear(8, 1)
            model["c"] = nn.Linear(1, 1)
        out = model["b"](model["a"](inputs).tanh())
        loss = functional.mse_loss(model["c"](out) if "c" in model else out, targets)
        loss.backward()
        descend(model, lr)
        yield loss


def replaces_data(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    yield model
    for inputs, targets in batches(seed):
        loss = functional.mse_loss(model(inputs), targets)
        loss.backward()
        for each in model.parameters():
            each.data = each.data - lr * each.grad
            each.grad = None
        yield loss


class Phases(nn.Module):
    """A complex weight."""

    def __init__(self):
        super().__init__()
        self.turn = nn.Parameter(torch.randn(6, 8, dtype=torch.complex64))
        self.out = nn.Linear(8, 1)

    def forward(self, values):
        return self.out((values.to(self.turn.dtype) @ self.turn).abs())


def complex_numbers(seed, *, lr=0.05):
    return fit(seed, Phases, lr=lr)


def float64(seed, *, lr=0.05):
    return fit(seed, lr=lr, dtype=torch.float64)


def sparse_gradients(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = nn.EmbeddingBag(30, 4, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(seed)
    yield model, optimizer
    while True:
        loss = (model(torch.randint(30, (8, 3), generator=generator)) - 1).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss


def two_models(seed, *, lr=0.05):
    torch.manual_seed(seed)
    both = nn.ModuleList([nn.Linear(2, 6), nn.Linear(6, 1)])
    makes, judges = both
    slow, fast = (torch.optim.Adam(each.parameters(), lr=lr) for each in both)
    yield both
    for real, _ in batches(seed):
        noise = torch.randn(8, 2)
        of_judge = functional.softplus(judges(makes(noise).detach()) - judges(real)).mean()
        of_judge.backward()
        fast.step()
        fast.zero_grad()
        of_maker = -judges(makes(noise)).mean()
        of_maker.backward()
        slow.step()
        slow.zero_grad()
        fast.zero_grad()
        yield of_judge.detach() + of_maker.detach()


def moving_average(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    yield nn.ModuleDict({"model": model, "average": average}), optimizer
    for inputs, targets in batches(seed):
        loss = functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(model)
        yield loss


def copied_after_it_was_shown(seed, *, lr=0.05):
    """The copy has what watches the first pass of the model, and is called as well."""
    torch.manual_seed(seed)
    model = mlp()
    yield model
    teacher = copy.deepcopy(model)
    for inputs, targets in batches(seed):
        other = torch.randn(8, 6)
        loss = functional.mse_loss(model(inputs), targets)
        loss = loss + functional.mse_loss(model(other), teacher(other))
        loss.backward()
        descend(model, lr)
        yield loss


def moved_after_it_was_shown(seed, *, lr=0.05):
    torch.manual_seed(seed)
    model = mlp()
    yield model
    model.to(torch.float64)
    for inputs, targets in batches(seed):
        loss = functional.mse_loss(model(inputs.double()), targets.double())
        loss.backward()
        descend(model, lr)
        yield loss


class Masked(nn.Module):
    """Its buffers have what a sum of squares cannot hold."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.full((6, 6), -torch.inf).triu(1))
        self.register_buffer("least", torch.full((2,), -1e300, dtype=torch.float64))
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.register_buffer("diagonal", torch.eye(6).to_sparse())
        self.scores = nn.Parameter(torch.randn(6, 6))

    def forward(self, values):
        return (values @ (self.scores + self.mask).softmax(1))[:, :1]


def masks(seed, *, lr=0.05):
    return fit(seed, Masked, lr=lr)


KINDS = [
    dropout, own_generator, accumulation, clipping_and_schedule, autocast, channels_last,
    groups_ties_and_frozen, grows, replaces_data, complex_numbers, float64, sparse_gradients,
    two_models, moving_average, copied_after_it_was_shown, moved_after_it_was_shown, masks,
    pytest.param(workers, marks=pytest.mark.filterwarnings("ignore:This process .* multi-thr")),
]  # fmt: skip


@pytest.mark.parametrize("training", KINDS)
def test_a_kind_of_training_is_followed_exactly_and_told_from_another(training):
    reference = recorded(training, seeds=(0, 1))
    same = compared(training, reference)
    assert (same.verdict, same.r) == ("unchanged", 0)
    other = compared(partial(training, lr=0.05 * 0.9995), reference)
    assert other.verdict == "changed"
    assert other.tensor
