"""The page stands alone, escapes what claims say, and is the same every time."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from initcheck.report import plots
from initcheck.report.followed import envelopes
from initcheck.report.highlights import compared
from initcheck.report.html import page, whole
from initcheck.report.words import WORDS, anchor
from initcheck.results import SIDES, NotJudged
from tests.helpers.results import drift, drifted, example, gain, passing, probe, refuted, result

ROOT = Path(__file__).parents[2]
EVIL = "<script>alert('x')</script>\"><img src=x onerror=y>&"


class Tags(HTMLParser):
    """Collects elements, and fails on one that is closed in the wrong order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.attributes = [], set(), set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "rect", "line", "circle", "wbr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def words_of(text):
    """The words of a page, without its elements."""
    return " ".join(re.sub(r"<[^>]*>", "", text).split())


def test_the_page_needs_nothing_from_elsewhere():
    text = page(example())
    tags = Tags(text)
    assert not tags.seen & {"script", "link", "img", "iframe", "object"}
    assert not tags.attributes & {"src", "onload", "onclick", "style"}
    assert "url(" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))


def test_every_text_is_escaped():
    texts = ("why", "fault", "unit", "case", "reason", "treated_name", "probe")
    evil = probe("refuted", **dict.fromkeys(texts, EVIL))
    claim = replace(result(EVIL, evil), source=EVIL, statement=EVIL)
    run = example(claim, result("crashed", message=EVIL, device=EVIL))
    devices = [{"name": "cpu", "type": "cpu", "hardware": EVIL}]
    results = replace(
        run,
        environment=replace(run.environment, devices=devices, platform=EVIL),
        settings=replace(run.settings, data_root=EVIL),
    )
    text = page(results)
    assert "<script" not in text
    assert "<img" not in text
    assert not Tags(text).attributes & {"onerror", "src"}


def test_the_same_results_give_the_same_page():
    assert page(example()) == page(example())


def test_the_page_shows_each_part_of_a_claim():
    text = page(example(drifted()))
    for fact in ["zeroed_layer_still_learns", "A He start ends with", "notebook 003", "torch"]:
        assert fact in text
    for fact in ["r = 531 of 10", "at step 16, first in fc2", "gain sqrt(2) -&gt; 1"]:
        assert fact in text
    command = "pytest benchmarks/test_examples.py::test_zeroed_layer_still_learns"
    assert f"{command} --initcheck-device cpu" in words_of(text)
    assert "&lt;= 1.2" in text


def test_red_claims_are_listed_and_open_and_green_ones_closed():
    text = page(example(passing(), refuted()))
    assert re.search(r'<details id="claim-1" class="claim pass">', text)
    assert re.search(r'<details id="claim-2" class="claim refuted" open>', text)
    assert '<a href="#claim-2">he_learns_on_cuda</a>' in text.replace("<wbr>", "")
    red = text[text.index('id="not-green"') : text.index('id="closest"')]
    assert '<a href="#claim-1">' not in red


def test_red_parameters_of_a_claim_share_an_entry_and_three_claims_are_open():
    names = ("sgd", "adam", "momentum", "adamw")
    red = [result("a", probe("refuted"), parameters=name) for name in names]
    other = result("a", probe("drifted"), parameters="rmsprop")
    text = page(example(*red, other)).replace("<wbr>", "")
    assert text.count(" open>") == 3
    entries = re.findall(r"<li class=\"(?:refuted|drifted)\">(.*?)</li>", text, re.DOTALL)
    assert len(entries) == 2
    shown = words_of(entries[0])
    assert "Refuted with other parameters, too: adam, momentum, adamw" in shown
    assert entries[0].count('href="#claim-') == 4
    assert "other parameters" not in entries[1]


def test_a_crash_after_green_probes_is_shown():
    claim = replace(passing(), verdict="invalid", message="KeyError: fc9")
    assert "<pre>KeyError: fc9</pre>" in page(example(claim))
    assert "KeyError" not in page(example(replace(claim, verdict="pass")))


def test_parameters_of_a_claim_are_distinguished():
    text = page(example(*(result("a", probe(), parameters=name) for name in ("relu", "tanh"))))
    assert text.count('<details id="') == 2
    for name in ("a[relu]", "a[tanh]"):
        assert f'<span class="name">{name}</span>' in text


