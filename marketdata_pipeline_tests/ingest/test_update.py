"""The one call behind backfill, refresh and repair."""

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.errand import Errand, Priority
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reply import Reply
from marketdata_pipeline.domain.resample import derive
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.thresholds import Thresholds
from marketdata_pipeline.errors import (
    Blocked,
    CircuitOpen,
    CredentialsRefused,
    MalformedReply,
    OutOfDepth,
    ProviderError,
    RateLimited,
    SplitContradicted,
    StoreError,
    Unavailable,
    UnknownSymbol,
)
from marketdata_pipeline.ingest.judge import Judge, Judgement
from marketdata_pipeline.ingest.track import track
from marketdata_pipeline_tests.fakes import FrozenClock, Lines
from marketdata_pipeline_tests.ingest.world import USUAL, TruthProvider, World, day, days, walk

AAPL = Series.parse("AAPL|1d")
WEEKLY = Series.parse("AAPL|1wk")
YEAR = days("2023-03-15", "2024-03-16")
FOUR_TO_ONE = Action(date(2024, 1, 10), ActionKind.SPLIT, Fraction(4))


@pytest.fixture(autouse=True)
def _truth(world: World) -> None:
    world.provider.truth = {AAPL: walk(AAPL, YEAR)}
    world.provider.first_trade = date(2023, 3, 15)


def _split_in_four(world: World) -> None:
    world.provider.actions = (FOUR_TO_ONE,)
    world.provider.truth = {AAPL: walk(AAPL, YEAR, FOUR_TO_ONE)}


def test_an_update_stores_exactly_what_was_traded(world: World) -> None:
    outcome = world.updater.update(AAPL)
    assert outcome.error is None
    assert outcome.rows_new == outcome.rows == len(world.provider.truth[AAPL]) == 253
    pd.testing.assert_frame_equal(world.store.read(AAPL), world.provider.truth[AAPL])


def test_a_second_update_sends_no_request(world: World) -> None:
    world.updater.update(AAPL)
    again = world.updater.update(AAPL)
    assert len(world.provider.asked) == 1
    assert (again.rows_new, again.requests, again.error) == (0, 0, None)
    assert again.rows == 253


def test_the_next_day_the_new_bar_and_those_to_be_settled_are_asked_for_at_once(
    world: World,
) -> None:
    world.updater.update(AAPL)
    world.provider.truth = {AAPL: walk(AAPL, days("2023-03-15", "2024-03-19"))}
    world.clock.advance(timedelta(days=3))
    outcome = world.updater.update(AAPL)
    assert world.provider.asked[-1] == (AAPL, days("2024-03-13", "2024-03-19"))
    assert (outcome.requests, outcome.rows_new, outcome.rows) == (1, 1, 254)


def test_prices_before_a_split_are_stored_as_traded(world: World) -> None:
    _split_in_four(world)
    world.updater.update(AAPL)
    pd.testing.assert_frame_equal(world.store.read(AAPL), world.provider.truth[AAPL])


def test_a_window_that_ends_before_a_split_is_unsplit_too(world: World) -> None:
    _split_in_four(world)
    outcome = world.updater.update(AAPL, days("2023-06-01", "2023-07-01"))
    stored = world.store.read(AAPL)
    assert outcome.rows_new == len(stored) == 21
    pd.testing.assert_frame_equal(stored, world.provider.truth[AAPL].loc[stored.index])


def test_actions_are_asked_for_when_the_reply_cannot_tell_them(world: World) -> None:
    class Narrow(TruthProvider):
        def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
            reply = super().fetch(series, window, errand)
            inside = tuple(one for one in reply.actions if one.ex_date < window.end.date())
            return replace(reply, actions=inside, actions_within=window)

    _split_in_four(world)
    truth = world.provider.truth
    provider = Narrow(truth, world.clock, actions=(FOUR_TO_ONE,), first_trade=date(2023, 3, 15))
    outcome = world.updater_over(provider).update(AAPL, days("2023-06-01", "2023-07-01"))
    assert outcome.error is None
    assert outcome.requests == len(provider.asked) == 2
    stored = world.store.read(AAPL)
    pd.testing.assert_frame_equal(stored, truth[AAPL].loc[stored.index])


