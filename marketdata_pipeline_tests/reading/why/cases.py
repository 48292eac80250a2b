"""The labelled cases: a situation, a question, and the one reason that is right.

Not here: making situations (scene), and asking (test_why).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from marketdata_pipeline.domain.closures import Closure
from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.ranges import TimeRange
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.ingest.closing import Closing
from marketdata_pipeline.reading.why.answer import Source
from marketdata_pipeline.store.write import State
from marketdata_pipeline_tests.reading.why.scene import Scene, at, between

R = Reason
FEBRUARY = between("2024-02-01", "2024-03-01")
SINCE_FEBRUARY = between("2024-02-01", "2024-03-16")
H1, D1, W1 = Timeframe.H1, Timeframe.D1, Timeframe.W1


def nothing(scene: Scene) -> None:
    """Nobody ever heard of it."""
    del scene


@dataclass(frozen=True)
class Case:
    """What is the case, what is asked, and what is right.

    Attributes:
        key: ``{}`` becomes a name of its own: no two cases share an instrument, unless it is none.
        words: that the sentence has to hold.
        sources: the providers that serve it.
    """

    name: str
    key: str
    timeframe: str
    label: str
    reason: Reason
    words: str
    situation: Callable[[Scene], None] = nothing
    sources: tuple[Source, ...] = (Source("yahoo"),)


def _full(scene: Scene) -> None:
    scene.answered(FEBRUARY)


def _final(scene: Scene) -> None:
    scene.answered(FEBRUARY, state=State.FINAL)


def _restated(scene: Scene) -> None:
    _final(scene)
    scene.restated("2024-02-14")


def _settling(scene: Scene) -> None:
    _full(scene)
    scene.covered(
        between("2024-02-29", "2024-03-01"), SpanKind.PROVISIONAL, recheck=at("2024-03-18")
    )


def _of_others(scene: Scene) -> None:
    scene.answered(FEBRUARY, provider="import")


def _closed_by_mistake(scene: Scene) -> None:
    _full(scene)
    _say(scene, Closure("XHKG", date(2024, 2, 14), None, "a strike"))


def _say(scene: Scene, closure: Closure) -> None:
    Closing(scene.engine, scene.store, scene.clock).put(closure, force=True)


def _typhoon(scene: Scene) -> None:
    for day in (date(2023, 9, 1), date(2023, 9, 8)):
        _say(scene, Closure("XHKG", day, None, "typhoon"))


def _afternoon(scene: Scene) -> None:
    hours = between("2023-10-09T06:00", "2023-10-09T08:00")
    _say(scene, Closure("XHKG", date(2023, 10, 9), hours, "typhoon until two"))


def _week_off(scene: Scene) -> None:
    for day in range(14, 19):
        _say(scene, Closure("XHKG", date(2023, 8, day), None, "mourning"))


def _listed(scene: Scene) -> None:
    scene.answered(FEBRUARY)
    scene.listed("2024-02-01")


def _silence(scene: Scene, *providers: str, since: str = "2024-02-15", days: int = 2) -> None:
    """Bars until a day; from then on providers answer without any."""
    scene.answered(between("2024-02-01", since))
    later = TimeRange(at(since), at("2024-03-16"))
    for provider in providers:
        for back in reversed(range(days)):
            asked = at("2024-03-15T21:00") - timedelta(days=back)
            scene.answered(later, lacking=later, provider=provider, market_at=asked)


def _delisted(scene: Scene) -> None:
    _silence(scene, "yahoo", "tiingo")


def _quiet_at_one(scene: Scene) -> None:
    _silence(scene, "yahoo")


def _quiet_for_days(scene: Scene) -> None:
    _silence(scene, "yahoo", "tiingo", since="2024-03-12")


def _quiet_once(scene: Scene) -> None:
    _silence(scene, "yahoo", "tiingo", days=1)


def _quiet_but(category: str, message: str) -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        _silence(scene, "yahoo", "tiingo")
        scene.failed(category, message)

    return make


def _unknown_after_bars(scene: Scene) -> None:
    _silence(scene, "yahoo", "tiingo")
    scene.failed("unknown_symbol", "yahoo does not know it")


def _quiet_in_outage(scene: Scene) -> None:
    _silence(scene, "yahoo", "tiingo")
    scene.incident("outage", "2024-03-05")


def _too_old(scene: Scene) -> None:
    scene.tracked()
    scene.covered(between("2020-01-01", "2022-03-17"), SpanKind.OUT_OF_DEPTH)


def _tracked(scene: Scene) -> None:
    scene.tracked(since=at("2020-01-01"))


def _by_default(scene: Scene) -> None:
    scene.tracked()


def _untracked(scene: Scene) -> None:
    scene.tracked()
    scene.untracked()


def _other_timeframes(scene: Scene) -> None:
    scene.tracked(D1, W1)


def _lately(scene: Scene) -> None:
    scene.tracked(since=at("2024-03-01T15:00"))


def _failing(category: str, message: str) -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        scene.tracked(since=at("2020-01-01"))
        scene.failed(category, message)

    return make


def _queued(
    status: str, category: str | None = None, message: str | None = None
) -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        scene.queued(status, category=category, message=message)

    return make


def _queued_elsewhere(scene: Scene) -> None:
    scene.tracked(since=at("2020-01-01"))
    scene.queued("pending", start="2021-01-01", end="2022-01-01")


def _paused(provider: str, *, broken: bool = False, error: str = "") -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        scene.tracked(since=at("2020-01-01"))
        scene.paused(provider, broken=broken)
        if error:
            scene.failed(error, "it shows a page of its own")

    return make


def _hole(tries: int, since: str, recheck: str = "2024-03-20") -> Callable[[Scene], None]:
    def make(scene: Scene) -> None:
        scene.answered(FEBRUARY, lacking=between("2024-02-14", "2024-02-15"))
        scene.hole("2024-02-14", tries=tries, since=since, recheck=recheck)

    return make


def _outage(scene: Scene) -> None:
    _hole(1, "2024-02-14T22:00")(scene)
    scene.incident("outage", "2024-02-14")


def _question(scene: Scene) -> None:
    _hole(1, "2024-02-14T22:00")(scene)
    scene.incident("question", "2024-02-14", "2024-02-15")


def _outage_of_days(scene: Scene) -> None:
    scene.answered(FEBRUARY, lacking=between("2024-02-20", "2024-02-21"))
    scene.hole("2024-02-20", tries=1, since="2024-02-20T22:00", recheck="2024-03-20")
    scene.incident("outage", "2024-02-20", timeframes="1h")


def _no_trade(scene: Scene) -> None:
    within = between("2024-03-14T13:30", "2024-03-14T20:00")
    quiet = between("2024-03-14T15:31", "2024-03-14T15:32")
    scene.answered(within, lacking=quiet)
    scene.covered(quiet, SpanKind.NO_TRADE, since=at("2024-03-14T21:00"))


def _held(scene: Scene) -> None:
    _hole(1, "2024-02-14T22:00")(scene)
    scene.held("2024-02-13", "2024-02-14")


def _removed(scene: Scene) -> None:
    _hole(1, "2024-02-14T22:00")(scene)
    scene.held("2024-02-14", "2024-02-14", status="dropped", why="a split, wrongly")


def _dropped(scene: Scene) -> None:
    gone = between("2024-02-14", "2024-02-15")
    scene.answered(FEBRUARY, lacking=gone, dropped=[("2024-02-14", "low_high")])


def _lost(scene: Scene) -> None:
    _hole(0, "2024-02-14T22:00")(scene)
    scene.covered(between("2024-02-14", "2024-02-15"), SpanKind.ANSWERED)


def _base_hole(scene: Scene) -> None:
    scene.tracked(scene.series.timeframe, since=at("2020-01-01"))
    gone = between("2024-02-14T14:30", "2024-02-14T16:30")
    scene.base.answered(FEBRUARY, lacking=gone)


def _base_unknown(scene: Scene) -> None:
    scene.tracked(W1, D1, since=at("2020-01-01"))


def _base_there(scene: Scene) -> None:
    scene.tracked(W1, D1, since=at("2020-01-01"))
    scene.base.answered(FEBRUARY)


DAY, HOUR = "2024-02-14", "2024-02-14T15:30"
NO_KEY = (Source("fmp", key="FMP_API_KEY"), Source("tiingo", key="TIINGO_API_KEY"))
ONE_KEY = (Source("fmp", key="FMP_API_KEY"), Source("yahoo"))
SHALLOW = (Source("yahoo", timedelta(days=729)),)

# ruff: noqa: E501 - a table: one case a line
CASES = (
    # What is there.
    Case("a final bar", "A{}", "1d", DAY, R.STORED, "stored, final; from yahoo on", _final),
    Case("a provisional bar", "A{}", "1d", "2024-02-29", R.STORED, "asked once more at 2024-03-18", _settling),
    Case("a bar that changed", "A{}", "1d", DAY, R.STORED, "(settlement), close 100 to 101.5", _restated),
    Case("a derived week", "A{}", "1wk", "2024-02-12", R.STORED, "derived from A", _full),
    Case("a derived 4h", "A{}", "4h", "2024-02-14T14:30", R.STORED, "|1h on", _full),
    Case("an hour", "A{}", "1h", HOUR, R.STORED, "stored, provisional; from yahoo", _full),
    Case("an imported bar", "A{}", "1d", DAY, R.STORED, "from import on", _of_others),
    Case("a Sunday of crypto", "A{}-USD", "1d", "2024-02-11", R.STORED, "from yahoo", _full),
    Case("a bar of a closed day", "0{}.HK", "1d", DAY, R.STORED, "though a person closed that day", _closed_by_mistake),
    # What is not over.
    Case("a day ahead", "A{}", "1d", "2024-03-18", R.NOT_CLOSED_YET, "has not begun, and is closed at 2024-03-18 20:00"),
    Case("a growing day", "A{}-USD", "1d", "2024-03-15", R.NOT_CLOSED_YET, "it is growing"),
    Case("a growing hour", "A{}-USD", "1h", "2024-03-15T21:00", R.NOT_CLOSED_YET, "closed at 2024-03-15 22:00", _by_default),
    Case("a growing week", "A{}-USD", "1wk", "2024-03-11", R.NOT_CLOSED_YET, "it is growing"),
    Case("a year ahead", "A{}.L", "1d", "2025-03-18", R.NOT_CLOSED_YET, "has not begun"),
    # What no calendar has.
    Case("a Saturday", "A{}", "1d", "2024-03-09", R.NO_SESSION, "Saturday 2024-03-09 is a weekend of XNYS", _by_default),
    Case("Presidents' Day", "A{}", "1d", "2024-02-19", R.NO_SESSION, "a holiday of XNYS; the sessions around it are 2024-02-16 and 2024-02-20"),
    Case("Christmas in London", "A{}.L", "1d", "2023-12-25", R.NO_SESSION, "holiday of XLON"),
    Case("Tokyo's holiday", "700{}.T", "1d", "2024-02-12", R.NO_SESSION, "holiday of XTKS"),
    Case("Lunar New Year", "0{}.HK", "1d", "2024-02-12", R.NO_SESSION, "holiday of XHKG"),
    Case("a Sunday in Tokyo", "700{}.T", "1d", "2024-03-10", R.NO_SESSION, "Sunday 2024-03-10 is a weekend of XTKS"),
    Case("Saturday of FX", "EUR{3}=X", "1d", "2024-03-09", R.NO_SESSION, "weekend of FX"),
    Case("an hour of a Saturday", "A{}", "1h", "2024-03-09T15:30", R.NO_SESSION, "weekend of XNYS"),
    Case("a week of feasts", "700{}.T", "1wk", "2019-04-29", R.NO_SESSION, "the week of 2019-04-29"),
    Case("before the open", "A{}", "1h", "2024-03-14T12:00", R.OUT_OF_HOURS, "trades from 2024-03-14 13:30 UTC to 2024-03-14 20:00 UTC"),
    Case("Tokyo's lunch", "700{}.T", "1m", "2024-03-14T03:00", R.OUT_OF_HOURS, "XTKS does not trade then"),
    Case("CME's break", "E{2}=F", "1h", "2024-03-14T21:30", R.OUT_OF_HOURS, "CME does not trade then"),
    Case("after a half day", "A{}", "1h", "2023-11-24T19:30", R.OUT_OF_HOURS, "to 2023-11-24 18:00 UTC"),
    Case("a full hour in New York", "A{}", "1h", "2024-03-14T14:00", R.OFF_GRID, "the nearest begin 2024-03-14 13:30 UTC and 2024-03-14 14:30 UTC"),
    Case("5:00 of 4h crypto", "A{}-USD", "4h", "2024-03-14T05:00", R.OFF_GRID, "04:00 UTC and 2024-03-14 08:00 UTC"),
    Case("minute 32 of 5m", "A{}", "5m", "2024-03-14T13:32", R.OFF_GRID, "no bar of 5m begins then"),
    Case("1965", "A{}", "1d", "1965-01-04", R.UNKNOWN_ERA, "nothing is expected before 1970-01-01"),
    # What persons say.
    Case("a typhoon", "0{}.HK", "1d", "2023-09-08", R.MARKET_CLOSED, "XHKG was closed on 2023-09-08, a person says: typhoon", _typhoon),
    Case("an hour of the typhoon", "0{}.HK", "1h", "2023-09-01T01:30", R.MARKET_CLOSED, "on 2023-09-01", _typhoon),
    Case("the morning of a late opening", "0{}.HK", "15m", "2023-10-09T02:00", R.MARKET_CLOSED, "traded 2023-10-09T06:00:00Z", _afternoon),
    Case("a week of mourning", "0{}.HK", "1wk", "2023-08-14", R.MARKET_CLOSED, "mourning", _week_off),
    # Listings.
    Case("before the listing", "A{}", "1d", "2024-01-31", R.NOT_LISTED, "was listed on 2024-02-01", _listed),
    Case("hours before the listing", "A{}", "1h", "2024-01-31T15:30", R.NOT_LISTED, "listed on", _listed),
    Case("weeks before the listing", "A{}", "1wk", "2024-01-22", R.NOT_LISTED, "listed on", _listed),
    Case("two providers fell silent", "A{}", "1d", "2024-03-05", R.DELISTED, "tiingo, yahoo answer and have nothing", _delisted),
    Case("two, and one forgot the symbol", "A{}", "1d", "2024-03-05", R.DELISTED, "probably delisted", _unknown_after_bars),
    Case("one fell silent", "A{}", "1d", "2024-03-05", R.RETRYABLE, "yahoo answered without it", _quiet_at_one),
    Case("two, for three days", "A{}", "1d", "2024-03-13", R.RETRYABLE, "answered without it", _quiet_for_days),
    Case("two, asked once each", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_once),
    Case("two, and a rate limit", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_but("rate_limited", "no turn")),
    Case("two, and a breaker", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_but("circuit_open", "no turn")),
    Case("two, and a block", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_but("blocked", "turned away")),
    Case("two, and an outage of one", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_but("unavailable", "502")),
    Case("two, and a time limit", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_but("timeout", "30 s")),
    Case("two, and a refused key", "A{}", "1d", "2024-03-05", R.RETRYABLE, "answered without it", _quiet_but("credentials", "401")),
    Case("two, in an outage", "A{}.L", "1d", "2024-03-05", R.OUTAGE, "380 of 500 series of XLON", _quiet_in_outage),
    # Depth.
    Case("noted as too old", "A{}", "1h", "2021-03-05T15:30", R.OUT_OF_DEPTH, "older than yahoo serves of 1h (729 days)", _too_old, SHALLOW),
    Case("too old, never noted", "A{}", "1h", "2021-03-05T15:30", R.OUT_OF_DEPTH, "never asked for", _tracked, SHALLOW),
    Case("a provider said so", "A{}", "1d", DAY, R.OUT_OF_DEPTH, "does not go back so far", _failing("out_of_depth", "from 2000 on")),
    # Nobody wanted it.
    Case("never heard of", "A{}", "1d", DAY, R.NOT_TRACKED, "is not tracked; marketdata track A"),
    Case("not any more", "A{}", "1d", DAY, R.NOT_TRACKED, "is not tracked since", _untracked),
    Case("another timeframe", "A{}", "1h", HOUR, R.NOT_TRACKED, "is tracked at 1d, 1wk only", _other_timeframes),
    Case("4h of what is not tracked", "A{}", "4h", "2024-02-14T14:30", R.NOT_TRACKED, "is not tracked"),
    Case("before it was wanted", "A{}", "1d", DAY, R.BEFORE_SINCE, "is kept from 2024-03-01 on", _lately),
    Case("an hour before that", "A{}", "1h", "2024-03-01T14:30", R.BEFORE_SINCE, "kept from", _lately),
    Case("beyond the usual depth", "A{}", "1m", "2024-02-14T15:31", R.BEFORE_SINCE, "the usual depth of 1m", _by_default),
    # It waits, or asking does not work.
    Case("in the queue", "A{}", "1d", DAY, R.QUEUED, "it waits in the queue", _queued("pending")),
    Case("under way", "A{}", "1d", DAY, R.QUEUED, "a run is at it", _queued("in_progress")),
    Case("another range is queued", "A{}", "1d", DAY, R.NEVER_ASKED, "the next update", _queued_elsewhere),
    Case("queued, rate limited", "A{}", "1d", DAY, R.RATE_LIMITED, "not before 2024-03-15 21:00", _queued("rate_limited", "rate_limited", "wait")),
    Case("queued, breaker open", "A{}", "1d", DAY, R.CIRCUIT_OPEN, "failed too often", _queued("rate_limited", "circuit_open", "down")),
    Case("queued, unknown", "A{}", "1d", DAY, R.UNKNOWN_SYMBOL, "(yahoo does not know it)", _queued("pending", "unknown_symbol", "yahoo does not know it.")),
    Case("queued, given up", "A{}", "1d", DAY, R.FAILED, "marketdata queue retry", _queued("failed", "malformed_reply", "cut off")),
    Case("the provider cools down", "A{}", "1d", DAY, R.RATE_LIMITED, "cool has no turn until 2100", _paused("cool"), (Source("cool"),)),
    Case("the breaker is open", "A{}", "1d", DAY, R.CIRCUIT_OPEN, "broken has no turn", _paused("broken", broken=True), (Source("broken"),)),
    Case("blocked, and left alone", "A{}", "1d", DAY, R.BLOCKED, "turns this address away", _paused("walled", broken=True, error="blocked"), (Source("walled"),)),
    Case("one of two cools down", "A{}", "1d", DAY, R.NEVER_ASKED, "the next update", _tracked, (Source("cool"), Source("yahoo"))),
    Case("rate limited", "A{}", "1d", DAY, R.RATE_LIMITED, "had no turn for it yet (no turn before 9:00)", _failing("rate_limited", "no turn before 9:00")),
    Case("blocked", "A{}", "1d", DAY, R.BLOCKED, "turns this address away", _failing("blocked", "a page of its own")),
    Case("no key is set", "A{}", "1d", DAY, R.CREDENTIALS, "fmp, tiingo needs a key; set FMP_API_KEY, TIINGO_API_KEY", _tracked, NO_KEY),
    Case("one of two has no key", "A{}", "1d", DAY, R.NEVER_ASKED, "the next update", _tracked, ONE_KEY),
    Case("the key is refused", "A{}", "1d", DAY, R.CREDENTIALS, "(401)", _failing("credentials", "401")),
    Case("unknown symbol", "A{}", "1d", DAY, R.UNKNOWN_SYMBOL, "no provider knows the symbol (yahoo does not know", _failing("unknown_symbol", "yahoo does not know A")),
    Case("the provider is down", "A{}", "1d", DAY, R.FAILED, "failed (502)", _failing("unavailable", "502")),
    Case("a broken reply", "A{}", "1d", DAY, R.FAILED, "failed (cut off)", _failing("malformed_reply", "cut off")),
    Case("tracked since a moment", "A{}", "1d", DAY, R.NEVER_ASKED, "it was never asked for", _tracked),
    Case("not derived yet", "A{}", "1wk", "2024-02-12", R.NEVER_ASKED, "it was not derived yet", _base_there),
    # It was asked for, and did not come.
    Case("a new hole", "A{}", "1d", DAY, R.NEW, "(not asked again yet, next at 2024-03-20", _hole(0, "2024-02-14T22:00")),
    Case("asked again twice", "A{}", "1d", DAY, R.RETRYABLE, "asked again 2 times", _hole(2, "2024-02-14T22:00")),
    Case("a provider's hole", "A{}", "1d", DAY, R.PROVIDER_HOLE, "does not seem to have it", _hole(4, "2024-03-05T22:00")),
    Case("exhausted", "A{}", "1d", DAY, R.EXHAUSTED, "asked again 7 times", _hole(7, "2024-02-10T22:00", "2024-04-10")),
    Case("reopened", "A{}", "1d", DAY, R.REOPENED, "answered without it", _hole(0, "2024-03-14", "2024-03-14")),
    Case("an outage", "A{}.L", "1d", DAY, R.OUTAGE, "380 of 500 series of XLON lack that session", _outage),
    Case("an outage of hours is none of days", "A{}.L", "1d", "2024-02-20", R.RETRYABLE, "asked again once", _outage_of_days),
    Case("was it closed", "700{}.T", "1d", DAY, R.QUESTION, "marketdata calendar close XTKS 2024-02-14", _question),
    Case("no trade in a minute", "A{}", "1m", "2024-03-14T15:31", R.NO_TRADE, "nothing traded", _no_trade),
    Case("kept apart", "A{}", "1d", DAY, R.QUARANTINED, "level_shift): 100 times the level", _held),
    Case("dropped by a person", "A{}", "1d", DAY, R.REMOVED, ": a split, wrongly", _removed),
    Case("a bad row", "A{}", "1d", DAY, R.DROPPED, "breaks the rule low_high", _dropped),
    Case("covered yet gone", "A{}", "1d", DAY, R.LOST, "run marketdata verify", _lost),
    Case("4h without an hour", "A{}", "4h", "2024-02-14T14:30", R.BASE_LACKS, "whose bar of 2024-02-14 14:30 UTC is not stored: yahoo answered without it", _base_hole),
    Case("a week without its days", "A{}", "1wk", "2024-02-12", R.BASE_LACKS, "never asked for", _base_unknown),
)  # fmt: skip
"""All at one market instant: Friday 2024-03-15 21:00 UTC."""


def keyed() -> Iterator[tuple[Case, str]]:
    """Each case with an instrument of its own."""
    for number, case in enumerate(CASES):
        letters = "".join(chr(ord("A") + number // 26**place % 26) for place in (2, 1, 0))
        name = f"{number + 10}" if case.key[0].isdigit() else f"{letters}"
        key = case.key.replace("{3}", letters).replace("{2}", letters[1:]).replace("{}", name)
        yield case, key