def test_a_gain_shows_its_p_value_and_no_margin():
    gained = gain("pass", p_value=0.0021, margin=-0.018, margin_unit="units")
    text = page(example(result("a", gained)))
    assert "<small>p = 0.0021, at most 0.005 shows a gain</small>" in text
    assert "test_accuracy: the gain is shown at p = 0.0021, and 0.005 is needed." in text
    assert "-0.018" not in text


def test_a_limit_that_is_no_place_among_the_values_has_no_line_in_the_legend():
    assert '<span class="limit">limit <b>gain' in page(example(result("a", gain("pass"))))
    assert '<span class="limit"><i></i>limit <b>&lt;= 1.2' in page(example(passing()))


def test_what_limits_a_run_comes_first():
    run = example(passing())
    seeded = replace(run, settings=replace(run.settings, fault="he_gain_one"))
    note = (
        '<p class="note">FAULT he_gain_one is seeded: this run must fail. It tests the claims, not '
        "this machine. It was not caught"
    )
    text = page(seeded)
    assert text.index(note) < text.index('<p class="counts">')
    assert '<p class="note">' not in page(run)
    assert '<p class="note">Run 2: FAULT he_gain_one' in page(run, seeded)
    caught = page(replace(seeded, results=[refuted()]))
    assert '<p class="note good">FAULT he_gain_one is seeded' in caught


def test_a_run_with_a_fault_must_not_become_the_record():
    run = example(drifted())
    seeded = replace(run, settings=replace(run.settings, fault="he_gain_one"))
    assert "record each such claim again" in page(run)
    assert "record each such claim again" not in page(seeded)
    assert "The fault was at work in all that these pictures draw" not in page(run)


def test_arms_of_one_name_are_told_apart_by_their_side():
    alike = probe("pass", treated_name="he", control_name="he")
    text = page(example(result("a", alike)))
    assert "</i>he, treated <b>" in text
    assert "</i>he, control <b>" in text
    assert "</i>he <b>" not in text


def test_each_verdict_that_occurs_has_its_count_the_gravest_first():
    text = page(example(passing(), refuted(), passing()))
    counts = text[text.index('<p class="counts">') :].partition("</p>")[0]
    assert re.findall(r'"verdict (\w+)">(\d \w+)<', counts) == [
        ("refuted", "1 refuted"), ("pass", "2 pass"),
    ]  # fmt: skip


def test_a_limit_that_must_catch_a_fault_says_if_it_is_the_seeded_one():
    claim = result("a", probe("refuted", fault="he_gain_one"))
    plain = example(claim)

    def shown(fault):
        text = page(replace(plain, settings=replace(plain.settings, fault=fault)))
        return re.findall(r"<dt>must catch</dt><dd>(.*?)</dd>", text)

    assert shown(None) == ["he_gain_one"]
    assert shown("he_gain_one") == ["he_gain_one (seeded in this run)"]
    assert shown("leaky_relu") == ["he_gain_one (another one is seeded)"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("treated 5.5e-10..1.42e-9 nats", ["5.5e-10..1.42e-9"]),
        ("limit 0.99..1, control -0.771..-0.499", ["0.99..1", "-0.771..-0.499"]),
        ("p = 1.53e-5, and 0.005", ["1.53e-5"]),
        ("he-convolution, first in hidden1.bias. Then", []),
        ("(seeds 1, 2, ...)", []),
    ],
)
def test_ranges_and_powers_of_ten_stay_on_one_line(text, kept):
    assert re.findall("<span class=w>(.*?)</span>", str(whole(text))) == kept
    assert whole("<b>0.1..0.2</b>") == "&lt;b&gt;<span class=w>0.1..0.2</span>&lt;/b&gt;"


def test_only_what_is_known_and_set_is_a_row_of_the_environment():
    run = example(passing())
    text = page(replace(run, environment=replace(run.environment, initcheck="", platform="")))
    assert '<th scope="row">initcheck</th>' not in text
    assert '<th scope="row">platform</th>' not in text
    assert "False" not in text
    both = page(run, replace(run, environment=replace(run.environment, initcheck="")))
    assert re.search(r'initcheck</th><td data-of="run 1">0.1.0</td><td [^>]*>-</td>', both)