def test_payments_are_stored_as_they_were_paid(world: World) -> None:
    _split_in_four(world)
    paid = [
        Action(date(2023, 8, 11), ActionKind.DIVIDEND, Fraction(265, 100)),
        Action(date(2024, 2, 9), ActionKind.DIVIDEND, Fraction(24, 100)),
    ]
    world.provider.actions = (FOUR_TO_ONE, *paid)
    for _ in range(2):
        world.updater.update(AAPL, days("2023-06-01", "2023-09-01"))
        world.updater.update(AAPL)
        known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument]
        assert sorted(known.actions) == sorted([FOUR_TO_ONE, *paid])


def test_a_reply_that_forgot_a_known_split_is_refused(world: World) -> None:
    _split_in_four(world)
    world.updater.update(AAPL, days("2024-01-02", "2024-03-16"))
    world.provider.unsplit = True
    outcome = world.updater.update(AAPL, days("2023-12-01", "2024-03-16"))
    assert isinstance(outcome.error, SplitContradicted)
    assert outcome.rows == world.store.read(AAPL).index.size == 52


def test_a_session_that_the_reply_lacks_is_a_hole_and_is_asked_again_when_due(
    world: World,
) -> None:
    lost = day("2024-02-14")
    world.provider.lacking = {lost}
    outcome = world.updater.update(AAPL)
    assert outcome.rows == 252
    hole = world.store.coverage([AAPL])[AAPL].holes()
    assert [one.within for one in hole] == [days("2024-02-14", "2024-02-15")]
    world.clock.advance(timedelta(minutes=59))
    assert world.updater.update(AAPL).requests == 0
    world.clock.advance(timedelta(minutes=2))
    assert world.updater.update(AAPL).requests == 1
    assert world.provider.asked[-1] == (AAPL, days("2024-02-14", "2024-02-15"))
    world.provider.lacking = set()
    world.clock.advance(timedelta(hours=6))
    assert world.updater.update(AAPL).rows_new == 1
    assert not world.store.coverage([AAPL])[AAPL].holes()


def test_a_holiday_is_never_asked_for_again(world: World) -> None:
    world.updater.update(AAPL)
    world.clock.advance(timedelta(hours=40))
    assert world.updater.update(AAPL).requests == 0
    assert not world.store.coverage([AAPL])[AAPL].holes()


def test_a_single_bad_row_is_dropped_recorded_and_becomes_a_hole(world: World) -> None:
    truth = world.provider.truth[AAPL].copy()
    truth.loc[day("2024-02-14"), "high"] = 1.0
    world.provider.truth = {AAPL: truth}
    outcome = world.updater.update(AAPL)
    assert (outcome.error, outcome.rows) == (None, 252)
    holes = world.store.coverage([AAPL])[AAPL].holes()
    assert [one.within for one in holes] == [days("2024-02-14", "2024-02-15")]


def test_a_reply_with_many_bad_rows_is_refused_whole(world: World) -> None:
    truth = world.provider.truth[AAPL].copy()
    truth.loc[truth.index[10:14], "low"] = 1e6
    world.provider.truth = {AAPL: truth}
    outcome = world.updater.update(AAPL)
    assert isinstance(outcome.error, MalformedReply)
    assert world.store.read(AAPL).empty
    assert not world.store.coverage([AAPL])[AAPL].spans


def test_a_weekly_series_is_derived_and_its_base_is_updated_first(world: World) -> None:
    _split_in_four(world)
    outcome = world.updater.update(WEEKLY)
    assert outcome.error is None
    truth = derive(world.provider.truth[AAPL], WEEKLY, [FOUR_TO_ONE])
    pd.testing.assert_frame_equal(world.store.read(WEEKLY), truth)
    assert world.store.read(AAPL).index.size == 253


def test_a_forming_week_is_not_stored(world: World) -> None:
    world.clock.market = world.clock.wall = datetime(2024, 3, 14, 21, tzinfo=UTC)
    world.updater.update(WEEKLY)
    assert world.store.read(WEEKLY).index[-1] == pd.Timestamp("2024-03-04", tz="UTC")
    assert world.store.read(AAPL).index[-1] == pd.Timestamp("2024-03-14", tz="UTC")


