"""Residual streams: each block adds to the second moment, so unscaled blocks double it."""

from functools import partial

from initcheck import Arm, claim
from initcheck.initializers import he_normal_, lecun
from initcheck.initializers.moments import layerwise_
from initcheck.networks.stacks import Shape, stack
from initcheck.notebooks.arms import START
from initcheck.probes.depth import added_moment_error, growth_error

BLOCKS, WIDTH = 16, 256
HE = lecun.but("layers", layerwise_(he_normal_))
PLAIN = Arm(stack(Shape(BLOCKS, WIDTH, skip=True)), HE, START)
SCALED = Arm(stack(Shape(BLOCKS, WIDTH, skip=True, scale=BLOCKS**-0.5)), HE, START)
NORMED = Arm(stack(Shape(BLOCKS, WIDTH, skip=True, norm="batch")), HE, START)


@claim(source="De & Smith, arXiv 2002.10444, section 3; b-residual-blowup", kind="theorem")
def test_unscaled_he_blocks_double_the_moment(verdict):
    """A residual block from He's start doubles the stream's second moment.

    With branches divided by the square root of the number L of blocks, a block multiplies it by
    1 + 1 / L, and all blocks together by less than e.
    """
    doubled, slight = (partial(growth_error, growth=g) for g in (2.0, 1 + 1 / BLOCKS))
    verdict.holds(doubled, treated=PLAIN, control=SCALED, case="unscaled")
    verdict.holds(slight, treated=SCALED, control=PLAIN, case="scaled")


@claim(source="De & Smith, arXiv 2002.10444, section 3; b-residual-blowup", kind="theorem")
def test_batch_norm_makes_the_moment_grow_by_one_a_block(verdict):
    """With batch norm at the end of each branch, l blocks add l to the stream's second moment.

    A branch is then a smaller part of the stream the deeper it is, which favours the skips.
    """
    verdict.holds(added_moment_error, treated=NORMED, control=PLAIN)