def test_evidence_is_a_sentence_with_its_origin():
    text = page(example(drifted()))
    assert (
        "treated: left its rounding envelope, r = 531 of 10, mean +2.1 standard deviations from "
        "its record (CPU float32, torch 2.14.1, 2026-11-22)"
    ) in text


def test_an_empty_run_is_not_green():
    results = replace(example(), results=[])
    assert '<span class="verdict invalid">' in page(results)


def test_a_hundred_claims_take_less_than_three_seconds():
    values = [0.5 + n / 100 for n in range(16)]
    wide = probe(treated=values, control=[v + 2 for v in values], seeds=list(range(16)))
    results = example(*(result(f"claim_{n}", wide, gain("pass")) for n in range(100)))
    page(results)
    start = time.process_time()
    page(results)
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "values",
    [
        [],
        [0.0],
        [float("nan")],
        [1e308, -1e308],
        [0.0, 5e-324],
        [0.0, 1e-300, 1e300],
        [1.0, 1.0 + 2e-16],
        [-1e9, 1e-9],
        [float("inf"), 3.0],
    ],
    ids=str,
)
def test_any_values_have_a_place(values):
    strip = plots.of_comparison(probe(treated=values, control=values, drift={}, limit={}))
    places = [x for row in strip.rows for x in row.dots] + [x for x, _ in strip.ticks]
    assert all(0 <= x <= 100 for x in places)
    assert len(strip.ticks) <= 8
    assert "nan%" not in page(example(result("a", probe(treated=values, control=values))))


def test_values_of_many_decades_have_a_logarithmic_axis_with_zero_apart():
    axis = plots.axis([0.0, 1e-6, 1e-3, 1.0])
    assert axis.place(0.0) == plots.LEFT
    assert axis.place(1e-6) == plots.AFTER_ZERO
    assert axis.place(1e-3) == (plots.AFTER_ZERO + plots.RIGHT) / 2
    assert [text for _, text in axis.ticks()][:2] == ["0", "1e-6"]


def test_a_recorded_deviation_below_zero_does_not_bend_the_axis():
    arm = drift(recorded_mean=0.001, recorded_std=0.01)
    strip = plots.of_comparison(probe(treated=[0.001], control=[2.0], drift={"treated": arm}))
    assert strip.rows[0].recorded is not None
    assert "0.01" in [text for _, text in strip.ticks]


def test_a_gain_joins_the_two_values_of_each_seed():
    strip = plots.of_comparison(gain("pass"))
    assert len(strip.pairs) == 4
    assert strip.limits == []
    assert plots.of_comparison(probe()).pairs == []


def test_a_limit_that_is_a_count_of_seeds_is_not_drawn_among_values():
    strip = plots.of_comparison(probe(form="rate", treated=[1.0, 0.0], limit={"min": 3}))
    assert (strip.limits, strip.allowed, strip.limit_text) == ([], None, ">= 3")


def test_ticks_tell_close_values_apart():
    texts = [text for _, text in plots.axis([0.1234, 0.1236]).ticks()]
    assert len(set(texts)) == len(texts) > 2


def test_an_arm_that_left_names_its_tensor_and_the_r_of_its_losses():
    left = drift(
        "left", r=628.0, loss_r=1.6, first_step=0, tensor="b.0.n1.weight", tensor_r=99.0, note="so"
    )
    shown = page(example(result("left", probe("drifted", drift={"treated": left}))))
    assert "r = 628 of 10 (1.6 of its losses alone)" in shown
    assert "first outside at step 0: b.0.n1.weight by 99, so" in shown


# --- the top of the page --------------------------------------------------------------------------


def test_the_first_sentence_says_whether_all_holds():
    assert "All 2 claims hold, and training is as recorded." in page(example(passing(), passing()))
    unrecorded = replace(passing(), probes=[probe(drift={})])
    assert "The claim holds. No arm could be compared with recorded" in page(example(unrecorded))
    start = {"treated": drift(r=0.2), "control": drift(r=None, note="it takes no step")}
    some = page(example(passing(), replace(passing(), probes=[probe(drift=start)])))
    judged, arms = compared(example(passing()).results)
    assert f"training is as recorded in all {judged + 1} arms that can be followed." in some
    assert f"{judged + 1} of {arms + 2} arms can be followed step by step." in some
    assert " 1 has no r, each with its reason: it takes no step (1)." in some
    assert "1 of 2 claims is not green: 1 refuted." in page(example(passing(), refuted()))
    lost = NotJudged(id="a[cpu]", reason="it crashed")
    some = replace(example(passing(), passing()), not_judged=[lost])
    assert "All 2 claims hold so far," in page(some)
    assert "Nothing was judged." in page(replace(example(), results=[]))