def test_a_derived_bar_follows_when_its_base_heals(world: World) -> None:
    world.provider.lacking = {day("2024-02-13")}
    list(world.updater.update_many([AAPL, WEEKLY]))
    before = world.store.read(WEEKLY).loc[day("2024-02-12")]
    holes = world.store.coverage([WEEKLY])[WEEKLY].holes()
    assert [one.within for one in holes] == [days("2024-02-12", "2024-02-19")]
    world.provider.lacking = set()
    world.clock.advance(timedelta(hours=2))
    outcomes = {one.series: one for one in world.updater.update_many([AAPL, WEEKLY])}
    assert (outcomes[AAPL].rows_new, outcomes[WEEKLY].rows_new) == (1, 0)
    after = world.store.read(WEEKLY).loc[day("2024-02-12")]
    assert after["volume"] > before["volume"]
    assert not world.store.coverage([WEEKLY])[WEEKLY].holes()
    truth = derive(world.provider.truth[AAPL], WEEKLY, [])
    pd.testing.assert_frame_equal(world.store.read(WEEKLY), truth)


def test_a_series_without_a_provider_says_so(world: World) -> None:
    outcome = world.updater_over().update(AAPL)
    assert isinstance(outcome.error, Unavailable)


def test_the_next_provider_is_asked_when_one_is_unavailable(world: World) -> None:
    broken = TruthProvider({}, world.clock, failures=[Unavailable("down")] * 9)
    outcome = world.updater_over(broken, world.provider).update(AAPL)
    assert (outcome.error, outcome.rows) == (None, 253)
    assert len(broken.asked) == 6, "once all attempts have failed"
    assert len(world.provider.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        Blocked("shut"),
        CircuitOpen("shut", retry_at=datetime(2024, 3, 16, tzinfo=UTC)),
        CredentialsRefused("all keys are refused"),
    ],
)
def test_the_next_provider_is_asked_at_once_when_one_turns_us_away(
    world: World, error: ProviderError
) -> None:
    shut = TruthProvider({}, world.clock, failures=[error])
    outcome = world.updater_over(shut, world.provider).update(AAPL)
    assert (outcome.error, outcome.rows) == (None, 253)
    assert len(shut.asked) == 1
    assert world.clock.slept == []


def test_an_outage_that_passes_is_waited_out_and_its_requests_count(world: World) -> None:
    down = Unavailable("down")
    down.requests = 1
    world.provider.failures = [down, down]
    outcome = world.updater.update(AAPL)
    assert (outcome.error, outcome.rows, outcome.requests) == (None, 253, 3)
    assert [one.attempt for one in world.provider.errands] == [1, 2, 3]
    first, second = world.clock.slept
    assert 0.9 <= first <= 1.1
    assert 2.7 <= second <= 3.3


def test_a_reply_that_breaks_a_rule_once_is_asked_for_again(world: World) -> None:
    class Once(TruthProvider):
        def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
            reply = super().fetch(series, window, errand)
            if errand.attempt > 1:
                return reply
            return replace(reply, bars=reply.bars.assign(high=reply.bars["low"] - 1))

    provider = Once(world.provider.truth, world.clock, first_trade=date(2023, 3, 15))
    outcome = world.updater_over(provider).update(AAPL)
    assert (outcome.error, outcome.rows, outcome.requests) == (None, 253, 2)


def test_requests_are_for_who_wants_them_and_older_windows_come_later(world: World) -> None:
    minutes = Series.parse("AAPL|1m")
    world.provider.truth = {minutes: walk(minutes, days("2024-02-19", "2024-03-16"))}
    world.provider.first_trade = date(2024, 2, 19)
    list(world.updater.update_many([minutes], errand=Errand(Priority.HELD, run_id="f00")))
    windows = [window.end for _, window in world.provider.asked]
    assert len(windows) >= 3
    assert windows == sorted(windows, reverse=True), "the newest first"
    newest, *older = world.provider.errands
    assert newest == Errand(Priority.HELD, run_id="f00")
    assert set(older) == {Errand(Priority.TRACKED, run_id="f00")}


def test_nobody_in_particular_wants_what_is_tracked(world: World) -> None:
    world.updater.update(AAPL)
    assert world.provider.errands == [Errand(Priority.TRACKED)]


def test_an_unknown_symbol_is_no_reason_to_ask_the_next_provider(world: World) -> None:
    world.provider.failures = [UnknownSymbol("no such thing")]
    spare = TruthProvider(world.provider.truth, world.clock)
    outcome = world.updater_over(world.provider, spare).update(AAPL)
    assert isinstance(outcome.error, UnknownSymbol)
    assert not spare.asked
    assert world.catalog.summaries([AAPL])[0].error_category == "unknown_symbol"


