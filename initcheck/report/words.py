"""The words that a page uses before a student knows them; ``docs/words.md`` has the same."""

from __future__ import annotations

from initcheck.results import ENVELOPE_LIMIT

WORDS: dict[str, str] = {
    "claim": "A statement about how networks start, such as: an all-zero network stays symmetric. "
    "It comes with an experiment that can show it to be wrong.",
    "arm": "One experiment of a claim: a network, an initializer, a recipe for training, and data. "
    "It is trained once per seed.",
    "treated and control": "The two arms that a claim compares. The claim is about the treated "
    "arm. The control arm must fail the same limit, which shows that the measurement can see the "
    "difference.",
    "probe": "What is measured on a trained arm, one number per seed, such as the test accuracy.",
    "seed": "The number from which random weights and the order of images are drawn. Several seeds "
    "show how much a result varies by chance.",
    "limit and margin": "The limit is the value that separates treated from control. The margin is "
    "the smallest distance of any seed to it.",
    "record, or evidence": "What an earlier run stored about both arms: their losses, weights and "
    "results.",
    "rounding envelope": "How far training moves if numbers are rounded a little differently, as "
    "on another processor. It is measured by training twins that differ by rounding alone.",
    "r": "The distance of a run from its record, counted in rounding envelopes. 0 means equal bit "
    "by bit, 1 is what rounding does, and training has changed if r is above "
    f"{ENVELOPE_LIMIT}. Arms that cannot be compared have no r.",
    "outcomes": "The values of the probe, compared with those of many recorded seeds. If they are "
    "unmoved, the change does not show in final results. They are not compared if too few seeds "
    "were recorded, or if all of their values are equal.",
    "refuted": "A claim is refuted if treated or control are not on their side of the limit, and "
    "with fresh seeds are not either.",
    "drift": "A claim has drifted if it still holds, but an arm no longer trains as recorded.",
    "exact, theorem, measured": "How sure a claim is. An exact one holds bit by bit, and its limit "
    "never moves. A theorem holds up to rounding. A measured one was found by experiment and holds "
    "with its margin for the recipe that it names.",
    "nat": "The unit of a cross-entropy with the natural logarithm. Guessing among ten classes "
    "costs ln 10 = 2.303 nats.",
    "must catch": "The fault that each limit must turn red. It is named with the limit.",
    "fault": "A mistake that is built in on purpose, to see that claims notice it.",
    "green and red": "A claim that passes is green. All other verdicts are red.",
}


def anchor(word: str) -> str:
    """The id of a word's entry on the page."""
    return "word-" + word.partition(" ")[0].strip(",")
