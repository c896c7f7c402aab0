"""Stacked layers compute for every replica what the plain layer computes for one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Recipe
from initcheck.networks import ACTIVATIONS, Network, mlp
from initcheck.training import stacked
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.agreement import assert_engines_agree


def dense(inputs, outputs=toy.CLASSES, **how):
    return nn.Linear(inputs, outputs, **how)


def conv(channels=1, **how):
    return nn.Conv2d(channels, 3, kernel_size=3, **how)


def ends(inputs):
    """The layers after a convolution whose output has this many numbers."""
    return [nn.ReLU(), nn.Flatten(), dense(inputs)]


def one_relu():
    relu = nn.ReLU()
    return [nn.Flatten(), dense(20, 8), relu, dense(8, 8), relu, dense(8)]


LAYERS = {  # an image is 1 x 4 x 5
    "linear": lambda: [nn.Flatten(), dense(20)],
    "linear without bias": lambda: [nn.Flatten(), dense(20, bias=False)],
    "linear on rows": lambda: [dense(5, 3), nn.Tanh(), nn.Flatten(), dense(12)],
    "relu in place": lambda: [nn.Flatten(), dense(20, 8), nn.ReLU(inplace=True), dense(8)],
    "relu in place on rows": lambda: [dense(5, 3), nn.ReLU(inplace=True), nn.Flatten(), dense(12)],
    "one relu in two places": one_relu,
    "leaky relu": lambda: [nn.Flatten(), dense(20, 8), nn.LeakyReLU(0.3), dense(8)],
    "softplus": lambda: [nn.Flatten(), dense(20, 8), nn.Softplus(beta=2), dense(8)],
    "nested": lambda: [nn.Sequential(nn.Flatten(), nn.Sequential(dense(20, 8))), dense(8)],
    "nothing inside": lambda: [nn.Flatten(), nn.Sequential(), dense(20)],
    "conv": lambda: [conv(), *ends(18)],
    "conv without bias": lambda: [conv(bias=False), *ends(18)],
    "conv padded": lambda: [conv(padding=1), nn.ReLU(), conv(3, padding="same"), *ends(60)],
    "conv strided": lambda: [conv(stride=2, padding=1), *ends(18)],
    "conv dilated": lambda: [conv(dilation=(1, 2)), *ends(6)],
    "max pooling": lambda: [conv(padding=1), nn.MaxPool2d(2), *ends(12)],
    "mean pooling": lambda: [conv(padding=1), nn.AvgPool2d(2), *ends(12)],
    "pooling first": lambda: [nn.AvgPool2d(2), nn.Flatten(), dense(4, 8), nn.ReLU(), dense(8)],
    "pooling first, twice": lambda: [nn.MaxPool2d(2), nn.AvgPool2d((2, 1)), *ends(2)],
    "pooling before a convolution": lambda: [nn.AvgPool2d((1, 2)), nn.Conv2d(1, 3, 2), *ends(9)],
    "pooling behind nothing": lambda: [nn.Sequential(), nn.MaxPool2d(2), *ends(4)],
    "pooling inside": lambda: [nn.Sequential(nn.AvgPool2d(2), nn.Flatten()), dense(4)],
    "adaptive pooling": lambda: [conv(padding=1), nn.AdaptiveAvgPool2d(1), *ends(3)],
    "batch norm": lambda: [nn.Flatten(), dense(20, 8), nn.BatchNorm1d(8), nn.ReLU(), dense(8)],
    "batch norm of images": lambda: [conv(), nn.BatchNorm2d(3), *ends(18)],
    "batch norm, momentum": lambda: [nn.Flatten(), nn.BatchNorm1d(20, momentum=0.5), dense(20)],
    "batch norm, not affine": lambda: [nn.Flatten(), nn.BatchNorm1d(20, affine=False), dense(20)],
    "batch norm, no statistics": lambda: [
        nn.Flatten(), nn.BatchNorm1d(20, track_running_stats=False), dense(20),
    ],
}  # fmt: skip


class Negating(nn.Sequential):
    """An empty container that still computes something."""

    def forward(self, x):
        return super().forward(-x)


class Countable(nn.Tanh):
    """A layer that is falsy in Python."""

    def __len__(self):
        return 0


UNSTACKED = {  # layers that look stackable and are not, with what runs instead
    "conv in groups": lambda: [conv(), nn.Conv2d(3, 3, 2, groups=3), *ends(6)],
    "conv around the edge": lambda: [conv(padding=1, padding_mode="circular"), *ends(60)],
    "flatten in part": lambda: [nn.Flatten(1, 2), nn.Flatten(), dense(20)],
    "an empty container's own": lambda: [Negating(), nn.Flatten(), dense(20)],
    "a layer of length zero": lambda: [nn.Flatten(), Countable(), dense(20)],
    "layer norm": lambda: [nn.Flatten(), nn.LayerNorm(20), dense(20)],
    "one slope a channel": lambda: [nn.Flatten(), dense(20, 8), nn.PReLU(8), dense(8)],
}


def arm_of(layers, recipe=toy.RECIPE):
    return toy.default_arm(Network("layers", lambda: nn.Sequential(*layers())), recipe)


@pytest.mark.parametrize("layers", LAYERS)
def test_stacked_layers_follow_plain_ones(layers):
    assert_engines_agree(arm_of(LAYERS[layers]))


@pytest.mark.parametrize("layers", UNSTACKED)
def test_other_layers_are_mapped_by_torch_func(layers):
    assert_engines_agree(arm_of(UNSTACKED[layers]), named="ensemble (torch.func)")


def test_pooling_that_comes_first_is_done_once(monkeypatch):
    """Once for all steps and replicas, and the images of the data stay unchanged."""
    seen = []
    stacked.POOLED.clear()  # another test may have pooled them
    monkeypatch.setattr(nn.AvgPool2d, "forward", _noting(seen, nn.AvgPool2d.forward))
    train(arm_of(LAYERS["pooling first"]), (3, 5), toy.data())
    assert seen == [toy.data().train_inputs.shape]


def test_images_are_pooled_once_for_all_arms_until_they_change(monkeypatch):
    seen, images = [], torch.rand(3, 1, 4, 4)
    monkeypatch.setattr(nn.AvgPool2d, "forward", _noting(seen, nn.AvgPool2d.forward))

    def pooled(by=2, **options):
        layers = nn.Sequential(nn.AvgPool2d(by, **options), nn.Flatten())
        return stacked.pooled_first([layers], images)[1]

    assert pooled() is pooled()
    assert len(seen) == 1
    for other in (pooled(4), pooled(padding=1), pooled(padding=1, count_include_pad=False)):
        assert not torch.equal(other, pooled())
    before = pooled()
    images.mul_(2)
    assert torch.equal(pooled(), 2 * before)


def _noting(seen, forward):
    def noted(self, x):
        seen.append(x.shape)
        return forward(self, x)

    return noted


def test_pooling_with_a_hook_is_left_to_plain_steps():
    def hooked():
        pool = nn.AvgPool2d(2)
        pool.register_forward_hook(lambda _, __, y: 2 * y)
        return [pool, nn.Flatten(), dense(4)]

    assert_engines_agree(arm_of(hooked), named="ensemble (torch.func)")


def with_forward(layer, forward):
    """The layer with this function of itself and its input as ``forward``."""
    layer.forward = lambda x: forward(layer, x)
    return layer


REPLACED = {
    "linear": lambda: [
        nn.Flatten(), dense(20, 8), with_forward(dense(8), lambda m, x: 2 * x @ m.weight.T),
    ],
    "pooling first": lambda: [
        with_forward(nn.AvgPool2d(2), lambda _, x: nn.functional.max_pool2d(x, 2)), *ends(4),
    ],
}  # fmt: skip


@pytest.mark.parametrize("layers", REPLACED)
def test_a_replaced_forward_takes_plain_steps(layers):
    assert_engines_agree(arm_of(REPLACED[layers]), named="module")


def test_a_layer_with_a_replaced_forward_is_trained():
    """Also with one replica, whose copy would use the original's weight in forward."""
    arm = arm_of(REPLACED["linear"])
    losses = [train(arm, (3,), toy.data(), engine=e).losses for e in ("ensemble", "module")]
    assert torch.equal(*losses)