def test_a_success_clears_the_error(world: World) -> None:
    world.provider.failures = [Unavailable("down")] * 6
    world.updater.update(AAPL)
    assert world.catalog.summaries([AAPL])[0].error_message == "down"
    world.updater.update(AAPL)
    assert world.catalog.summaries([AAPL])[0].error_message is None


def test_one_bad_instrument_does_not_hold_up_the_others(world: World) -> None:
    msft = Series.parse("MSFT|1d")
    world.provider.truth = {msft: walk(msft, YEAR)}
    world.provider.failures = [UnknownSymbol("no such thing")]
    updater = world.updater
    outcomes = {one.series: one for one in updater.update_many([AAPL, msft])}
    failed = [one for one in outcomes.values() if one.error]
    assert len(outcomes) == 2
    assert len(failed) == 1


def test_an_update_is_one_line_with_series_run_requests_and_category(
    world: World, log_lines: Lines
) -> None:
    world.provider.failures = [Unavailable("down", provider="elsewhere")] * 6
    list(world.updater.update_many([AAPL], errand=Errand(run_id="f00")))
    world.updater.update(AAPL)
    failed, good = log_lines("updated")
    assert good["provider"] == "truth"
    assert failed["provider"] == "elsewhere", "the one that failed"
    assert (failed["series"], failed["run_id"], failed["error"]) == (
        "AAPL|1d",
        "f00",
        "unavailable",
    )
    assert (good["rows"], good["requests"], good["error"]) == (253, 1, None)
    assert good["seconds"] >= 0


def test_once_turns_run_out_the_rest_fails_at_once_unless_it_needs_none(world: World) -> None:
    names = ["AAPL", "MSFT", "IBM", "KO", "PEP", "T", "VZ", "CAT"]
    many = [Series.parse(f"{one}|1d") for one in names]
    world.provider.truth = {one: walk(one, YEAR) for one in many}
    world.updater.update(many[-1])
    later = world.clock.wall_now() + timedelta(hours=1)
    limited = RateLimited("no turn", retry_at=later)
    world.provider.failures = [limited] * len(many)
    outcomes = {one.series: one for one in world.updater.update_many(many)}
    assert outcomes[many[-1]].error is None
    assert all(outcomes[one].error is limited for one in many[:-1])
    assert len(world.provider.asked) - 1 <= 3


def _refused(clock: FrozenClock) -> RateLimited:
    """As a provider's 429 leaves an adapter: one request was sent for it."""
    error = RateLimited(
        "no more requests for 1 s", retry_at=clock.wall_now() + timedelta(seconds=1)
    )
    error.requests = 1
    return error


def test_after_a_429_the_gate_is_asked_again_and_nothing_fails(world: World) -> None:
    world.provider.failures = [_refused(world.clock), _refused(world.clock)]
    outcome = world.updater.update(AAPL)
    assert outcome.error is None
    assert outcome.rows == 253
    assert outcome.requests == 3, "those that were refused were sent as well"


def test_a_provider_that_goes_on_refusing_fails_after_five(world: World) -> None:
    world.provider.failures = [_refused(world.clock) for _ in range(9)]
    outcome = world.updater.update(AAPL)
    assert isinstance(outcome.error, RateLimited)
    assert outcome.requests == len(world.provider.asked) == 5


def test_a_purchase_sets_where_a_series_starts(world: World) -> None:
    track(
        world.tracking, world.clock, [AAPL.instrument], since=datetime(2023, 9, 6, 15, tzinfo=UTC)
    )
    world.updater.update(AAPL)
    assert world.store.read(AAPL).index[0] == pd.Timestamp("2023-09-06", tz="UTC")


def test_a_week_that_a_purchase_falls_into_is_whole(world: World) -> None:
    track(
        world.tracking, world.clock, [AAPL.instrument], since=datetime(2023, 9, 6, 15, tzinfo=UTC)
    )
    list(world.updater.update_many([AAPL, WEEKLY]))
    truth = derive(world.provider.truth[AAPL], WEEKLY, [])
    assert world.store.read(WEEKLY).iloc[:1].equals(truth.loc[day("2023-09-04") :].iloc[:1])


def test_what_is_out_of_depth_is_remembered_and_not_missing(world: World) -> None:
    hourly = Series.parse("AAPL|1h")
    world.provider.truth = {hourly: walk(hourly, days("2022-01-01", "2024-03-16"))}
    track(world.tracking, world.clock, [AAPL.instrument], since=day("2022-01-03"))
    outcome = world.updater.update(hourly)
    assert outcome.error is None
    assert outcome.first is not None
    assert outcome.first.date() == date(2022, 3, 18)
    assert outcome.judgement is not None
    assert outcome.judgement.coverage == 1.0
    assert world.updater.update(hourly).requests == 0


