"""What of a reply passes, what is kept apart, what comes again, and what is closed by itself."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from marketdata_pipeline.domain.actions import Action, ActionKind
from marketdata_pipeline.domain.bars import PRICES
from marketdata_pipeline.domain.coverage import Coverage, Span, SpanKind
from marketdata_pipeline.domain.quarantine import (
    ANSWERED_SINCE,
    CONFIRMED,
    SPLIT_CONTRADICTED,
    Decision,
    Kept,
    Quarantined,
    QuarantineStatus,
)
from marketdata_pipeline.domain.ranges import TimeRange, to_micros
from marketdata_pipeline.domain.reply import Basis, Reply
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Finding
from marketdata_pipeline.errors import QuarantinedReply, SplitContradicted
from marketdata_pipeline.ingest.apart import with_apart
from marketdata_pipeline.ingest.sift import Before, Sifted, error_of, sift
from marketdata_pipeline.store.write import Fetch, FetchKind, Snapshot, State, Write
from marketdata_pipeline_tests.ingest.world import FRIDAY_CLOSE, day, days, walk

AAPL = Series.parse("AAPL|1d")
TRUTH = walk(AAPL, days("2023-10-02", "2024-03-16"))
STORED, NEW = TRUTH.loc[:"2024-03-08"], TRUTH.loc["2024-03-11":]
THREE = NEW.index[2:]
FIRST_FETCH = FRIDAY_CLOSE - timedelta(days=2)


def scaled(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    return bars.assign(**{name: (bars[name] * factor).round(2) for name in PRICES})


PENCE = scaled(NEW, 100.0)
SOME_PENCE = pd.concat([NEW.drop(THREE), PENCE.loc[THREE]])


def reply_of(bars: pd.DataFrame, *actions: Action, currency: str = "USD") -> Reply:
    return Reply(
        series=AAPL,
        window=TimeRange(bars.index[0].to_pydatetime(), day("2024-03-16")),
        bars=bars,
        basis=Basis.RAW,
        actions=actions,
        actions_within=None,
        currency=currency,
        market_at=FRIDAY_CLOSE,
        fetched_at=FRIDAY_CLOSE,
        provider="truth",
        origin="truth",
        requests=1,
    )


def stored(bars: pd.DataFrame = STORED, at: datetime = FIRST_FETCH) -> Snapshot:
    count = len(bars)
    return Snapshot(
        1,
        bars,
        np.full(count, to_micros(at)),
        np.full(count, State.FINAL),
        np.full(count, "truth"),
    )


def kept(
    bars: pd.DataFrame,
    status: QuarantineStatus = QuarantineStatus.HELD,
    why: str | None = None,
    *,
    actions: tuple[Action, ...] = (),
    reason: str = "level_shift",
) -> Kept:
    row = Quarantined(
        id=7,
        series=AAPL,
        status=status,
        reason=reason,
        detail="odd",
        evidence={},
        fingerprint="f",
        times=1,
        provider="truth",
        origin="truth",
        window=days("2024-03-04", "2024-03-16"),
        currency="USD",
        market_at=FIRST_FETCH,
        fetched_at=FIRST_FETCH,
        run_id=None,
        rows=len(bars),
        first=bars.index[0].to_pydatetime() if len(bars) else None,
        last=bars.index[-1].to_pydatetime() if len(bars) else None,
        actions=actions,
        held_at=FIRST_FETCH,
        seen_at=FIRST_FETCH,
        decided_at=None if status is QuarantineStatus.HELD else FIRST_FETCH,
        decided_why=why,
    )
    return Kept(row, bars)


def sifted(
    bars: pd.DataFrame,
    *known: Kept,
    at: Snapshot | None = None,
    currency: str = "USD",
    actions: tuple[Action, ...] = (),
) -> Sifted:
    before = Before(at or stored(), known, actions, "USD")
    reply = reply_of(bars, *actions, currency=currency)
    return sift(reply, bars, np.ones(len(bars), dtype=bool), before)


def held_bars(found: Sifted) -> pd.DataFrame:
    (suspect,) = found.apart.held
    return suspect.bars


def test_a_good_reply_passes_whole() -> None:
    found = sifted(NEW)
    pd.testing.assert_frame_equal(found.bars, NEW)
    assert not found.apart
    assert (found.refusal, found.in_vain, found.doubted, found.currency) == (None, (), (), "USD")


def test_the_bars_that_are_doubted_stay_out_and_the_others_pass() -> None:
    found = sifted(SOME_PENCE)
    assert found.refusal is None
    pd.testing.assert_frame_equal(found.bars, NEW.drop(THREE))
    pd.testing.assert_frame_equal(held_bars(found), PENCE.loc[THREE])
    assert found.doubted == (days("2024-03-13", "2024-03-16"),)
    assert found.in_vain == (), "none of them is stored"


def test_a_stored_bar_that_is_doubted_when_asked_again_was_asked_in_vain() -> None:
    bars = pd.concat([STORED.loc["2024-03-04":], SOME_PENCE])
    found = sifted(bars, at=stored(TRUTH.iloc[:-1]))
    pd.testing.assert_frame_equal(held_bars(found), PENCE.loc[THREE])
    assert found.in_vain == (days("2024-03-13", "2024-03-15"),)


def test_where_every_bar_is_doubted_nothing_passes_not_an_action_either() -> None:
    paid = Action(date(2024, 3, 12), ActionKind.DIVIDEND, Fraction(1, 4))
    bars = pd.concat([scaled(STORED.loc["2024-03-04":], 100.0), PENCE])
    found = sifted(bars, actions=(paid,))
    assert found.refusal is not None
    assert (found.refusal.rule, found.actions, found.bars.empty) == ("level_shift", (), True)
    (suspect,) = found.apart.held
    pd.testing.assert_frame_equal(suspect.bars, bars)
    assert suspect.actions == (paid,)
    assert suspect.currency == "USD"


def test_bars_that_are_stored_with_the_same_values_are_never_doubted() -> None:
    again = sifted(STORED.loc["2024-03-04":], currency="GBP")
    assert again.refusal is None
    assert not again.apart
    assert again.currency is None, "but what it says of itself is not believed"
    both = sifted(TRUTH.loc["2024-03-04":], currency="GBP")
    assert both.refusal is not None
    pd.testing.assert_frame_equal(held_bars(both), NEW)


def test_the_same_again_is_told_by_bar_and_not_held_twice() -> None:
    row = kept(PENCE.loc[THREE[:2]])
    found = sifted(SOME_PENCE, row)
    assert found.apart.again == (7,)
    pd.testing.assert_frame_equal(held_bars(found), PENCE.loc[THREE[2:]])
    all_of_it = sifted(SOME_PENCE, kept(PENCE.loc[THREE]))
    assert (all_of_it.apart.again, all_of_it.apart.held) == ((7,), ())
    pd.testing.assert_frame_equal(all_of_it.bars, NEW.drop(THREE))
    other = sifted(SOME_PENCE, kept(PENCE.loc[THREE], reason="stale_repeat"))
    pd.testing.assert_frame_equal(held_bars(other), PENCE.loc[THREE])


def test_what_a_person_released_passes() -> None:
    found = sifted(SOME_PENCE, kept(PENCE.loc[THREE], QuarantineStatus.RELEASED, "by a person"))
    pd.testing.assert_frame_equal(found.bars, SOME_PENCE)
    assert not found.apart


def test_what_a_person_dropped_stays_out_doubted_or_not() -> None:
    dropped = kept(NEW.iloc[:1], QuarantineStatus.DROPPED, "wrong")
    found = sifted(NEW, dropped)
    pd.testing.assert_frame_equal(found.bars, NEW.iloc[1:])
    assert (found.apart.again, found.apart.held) == ((7,), ())
    other = NEW.assign(volume=NEW["volume"] + 1)
    pd.testing.assert_frame_equal(sifted(other, dropped).bars, other)


def test_a_reply_all_of_which_was_dropped_is_no_refusal() -> None:
    bars = pd.concat([scaled(STORED.loc["2024-03-04":], 100.0), PENCE])
    found = sifted(bars, kept(bars, QuarantineStatus.DROPPED, "pence"))
    assert (found.refusal, found.bars.empty, found.apart.held) == (None, True, ())
    assert found.apart.again == (7,)


def test_what_was_closed_by_itself_is_held_again() -> None:
    closed = kept(PENCE.loc[THREE], QuarantineStatus.DROPPED, ANSWERED_SINCE)
    found = sifted(SOME_PENCE, closed)
    pd.testing.assert_frame_equal(held_bars(found), PENCE.loc[THREE])


def test_a_later_reply_that_agrees_with_what_is_stored_closes_what_was_held() -> None:
    row = kept(PENCE.loc[THREE])
    gone = Decision(7, QuarantineStatus.DROPPED, ANSWERED_SINCE)
    assert sifted(NEW, row).apart.decided == (gone,)
    assert sifted(NEW.iloc[:-1], row).apart.decided == (), "a bar of it is still unanswered"
    later = stored(TRUTH.iloc[:-1], FIRST_FETCH + timedelta(hours=1))
    assert sifted(NEW.iloc[-1:], row, at=later).apart.decided == (gone,)
    earlier = stored(TRUTH.iloc[:-1], FIRST_FETCH)
    assert sifted(NEW.iloc[-1:], row, at=earlier).apart.decided == ()
    assert sifted(SOME_PENCE, row).apart.decided == ()


def test_the_same_bars_that_pass_by_now_are_released() -> None:
    found = sifted(NEW, kept(NEW.iloc[:2]))
    assert found.apart.decided == (Decision(7, QuarantineStatus.RELEASED, CONFIRMED),)


def test_a_doubted_payment_is_kept_apart_unless_it_was_released_or_dropped() -> None:
    paid = Action(date(2024, 3, 12), ActionKind.DIVIDEND, Fraction(500))
    fair = Action(date(2024, 3, 13), ActionKind.DIVIDEND, Fraction(1, 4))
    found = sifted(NEW, actions=(paid, fair))
    pd.testing.assert_frame_equal(found.bars, NEW)
    assert found.actions == (fair,)
    (suspect,) = found.apart.held
    assert suspect.actions == (paid,)
    nothing = NEW.iloc[:0]
    released = kept(nothing, QuarantineStatus.RELEASED, "so it was", actions=(paid,))
    assert sifted(NEW, released, actions=(paid, fair)).actions == (paid, fair)
    dropped = kept(nothing, QuarantineStatus.DROPPED, "never", actions=(paid,))
    again = sifted(NEW, dropped, actions=(paid, fair))
    assert (again.actions, again.apart.held, again.apart.again) == ((fair,), (), (7,))


def test_a_contradicted_split_is_an_error_of_its_own() -> None:
    finding = Finding(SPLIT_CONTRADICTED, days("2024-03-04", "2024-03-16"), "it disagrees")
    before = Before(stored())
    found = sift(reply_of(NEW), NEW, np.ones(len(NEW), dtype=bool), before, finding)
    assert found.refusal is finding
    pd.testing.assert_frame_equal(held_bars(found), NEW)
    error = error_of(reply_of(NEW), finding)
    assert isinstance(error, SplitContradicted)
    assert str(error) == "AAPL|1d: it disagrees; nothing was stored"
    other = error_of(reply_of(NEW), replace(finding, rule="level_shift"))
    assert isinstance(other, QuarantinedReply)


@pytest.mark.parametrize("doubted", [True, False])
def test_what_is_in_doubt_is_not_taken_for_what_was_never_traded(*, doubted: bool) -> None:
    quiet = Span(days("2024-03-12", "2024-03-14"), SpanKind.NO_TRADE, tries=2)
    fetch = Fetch(
        kind=FetchKind.REPLY,
        provider="truth",
        origin="truth",
        window=days("2024-03-04", "2024-03-16"),
        basis=Basis.RAW,
        currency="USD",
        market_at=FRIDAY_CLOSE,
        fetched_at=FRIDAY_CLOSE,
    )
    write = Write(AAPL, fetch, coverage=lambda before: before)
    ranges = (days("2024-03-13", "2024-03-16"),) if doubted else ()
    found = with_apart(write, Sifted(NEW, (), doubted=ranges, currency="USD"))
    spans = found.coverage(Coverage((quiet,))).spans
    kinds = [(one.within, one.kind, one.recheck_at) for one in spans]
    if not doubted:
        assert kinds == [(quiet.within, SpanKind.NO_TRADE, None)]
        return
    again = FRIDAY_CLOSE + timedelta(days=1)
    assert kinds == [
        (days("2024-03-12", "2024-03-13"), SpanKind.NO_TRADE, None),
        (days("2024-03-13", "2024-03-14"), SpanKind.HOLE, again),
    ]


def test_what_is_provisional_and_was_asked_in_vain_is_asked_ever_more_rarely() -> None:
    due = Span(days("2024-03-12", "2024-03-15"), SpanKind.PROVISIONAL, day("2024-03-15"))
    later = replace(due, within=days("2024-03-15", "2024-03-16"), recheck_at=day("2024-03-18"))
    before = Coverage((due, later))
    after = before.in_vain([days("2024-03-13", "2024-03-16")], FRIDAY_CLOSE)
    again = FRIDAY_CLOSE + timedelta(hours=1)
    assert [(one.within, one.recheck_at, one.tries) for one in after.spans] == [
        (days("2024-03-12", "2024-03-13"), due.recheck_at, 0),
        (days("2024-03-13", "2024-03-15"), again, 1),
        (later.within, later.recheck_at, 0),
    ]
