"""`--initcheck-profile`: where the time went, by purpose and by arm."""

from __future__ import annotations

import pytest

from initcheck.gate.profile import SLOWEST, Profile


class Clock:
    """Goes only where it is put."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def profile(clock):
    return Profile(clock)


def test_what_runs_inside_another_purpose_counts_for_itself_alone(profile, clock):
    with profile.spent("statistics"):
        clock.now += 1
        with profile.spent("probing"):
            clock.now += 2
            with profile.spent("training", "an arm"):
                clock.now += 4
            clock.now += 8
        with profile.spent("training", "another arm"):
            clock.now += 16
        clock.now += 32
    assert profile.purposes == {"statistics": 33, "probing": 10, "training": 20}
    assert profile.arms == {"an arm": 4, "another arm": 16}


def test_a_crash_is_counted_too(profile, clock):
    def crash():
        with profile.spent("training", "an arm"):
            clock.now += 3
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        crash()
    assert profile.arms == {"an arm": 3}


def test_lines_give_shares_and_the_slowest_arms_first(profile, clock):
    for number in range(SLOWEST + 2):
        with profile.spent("training", f"arm {number}"):
            clock.now += number + 1
    with profile.spent("start-up"):
        clock.now += 22
    shares, *arms = profile.lines()
    assert shares == "profile: training 78%, start-up 22% of 100.0 s; the slowest arms:"
    assert len(arms) == SLOWEST
    assert arms[0].split() == ["12.00", "s", "arm", "11"]


def test_profile_is_printed_where_it_was_asked_for(project):
    said = project.run("--initcheck-device=cpu", "--initcheck-profile").output
    assert "profile: " in said
    assert all(purpose in said for purpose in ("training", "probing", "statistics", "start-up"))
    assert "s  mlp 784-8-10 relu | zeros" in said


def test_no_profile_unless_asked_for(project):
    assert "profile: " not in project.run("--initcheck-device=cpu").output