def test_a_minute_series_is_asked_in_windows_of_a_week_newest_first(world: World) -> None:
    minutes = Series.parse("AAPL|1m")
    world.provider.truth = {minutes: walk(minutes, days("2024-02-01", "2024-03-16"))}
    outcome = world.updater.update(minutes)
    windows = [window for series, window in world.provider.asked if series == minutes]
    assert len(windows) == 5
    assert windows == sorted(windows, reverse=True)
    assert all(window.length <= timedelta(days=7) for window in windows)
    assert outcome.rows == 20 * 390
    truth = world.provider.truth[minutes].loc["2024-02-16":]
    pd.testing.assert_frame_equal(world.store.read(minutes), truth)


def test_a_broken_base_fails_what_is_derived_from_it(world: World) -> None:
    world.provider.failures = [Unavailable("down")] * 6
    outcome = world.updater.update(WEEKLY)
    assert isinstance(outcome.error, Unavailable)
    assert world.store.read(WEEKLY).empty


def test_four_hour_bars_are_derived_from_one_hour_bars(world: World) -> None:
    hourly, four = Series.parse("AAPL|1h"), Series.parse("AAPL|4h")
    world.provider.truth = {hourly: walk(hourly, days("2024-02-01", "2024-03-16"))}
    world.provider.first_trade = date(2024, 2, 1)
    outcome = world.updater.update(four)
    assert outcome.error is None
    truth = derive(world.provider.truth[hourly], four, [])
    pd.testing.assert_frame_equal(world.store.read(four), truth)
    assert len(truth) == 2 * 31


def test_a_market_goes_on_after_its_calendar_ends(world: World) -> None:
    singapore = Series.parse("D05.SI|1d")
    later = days("2026-12-01", "2029-02-01")
    world.provider.truth = {singapore: walk(singapore, later)}
    world.provider.first_trade = date(2026, 12, 1)
    world.clock.market = world.clock.wall = datetime(2029, 1, 31, 12, tzinfo=UTC)
    outcome = world.updater.update(singapore)
    assert outcome.last == day("2029-01-31")
    assert outcome.judgement is not None
    assert outcome.judgement.score == 1.0


def test_many_due_holes_are_asked_again_at_once_without_holding_up_anybody(world: World) -> None:
    minutes = Series.parse("AAPL|1m")
    truth = walk(minutes, days("2024-03-11", "2024-03-16"))
    world.provider.truth = {minutes: truth}
    world.provider.lacking = set(pd.DatetimeIndex(truth.index[::3]).to_pydatetime())
    world.provider.first_trade = date(2024, 3, 11)
    world.updater.update(minutes)
    assert len(world.store.coverage([minutes])[minutes].holes()) == 650
    world.clock.advance(timedelta(hours=2))
    started = time.perf_counter()
    outcome = world.updater.update(minutes)
    assert (outcome.error, outcome.rows_new) == (None, 0)
    assert {one.tries for one in world.store.coverage([minutes])[minutes].holes()} == {1}
    assert time.perf_counter() - started < 10


def test_what_breaks_while_judging_is_that_series_error_alone(world: World) -> None:
    msft = Series.parse("MSFT|1d")
    world.provider.truth = {AAPL: walk(AAPL, YEAR), msft: walk(msft, YEAR)}

    class Broken(Judge):
        def judge(self, series: Series, **given: Any) -> Judgement:
            if series == AAPL:
                raise StoreError("a chunk is damaged")
            return super().judge(series, **given)

    judge = Broken(world.store, world.verdicts, world.clock, Thresholds())
    updater = replace(world.updater, judge=judge)
    outcomes = {one.series: one for one in updater.update_many([AAPL, msft])}
    assert isinstance(outcomes[AAPL].error, StoreError)
    assert outcomes[AAPL].judgement is None
    assert outcomes[msft].error is None


def test_a_week_that_is_wanted_in_part_is_not_made(world: World) -> None:
    world.updater.update(AAPL)
    world.updater.update(WEEKLY, days("2024-01-31", "2024-02-14"))
    made = world.store.read(WEEKLY)
    assert list(made.index) == [day("2024-01-29"), day("2024-02-05")]
    truth = derive(world.provider.truth[AAPL], WEEKLY, [])
    pd.testing.assert_frame_equal(made, truth.loc[made.index])