def test_a_cumulative_mean_takes_plain_steps():
    def norm():
        return [nn.Flatten(), nn.BatchNorm1d(20, momentum=None), dense(20)]

    assert_engines_agree(arm_of(norm), named="module")


REFUSED = {
    "rows": (lambda: [nn.Flatten(), nn.BatchNorm2d(20), dense(20)], "expected 4D input"),
    "images": (lambda: [nn.BatchNorm1d(1), nn.Flatten(), dense(20)], "expected 2D or 3D input"),
}


@pytest.mark.parametrize("engine", ["ensemble", "module"])
@pytest.mark.parametrize(("layers", "sentence"), REFUSED.values(), ids=REFUSED)
def test_batch_norm_of_the_wrong_kind_raises_torchs_error(layers, sentence, engine):
    with pytest.raises(ValueError, match=sentence):
        train(arm_of(layers), (3, 5), toy.data(), engine=engine)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_follow_plain_ones(name):
    assert_engines_agree(toy.arm(mlp(20, 16, 12, 4, activation=name)))


@pytest.mark.parametrize("layers", ["linear", "conv padded", "max pooling", "batch norm of images"])
def test_float64_follows_plain_layers(layers):
    recipe = Recipe(SGD(lr=0.1), batch=8, steps=12, dtype="float64")
    assert_engines_agree(arm_of(LAYERS[layers], recipe))


def test_running_statistics_do_not_rely_on_views(monkeypatch):
    """A kernel of torch_xla 2.9 writes its results into a view's own copy, and not through it."""
    kernel = torch.nn.functional.batch_norm

    def into_copies(x, mean, var, *args, **kwargs):
        mean, var = (t.clone() if t._is_view() else t for t in (mean, var))
        return kernel(x, mean, var, *args, **kwargs)

    arm = arm_of(LAYERS["batch norm of images"])
    through = train(arm, (1, 2), toy.data())
    monkeypatch.setattr(torch.nn.functional, "batch_norm", into_copies)
    shown = train(arm, (1, 2), toy.data())
    assert shown.engine == through.engine == "ensemble"
    for name, start in arm.build(1).named_buffers():
        assert torch.equal(shown.buffers[name], through.buffers[name]), name
        assert not torch.equal(shown.buffers[name][0], start)
