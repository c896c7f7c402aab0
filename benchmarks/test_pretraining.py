"""Pretraining: stacked machines give a deep sigmoid network a start from which it learns."""

from dataclasses import replace

from initcheck import Arm, claim
from initcheck.initializers import glorot, torch_default
from initcheck.notebooks.arms import (
    PRETRAINED,
    SIGMOID_RECIPE,
    START,
    TURNED_ROUND,
    sigmoid_network,
)
from initcheck.probes import test_accuracy
from initcheck.probes.reconstruction import epochs_without_fall, reconstruction_share

DEPTH = 4  # hidden layers
DEEP, SHALLOW = sigmoid_network(DEPTH), sigmoid_network(1)
STACKED = Arm(DEEP, PRETRAINED, SIGMOID_RECIPE)
LONGER = replace(SIGMOID_RECIPE, steps=160)  # until both have learned most of it


@claim(
    source="notebook 004; Hinton, Osindero & Teh 2006; a4-rbm-pretrain, b-rbm-rescues-sigmoid",
    kind="measured",
)
def test_pretraining_rescues_deep_sigmoid_network(verdict):
    """Under SGD with momentum .9 and lr .1, a sigmoid network 196-100x4-10 on 14 x 14 images
    reaches an accuracy of .4 in 80 steps from restricted Boltzmann machines trained by CD-1 on
    1,000 unlabelled images, and from Glorot's normal and torch's default start it does not."""
    verdict.holds(test_accuracy, treated=STACKED, control=Arm(DEEP, glorot, SIGMOID_RECIPE))
    verdict.holds(
        test_accuracy, treated=STACKED, control=Arm(DEEP, torch_default, SIGMOID_RECIPE),
        case="torch's own",
    )  # fmt: skip


@claim(source="notebook 004; a4-rbm-pretrain, b-rbm-rescues-sigmoid", kind="measured")
def test_pretraining_gains_nothing_at_one_layer(verdict):
    """Under SGD with momentum .9 and lr .1, a sigmoid network 196-100-10 on 14 x 14 images that
    starts from a restricted Boltzmann machine trained by CD-1 on 1,000 unlabelled images is after
    160 steps at most .03 more accurate than from Glorot's normal start with zero biases."""
    verdict.gains(
        test_accuracy,
        better=Arm(SHALLOW, glorot, LONGER),
        worse=Arm(SHALLOW, PRETRAINED, LONGER),
    )


@claim(source="Hinton 2002; b-rbm-recon-monotone", kind="measured")
def test_reconstruction_error_falls_every_epoch(verdict):
    """In each of four machines stacked on 14 x 14 images, CD-1 lowers the reconstruction error from
    epoch to epoch for three epochs, and in the lowest one below that of answering with the mean
    image; a machine trained against the sign of contrastive divergence does neither."""
    right, wrong = Arm(DEEP, PRETRAINED, START), Arm(SHALLOW, TURNED_ROUND, START)
    verdict.holds(epochs_without_fall, treated=right, control=wrong)
    verdict.holds(reconstruction_share, treated=right, control=wrong)