def test_the_gravest_failure_comes_first_with_what_was_measured_and_the_meaning():
    text = page(example(drifted(), refuted()))
    red = text[text.index('id="not-green"') : text.index('id="followed"')].replace("<wbr>", "")
    assert red.index("he_learns_on_cuda") < red.index("zeroed_layer_still_learns")
    assert "training_loss: treated <span class=w>1.1..2.3</span> nats (he), control" in red
    assert "3 of 4 treated seeds (seeds 11, 12, 14) are outside the limit." in red
    assert "The claim does not hold here." in red
    assert "The claim holds, but training is not as recorded." in red
    assert "The gain is neither shown" not in red


def test_many_failures_are_one_click_away():
    many = [replace(drifted(), claim=f"c{n}", id=f"c{n}[cpu]") for n in range(20)]
    assert "<summary>14 more that are not green</summary>" in page(example(*many))


def test_mechanisms_that_did_not_move_are_one_sentence():
    still = probe(drift={"treated": drift(r=0.0), "control": drift(r=0.0)})
    one = replace(result("still", still), node="benchmarks/test_quiet_ones.py::test_still")
    part = page(example(passing(), one))
    part = part[part.index('id="followed"') : part.index('id="words"')]
    assert "In all other mechanisms r = 0: quiet ones&nbsp;<small>2</small>." in part
    assert part.count("<span>examples") == 1
    assert "No arm moved at all (r = 0): quiet ones" in page(example(one))


def test_a_rate_and_a_limit_say_how_much_room_is_left():
    rate = probe(form="rate", treated=[1.0] * 9, limit={"min": 6}, margin=3, margin_unit="seeds")
    text = page(example(result("a", rate), passing()))
    assert "training_loss: 3 seeds more succeeded than are needed." in text
    assert "0.234 decades from its limit (&lt;= 1.2), which is" in text
    assert "These comparisons are green" not in page(example(refuted()))


def test_every_word_is_explained_and_linked_to():
    text = page(example(drifted()), example(passing()))
    targets = set(re.findall(r'href="#(word[\w-]*)"', text))
    assert len(targets) > 3
    assert targets <= set(re.findall(r' id="([^"]+)"', text))
    for word, meaning in WORDS.items():
        assert f'<dt id="{anchor(word)}">{word}</dt><dd>{meaning}</dd>' in text
    docs = (ROOT / "docs" / "words.md").read_text("utf-8")
    entry = re.compile(r"^\*\*(.+?)\*\*: (.+?)\n\n", re.MULTILINE | re.DOTALL)
    explained = dict(entry.findall(docs + "\n"))
    assert {word: " ".join(said.split()) for word, said in explained.items()} == WORDS


def test_r_of_all_arms_is_one_picture_with_the_farthest_mechanism_first():
    far = replace(drifted(), node="benchmarks/test_far_away.py::test_far")
    text = page(example(passing(), far))
    part = text[text.index('id="followed"') : text.index('id="words"')]
    assert part.index("far away") < part.index("examples")
    assert "6 of 6 arms can be followed step by step." in part
    assert "is <span class=w>0.8..531</span> rounding envelopes; 1 above the 10 allowed." in part
    assert part.count('<circle class="far"') == 1


def test_r_below_a_thousandth_share_a_place_that_says_so():
    def picture(*ratios):
        tiny = probe(drift={side: drift(r=r) for side, r in zip(SIDES, ratios, strict=True)})
        return envelopes([result("a", tiny)])

    seen = picture(1e-12, 5e-4)
    assert len(seen.rows[0].dots) == 1
    assert "<=0.001" in [text for _, text in seen.ticks]
    seen = picture(0.002, 0.02)
    assert len(seen.rows[0].dots) == 2
    assert not any("<" in text for _, text in seen.ticks)


def test_an_r_that_is_no_number_is_drawn_at_the_far_end():
    nan = probe("drifted", drift={"treated": drift("left", r=float("nan"))})
    part = page(example(result("a", nan)))
    assert f'<circle class="far" cx="{plots.RIGHT}%"' in part
