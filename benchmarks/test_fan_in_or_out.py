"""Fan-in or fan-out: a network whose widths fall trains from He's law with either."""

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import every, he, he_fan_out_, torch_default, zeros_
from initcheck.networks import pooled
from initcheck.probes import test_accuracy

FALLING = pooled(80, 72, 64, 56, 48, 40, 32, 10, by=2)  # 196 inputs, ReLU
RECIPE = Recipe(SGD(lr=0.01, momentum=0.9), batch=32, steps=60)


@claim(
    source="He et al., arXiv 1502.01852, section 2.2, below eq. 14; b-fanin-vs-fanout",
    kind="measured",
    seeds=8,
)
def test_he_trains_a_network_of_falling_widths_by_fan_in_or_fan_out(verdict):
    """Under momentum, seven ReLU layers of falling width learn from He's law with either fan.

    Fan-in keeps the signal and fan-out the gradient; each changes the other by the ratio of the
    widths at the ends only. From torch's default the network stalls.
    """
    default = Arm(FALLING, torch_default, RECIPE)
    by_fan_out = every(he_fan_out_, zeros_, "he, fan-out")
    verdict.gains(test_accuracy, better=Arm(FALLING, he, RECIPE), worse=default, case="fan-in")
    verdict.gains(
        test_accuracy, better=Arm(FALLING, by_fan_out, RECIPE), worse=default, case="fan-out"
    )
