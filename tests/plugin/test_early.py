"""A process that begins early does errands in order, until it is called in."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from initcheck.devices import forks
from initcheck.plugin.prefetch import Early

pytestmark = pytest.mark.skipif(not forks.possible(), reason="no process can be forked here")


def test_it_does_all_errands_where_it_is_given_the_time():
    early = Early([3, 5, 8], lambda number: (number**2, os.getpid()))
    assert {number: square for number, (square, _) in early.found.items()} == {3: 9, 5: 25, 8: 64}
    assert {pid for _, pid in early.found.values()} != {os.getpid()}
    assert early.call_in() == {3, 5, 8}


def test_called_in_it_ends_what_it_has_begun_and_begins_no_more():
    begun, go_on = multiprocessing.Event(), multiprocessing.Event()

    def go(number):
        begun.set()
        go_on.wait()
        return number

    early = Early([3, 5, 8], go)
    begun.wait()
    assert early.call_in() == {3}
    go_on.set()
    assert early.found == {3: 3}


def test_an_errand_that_fails_is_missing():
    early = Early([1, 0, 2], lambda number: 1 / number)
    assert early.found == {1: 1.0, 2: 0.5}
    assert early.call_in() == {0, 1, 2}


def test_nothing_comes_of_a_process_that_died():
    early = Early([1], lambda _: os._exit(3))
    assert early.found == {}


def test_without_errands_there_is_nothing_to_find():
    early = Early([], abs)
    assert early.call_in() == frozenset()
    assert early.found == {}
