"""Pretraining: stacked Boltzmann machines give a deep sigmoid network a start that learns."""

from dataclasses import replace

from initcheck import Arm, claim
from initcheck.initializers import every, glorot, glorot_normal_, scaled_, torch_default, zeros_
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
LARGER_GAIN = every(scaled_(glorot_normal_, 4), zeros_, "glorot times 4")
LONGER = replace(SIGMOID_RECIPE, steps=160)  # until both have learned most of what they can


@claim(
    source="notebook 004; Hinton, Osindero & Teh 2006; a4-rbm-pretrain, b-rbm-rescues-sigmoid",
    kind="measured",
)
def test_pretraining_rescues_deep_sigmoid_network(verdict):
    """CD-1 pretraining lets a deep sigmoid network learn under SGD where Glorot's start fails.

    Torch's default start does not either. Pretraining is not the only way: Glorot's weights with a
    larger gain learn without it.
    """
    verdict.holds(test_accuracy, treated=STACKED, control=Arm(DEEP, glorot, SIGMOID_RECIPE))
    verdict.holds(
        test_accuracy, treated=STACKED, control=Arm(DEEP, torch_default, SIGMOID_RECIPE),
        case="torch's own",
    )  # fmt: skip


@claim(source="notebook 004; b-rbm-rescues-sigmoid", kind="measured")
def test_larger_gain_rescues_deep_sigmoid_network(verdict):
    """Under SGD, four times Glorot's weights let a deep sigmoid network learn; Glorot's do not.

    No pretraining is needed.
    """
    verdict.gains(
        test_accuracy,
        better=Arm(DEEP, LARGER_GAIN, SIGMOID_RECIPE),
        worse=Arm(DEEP, glorot, SIGMOID_RECIPE),
    )


@claim(source="notebook 004; a4-rbm-pretrain, b-rbm-rescues-sigmoid", kind="measured")
def test_pretraining_gains_nothing_at_one_layer(verdict):
    """Under SGD, CD-1 pretraining of one sigmoid layer is hardly better than Glorot's start."""
    verdict.gains(
        test_accuracy,
        better=Arm(SHALLOW, glorot, LONGER),
        worse=Arm(SHALLOW, PRETRAINED, LONGER),
    )


@claim(source="Hinton 2002; b-rbm-recon-monotone", kind="measured")
def test_reconstruction_error_falls_every_epoch(verdict):
    """CD-1 lowers the reconstruction error of every stacked Boltzmann machine in every epoch.

    The lowest machine also ends below the error of the mean image. With the sign of the update
    reversed, neither holds.
    """
    right, wrong = Arm(DEEP, PRETRAINED, START), Arm(SHALLOW, TURNED_ROUND, START)
    verdict.holds(epochs_without_fall, treated=right, control=wrong)
    verdict.holds(reconstruction_share, treated=right, control=wrong)
