"""The verdict of live retention: laws of its exact test, its gates, and how often it is wrong if the truth is known."""

from collections.abc import Iterator
from itertools import combinations
from math import comb, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtest.errors import RetentionError
from convtest.retention.exact import Stratum, holm, p_about, p_of_drop
from convtest.retention.intervals import newcombe, wilson
from convtest.retention.power import Gates, Spread, power_of
from convtest.retention.verdict import Compared, judged
from tests.retention_runs import Shape, Truth, by_trunk, pairs, regressed, regressed_by_probe

FULL = 4
COUNTS = st.lists(st.integers(0, FULL), min_size=1, max_size=3).map(tuple)
STRATA = st.lists(st.builds(Stratum, COUNTS, COUNTS, st.just(FULL)), min_size=1, max_size=3)
BITS = st.lists(st.integers(0, 1), min_size=1, max_size=4).map(tuple)
SINGLE = st.lists(st.builds(Stratum, BITS, BITS, st.just(1)), min_size=1, max_size=5)


def sums(one: Stratum) -> Iterator[int]:
    every = [*one.base, *one.now]
    return (sum(every[at] for at in chosen) for chosen in combinations(range(len(every)), len(one.now)))


@given(STRATA)
def test_every_choice_of_trunks_is_counted(strata: list[Stratum]) -> None:
    totals = [0]
    for one in strata:
        totals = [before + more for before in totals for more in sums(one)]
    seen = sum(sum(one.now) for one in strata)

    assert p_of_drop(strata) == pytest.approx(sum(one <= seen for one in totals) / len(totals))


@given(SINGLE)
def test_with_one_probe_a_trunk_it_is_the_stratified_exact_conditional_test(strata: list[Stratum]) -> None:
    chances = {0: 1.0}
    for one in strata:
        held, trunks, now = sum(one.base) + sum(one.now), len(one.base) + len(one.now), len(one.now)
        own = {k: comb(held, k) * comb(trunks - held, now - k) / comb(trunks, now) for k in range(held + 1) if k <= now}
        chances = {
            total: sum(chances.get(total - k, 0.0) * p for k, p in own.items())
            for total in range(max(chances) + max(own) + 1)
        }
    seen = sum(sum(one.now) for one in strata)

    assert p_of_drop(strata) == pytest.approx(sum(p for total, p in chances.items() if total <= seen))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_with_one_trunk_a_side_it_is_mcnemars(pairs: list[tuple[int, int]]) -> None:
    losses, gains = pairs.count((1, 0)), pairs.count((0, 1))
    among = losses + gains
    expected = sum(comb(among, k) for k in range(gains + 1)) / 2**among

    assert p_of_drop([Stratum((before,), (after,), 1) for before, after in pairs]) == pytest.approx(expected)


@given(STRATA)
def test_a_trunk_that_holds_less_makes_it_no_less_likely_a_drop(strata: list[Stratum]) -> None:
    first = strata[0]
    worse = Stratum(first.base, (0, *first.now[1:]), FULL)
    other_way = [Stratum(one.now, one.base, FULL) for one in strata]

    assert p_of_drop([worse, *strata[1:]]) <= p_of_drop(strata) + 1e-12
    assert p_of_drop(strata) + p_of_drop(other_way) >= 1 - 1e-12
    assert p_of_drop(list(reversed(strata))) == p_of_drop(strata)


def test_of_many_trunks_the_normal_curve_says_about_the_same() -> None:
    for drop in (0.0, 0.05):
        for pair in pairs(Truth(rate=0.9), drop, Shape(10, 5, 10), 20, seed=5):
            assert p_about(by_trunk(*pair)) == pytest.approx(p_of_drop(by_trunk(*pair)), abs=0.01)


def test_parts_of_a_probe_change_nothing() -> None:
    base, now = next(pairs(Truth(rate=0.8), 0.1, Shape(6, 5, 8), 1, seed=5))
    strata = by_trunk(base, now)
    fine = [Stratum(tuple(8 * n for n in one.base), tuple(8 * n for n in one.now), one.probes, 8) for one in strata]

    assert judged(Compared(strata=fine)) == judged(Compared(strata=strata))


def test_five_losses_and_no_gain_are_the_first_that_say_something() -> None:
    assert p_of_drop([Stratum((1,), (0,), 1)] * 5) == 1 / 32
    assert p_of_drop([Stratum((1,), (0,), 1)] * 4) == 1 / 16


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), max_size=6))
def test_holm_only_raises_and_keeps_the_order(found: dict[str, float]) -> None:
    adjusted = holm(found)

    assert all(found[name] <= adjusted[name] <= 1 for name in found)
    ordered = sorted(found, key=found.__getitem__)
    assert [adjusted[name] for name in ordered] == sorted(adjusted.values())


def test_holm_as_in_a_textbook() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


@pytest.mark.parametrize(
    ("held", "trials", "interval"),
    [(3, 3, (0.4385, 1)), (20, 20, (0.8389, 1)), (0, 10, (0, 0.2775)), (81, 263, (0.2553, 0.3662)), (0, 0, (0, 1))],
)
def test_wilson(held: int, trials: int, interval: tuple[float, float]) -> None:
    assert wilson(held, trials) == pytest.approx(interval, abs=1e-4)


