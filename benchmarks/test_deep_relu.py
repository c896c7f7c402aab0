"""Deep ReLU networks: how the variance of a start decides whether the first layers get a signal.

Each ReLU layer halves the second moment of its inputs unless the weights make up for it. Glorot's
do by half a factor of 2 too little, torch's default by a factor of 6, so signals and gradients
vanish with depth. Plain steps shrink with the gradient. Adam divides by it, down to its eps.
"""

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import glorot, he, torch_default
from initcheck.networks import pooled
from initcheck.probes.signals import final_nats_learned

DEEP = pooled(*[64] * 16, 10, by=2, bias=False)
DEEPER = pooled(*[64] * 24, 10, by=2, bias=False)
MOMENTUM = Recipe(SGD(lr=0.01, momentum=0.9), batch=32, steps=100)
FASTER = Recipe(SGD(lr=0.1, momentum=0.9), batch=32, steps=100)
ADAM = Recipe(Adam(lr=1e-3), batch=32, steps=80)


@claim(source="He et al. 2015, figure 3; b-he-vs-xavier-30", kind="measured", seeds=8)
def test_deep_relu_network_learns_from_he_and_not_from_glorot(verdict):
    """Under momentum, 16 ReLU layers learn from He's start; from Glorot's they stall.

    Glorot's stalls at the rate 0.01, at which He's learns, and at ten times that. He et al. saw 30
    layers converge from their start and stall from Glorot's.
    """
    trained = Arm(DEEP, he, MOMENTUM)
    stalled = Arm(DEEP, glorot, MOMENTUM, name="glorot, lr 0.01")
    faster = Arm(DEEP, glorot, FASTER, name="glorot, lr 0.1")
    verdict.gains(final_nats_learned, better=trained, worse=stalled)
    verdict.gains(final_nats_learned, better=trained, worse=faster, case="ten times the rate")


@claim(source="Kingma and Ba 2014, algorithm 1; b-adam-rescues-xavier", kind="measured", seeds=10)
def test_adam_trains_deep_network_from_glorot_and_not_from_default(verdict):
    """Under Adam, 24 ReLU layers learn from Glorot's start; from torch's default they stall.

    Glorot's gradients are small but far above Adam's eps. The default's are below it.
    """
    verdict.gains(
        final_nats_learned,
        better=Arm(DEEPER, glorot, ADAM),
        worse=Arm(DEEPER, torch_default, ADAM),
    )