def test_the_week_of_the_listing_is_derived_whenever_the_listing_is_learnt(world: World) -> None:
    world.updater.update(AAPL, days("2024-01-01", "2024-02-01"))
    list(world.updater.update_many([AAPL, WEEKLY]))
    truth = derive(world.provider.truth[AAPL], WEEKLY, [])
    pd.testing.assert_frame_equal(world.store.read(WEEKLY), truth)


def test_a_refusal_for_depth_is_a_hole_that_is_asked_ever_more_rarely(world: World) -> None:
    hourly = Series.parse("AAPL|1h")
    for wait in (0, 1, 6, 24):
        world.clock.advance(timedelta(hours=wait))
        world.provider.failures = [OutOfDepth("too long ago")]
        assert isinstance(world.updater.update(hourly).error, OutOfDepth)
        assert world.updater.update(hourly).requests == 0


def test_a_split_that_comes_again_with_another_date_counts_once(world: World) -> None:
    _split_in_four(world)
    world.updater.update(AAPL, days("2024-01-01", "2024-03-01"))
    moved = replace(FOUR_TO_ONE, ex_date=date(2024, 1, 11))
    world.provider.actions = (moved,)
    world.provider.truth = {AAPL: walk(AAPL, YEAR, moved)}
    world.updater.update(AAPL)
    assert world.catalog.known_actions([AAPL.instrument])[AAPL.instrument].actions == (moved,)


def test_a_bad_day_beside_stored_bars_is_no_split(world: World) -> None:
    _split_in_four(world)
    crashed = world.provider.truth[AAPL].copy()
    crashed.loc[: day("2023-08-31"), ["open", "high", "low", "close"]] *= 4
    crashed.loc[day("2023-09-01") : day("2023-09-06"), "volume"] = 5e9  # as on such a day
    world.provider.truth = {AAPL: crashed}
    world.updater.update(AAPL, days("2023-09-01", "2024-03-16"))
    outcome = world.updater.update(AAPL)
    assert outcome.error is None
    pd.testing.assert_frame_equal(world.store.read(AAPL), crashed)


def test_an_empty_reply_that_tells_no_actions_is_a_value(world: World) -> None:
    class Silent(TruthProvider):
        def fetch(self, series: Series, window: TimeRange, errand: Errand = USUAL) -> Reply:
            return replace(super().fetch(series, window, errand), actions=(), actions_within=None)

    silent = Silent({}, world.clock)
    outcome = world.updater_over(silent).update(AAPL, days("2024-02-01", "2024-03-01"))
    assert (outcome.error, outcome.requests) == (None, 1)
    assert world.store.coverage([AAPL])[AAPL].holes()


def test_what_a_refused_reply_told_of_splits_is_not_used_for_others(world: World) -> None:
    _split_in_four(world)
    hourly = Series.parse("AAPL|1h")
    broken = world.provider.truth[AAPL].copy()
    broken.loc[broken.index[20:40], "low"] = 1e6
    world.provider.truth = {AAPL: broken, hourly: walk(hourly, YEAR, FOUR_TO_ONE)}
    outcomes = {one.series: one for one in world.updater.update_many([AAPL, hourly])}
    assert isinstance(outcomes[AAPL].error, MalformedReply)
    assert outcomes[hourly].error is None
    known = world.catalog.known_actions([AAPL.instrument])[AAPL.instrument]
    assert known.actions == (FOUR_TO_ONE,)


def test_an_error_is_cleared_by_the_next_update_that_has_nothing_to_write(world: World) -> None:
    list(world.updater.update_many([AAPL, WEEKLY]))
    world.catalog.record_error(WEEKLY, "unavailable", "down")
    list(world.updater.update_many([AAPL, WEEKLY]))
    assert world.catalog.summaries([WEEKLY])[0].error_message is None


def test_nightly_refreshes_leave_one_span_beside_what_is_not_settled(world: World) -> None:
    world.clock.market = world.clock.wall = datetime(2024, 3, 1, 22, tzinfo=UTC)
    for _ in range(15):
        world.updater.update(AAPL)
        world.clock.advance(timedelta(days=1))
    kinds = [one.kind for one in world.store.coverage([AAPL])[AAPL].spans]
    assert kinds == [SpanKind.ANSWERED, *[SpanKind.PROVISIONAL] * 3]