@pytest.mark.parametrize(
    ("base", "now", "interval"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 10), (0.6075, 1)),
        ((0, 0), (1, 2), (-1, 1)),
    ],
)
def test_newcombe(base: tuple[int, int], now: tuple[int, int], interval: tuple[float, float]) -> None:
    """The first three stand in table II of Newcombe 1998, as method 10."""
    assert newcombe(base, now) == pytest.approx(interval, abs=1e-4)


def same(held: int, templates: int = 20, repeats: int = 5, now: int | None = None) -> list[Stratum]:
    return [Stratum((held,) * repeats, (held if now is None else now,) * repeats, 10)] * templates


def test_a_plain_drop_is_regressed() -> None:
    verdict = judged(Compared(strata=same(10, now=9)))

    assert (verdict.word, verdict.code) == ("regressed", 1)
    assert verdict.why[0].startswith(
        "100.0% held in the baseline, 90.0% now: a drop of 0.100 (at least 0.05 counts), p = 0.0"
    )


def test_all_that_is_lost_is_regressed_with_few_trunks_too() -> None:
    assert judged(Compared(strata=same(10, templates=1, now=0))).word == "regressed"


def test_a_drop_that_nobody_would_mind_is_none_however_sure_it_is() -> None:
    strata = [Stratum((100,) * 5, (96,) * 5, 100)] * 20

    assert p_of_drop(strata) < 1e-6
    assert judged(Compared(strata=strata)).word == "no change detected"


def test_a_gain_is_no_drop() -> None:
    assert judged(Compared(strata=same(8, now=10))).code == 0


def test_a_small_run_is_underpowered_and_says_how_many_trunks_would_do() -> None:
    truth = Truth(rate=0.9)
    base, now = next(pairs(truth, 0.0, Shape(4, 5, 10), 1, seed=1))
    strata = by_trunk(base, now)

    verdict = judged(Compared(strata=strata))

    assert (verdict.word, verdict.code) == ("underpowered", 0)
    assert verdict.enough is not None
    assert (
        verdict.why[1] == f"{verdict.enough} trunks a side would do: --repeats {verdict.enough // 4} with 4 templates"
    )
    spread = Spread.seen(strata)
    assert power_of(strata, Gates(), spread, verdict.enough // 4) >= 0.8 > power_of(strata, Gates(), spread)


def test_fewer_than_twenty_trunks_rule_nothing_out() -> None:
    verdict = judged(Compared(strata=[Stratum((200,) * 5, (200,) * 5, 200)] * 3))

    assert verdict.word == "underpowered"
    assert verdict.why[0] == "15 trunks a side: fewer than 20 cannot rule a change out"


def test_a_baseline_that_holds_nothing_has_nothing_to_lose() -> None:
    verdict = judged(Compared(strata=same(0)))

    assert verdict.word == "underpowered"
    assert "there is no drop of 0.10 to be seen" in verdict.why[0]


def test_a_leak_needs_no_statistics() -> None:
    verdict = judged(Compared(strata=same(10), hard=["codeword-1@1-after@5: Quill, of another session, was named"]))

    assert (verdict.code, verdict.why) == (1, ("codeword-1@1-after@5: Quill, of another session, was named",))


@pytest.mark.parametrize(("silent", "error"), [((50, 0), False), ((51, 0), True), ((0, 51), True)])
def test_more_than_one_in_twenty_without_a_reply_is_an_error(silent: tuple[int, int], error: bool) -> None:
    compared = Compared(strata=same(10), silent=((silent[0], 1000), (silent[1], 1000)))
    if not error:
        assert judged(compared).word == "no change detected"
        return
    with pytest.raises(RetentionError, match=r"51 of 1000 probes of (the baseline|this run) had no reply"):
        judged(compared)


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(RetentionError, match="nothing can be compared"):
        judged(Compared(strata=[Stratum((), (3,), 4)]))


def test_families_allow_for_there_being_several() -> None:
    families = {"recall": same(10, templates=1, repeats=4, now=0), "order": same(10), "overwrite": same(9)}

    verdict = judged(Compared(strata=same(10), families=families))

    assert verdict.families["recall"].p == pytest.approx(3 / comb(8, 4))
    assert verdict.families["recall"].drop == 1.0
    assert verdict.families["order"].p == verdict.families["overwrite"].p == 1.0


@pytest.mark.parametrize("derailed", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("rate", [0.98, 0.7])
def test_where_nothing_changed_it_is_seldom_called_regressed(rate: float, derailed: float) -> None:
    by_chance = 2 * sqrt(0.05 * 0.95 / 200)

    assert regressed(Truth(rate=rate, derailed=derailed), 0.0, Shape(6, 5, 8), 200, seed=7) <= 0.05 + by_chance


def test_probes_of_one_conversation_are_no_units() -> None:
    assert regressed_by_probe(Truth(rate=0.95, derailed=0.05), Shape(6, 5, 8), 100, seed=7) > 0.1


def test_a_real_drop_is_seen() -> None:
    assert regressed(Truth(rate=0.98), 0.1, Shape(20, 5, 10), 50, seed=7) > 0.9


@settings(max_examples=30)
@given(st.floats(0.2, 0.95), st.floats(0.02, 0.6))
def test_how_trunks_differ_is_found_again(rate: float, correlation: float) -> None:
    truth = Truth(rate=rate, both=1 / correlation - 1)
    base, now = next(pairs(truth, 0.0, Shape(160, 10, 10), 1, seed=3))

    seen = Spread.seen(by_trunk(base, now))

    assert seen.rate == pytest.approx(rate, abs=0.1)
    assert seen.correlation == pytest.approx(max(correlation, 0.05), abs=0.15)
