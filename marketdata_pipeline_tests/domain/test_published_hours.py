"""Expected bars equal what follows by hand from the hours that exchanges publish.

Nothing here is asked of exchange_calendars: days, hours and counts are written out.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline.domain.instrument import Instrument
from marketdata_pipeline.domain.ranges import TimeRange, from_micros
from marketdata_pipeline.domain.timeframe import Timeframe

INTRADAY = [Timeframe.parse(one) for one in ("1m", "5m", "15m", "1h", "4h")]
D1, W1 = Timeframe.D1, Timeframe.W1


@dataclass(frozen=True)
class Kind:
    """A kind of day: its hours by the exchange's clock, and its bars of 1m, 5m, 15m, 1h and 4h.

    ``eve``: it opens on the evening before.
    """

    hours: str
    bars: tuple[int, int, int, int, int]
    eve: bool = False

    @property
    def segments(self) -> list[tuple[time, time]]:
        parts = [one.split("-") for one in self.hours.split()]
        return [(time.fromisoformat(one), time.fromisoformat(other)) for one, other in parts]


@dataclass(frozen=True)
class Exchange:
    """Its days in the windows of this test: which weekdays are none, and which are not regular."""

    symbol: str
    zone: str
    regular: Kind
    closed: tuple[str, ...]
    special: dict[str, Kind]
    source: str
    holidays: str


WINDOWS = (
    ("2024-03-04", "2024-03-18"),  # New York's clocks go forward on Sunday 10 March,
    ("2024-03-25", "2024-04-08"),  # London's on 31 March; Easter, Ching Ming
    ("2024-10-21", "2024-11-08"),  # London's go back on 27 October, New York's on 3 November;
    ("2024-11-25", "2024-12-09"),  # Tokyo's day is longer from 5 November on; Thanksgiving
    ("2024-12-23", "2025-01-06"),  # half days before Christmas and New Year
)
NEW_YORK = Kind("09:30-16:00", (390, 78, 26, 7, 2))
NEW_YORK_EARLY = Kind("09:30-13:00", (210, 42, 14, 4, 1))
LONDON = Kind("08:00-16:30", (510, 102, 34, 9, 3))
LONDON_EARLY = Kind("08:00-12:30", (270, 54, 18, 5, 2))
HONG_KONG = Kind("09:30-12:00 13:00-16:00", (330, 66, 22, 6, 2))
HONG_KONG_MORNING = Kind("09:30-12:00", (150, 30, 10, 3, 1))
TOKYO_TILL_THREE = Kind("09:00-11:30 12:30-15:00", (300, 60, 20, 6, 2))
TOKYO = Kind("09:00-11:30 12:30-15:30", (330, 66, 22, 6, 2))
CHICAGO = Kind("17:00-16:00", (1380, 276, 92, 23, 6), eve=True)
CHICAGO_NOON = Kind("17:00-12:00", (1140, 228, 76, 19, 5), eve=True)
CHICAGO_EARLY = Kind("17:00-12:15", (1155, 231, 77, 20, 5), eve=True)

EXCHANGES = {
    "XNYS": Exchange(
        "AAPL", "America/New_York", NEW_YORK,
        closed=("2024-03-29", "2024-11-28", "2024-12-25", "2025-01-01"),
        special={"2024-11-29": NEW_YORK_EARLY, "2024-12-24": NEW_YORK_EARLY},
        source="https://www.nyse.com/markets/hours-calendars",
        holidays="https://www.nyse.com/markets/hours-calendars",
    ),
    "XLON": Exchange(
        "AZN.L", "Europe/London", LONDON,
        closed=("2024-03-29", "2024-04-01", "2024-12-25", "2024-12-26", "2025-01-01"),
        special={"2024-12-24": LONDON_EARLY, "2024-12-31": LONDON_EARLY},
        source="https://www.londonstockexchange.com/equities-trading/business-days",
        holidays="https://www.londonstockexchange.com/equities-trading/business-days",
    ),
    "XHKG": Exchange(
        "0700.HK", "Asia/Hong_Kong", HONG_KONG,
        closed=("2024-03-29", "2024-04-01", "2024-04-04", "2024-12-25", "2024-12-26",
                "2025-01-01"),
        special={"2024-12-24": HONG_KONG_MORNING, "2024-12-31": HONG_KONG_MORNING},
        source="https://www.hkex.com.hk/Services/Trading/Securities/Overview/Trading-Hours",
        holidays="https://www.hkex.com.hk/News/HKEX-Calendar",
    ),
    "XTKS": Exchange(
        "7203.T", "Asia/Tokyo", TOKYO,
        closed=("2024-11-04", "2024-12-31", "2025-01-01", "2025-01-02", "2025-01-03"),
        special={},
        source="https://www.jpx.co.jp/english/equities/trading/domestic/01.html",
        holidays="https://www.jpx.co.jp/english/corporate/about-jpx/calendar/",
    ),
    "CME": Exchange(
        "ES=F", "America/Chicago", CHICAGO,
        closed=("2024-03-29", "2024-12-25", "2025-01-01"),
        special={"2024-11-28": CHICAGO_NOON, "2024-11-29": CHICAGO_EARLY,
                 "2024-12-24": CHICAGO_EARLY},
        source="https://www.cmegroup.com/trading-hours.html",
        holidays="https://www.cmegroup.com/tools-information/holiday-calendar.html",
    ),
}  # fmt: skip
TILL_THREE = date(2024, 11, 5)
"""Before this day Tokyo closes at 15:00: https://www.jpx.co.jp/english/equities/trading/domestic/01.html"""


def weekdays(start: str, end: str) -> list[date]:
    first, last = date.fromisoformat(start), date.fromisoformat(end)
    days = (first + timedelta(days=one) for one in range((last - first).days))
    return [one for one in days if one.weekday() < 5]


def sessions(name: str) -> dict[date, Kind]:
    """The sessions of an exchange in the windows, each with its kind."""
    exchange = EXCHANGES[name]
    found: dict[date, Kind] = {}
    for window in WINDOWS:
        for day in weekdays(*window):
            if str(day) not in exchange.closed:
                found[day] = exchange.special.get(str(day), exchange.regular)
                if name == "XTKS" and day < TILL_THREE:
                    found[day] = TOKYO_TILL_THREE
    return found


def count(symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> int:
    grid = calendar_of(Instrument.parse(symbol)).grid(timeframe, TimeRange(start, end))
    return len(grid.labels)


def span_of(day: date, kind: Kind, zone: str) -> tuple[datetime, datetime]:
    """The first open and the last close, UTC."""
    first = day - timedelta(days=1) if kind.eve else day
    start = datetime.combine(first, kind.segments[0][0], tzinfo=ZoneInfo(zone))
    end = datetime.combine(day, kind.segments[-1][1], tzinfo=ZoneInfo(zone))
    return start.astimezone(UTC), end.astimezone(UTC)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_bars_of_each_session_are_those_of_the_published_hours(name: str) -> None:
    exchange, wrong = EXCHANGES[name], []
    for day, kind in sessions(name).items():
        start, end = span_of(day, kind, exchange.zone)
        margin = timedelta(minutes=45)  # less than any pause between two sessions
        for timeframe, bars in zip(INTRADAY, kind.bars, strict=True):
            found = count(exchange.symbol, timeframe, start - margin, end + margin)
            if found != bars:
                wrong.append(f"{day} {timeframe}: {found} instead of {bars}")
    assert wrong == [], (exchange.source, exchange.holidays)
    assert len(sessions(name)) >= 40


@pytest.mark.parametrize("name", EXCHANGES)
def test_there_are_no_bars_besides(name: str) -> None:
    """Whole windows hold the sessions' bars and no others, and each week is one."""
    exchange, days = EXCHANGES[name], sessions(name)
    for start, end in WINDOWS:
        inside = [one for one in days if start <= str(one) < end]
        first, last = date.fromisoformat(start), date.fromisoformat(end)
        whole = (midnight(first), midnight(last))
        assert count(exchange.symbol, D1, *whole) == len(inside)
        assert count(exchange.symbol, W1, *whole) == len({one.isocalendar()[1] for one in inside})
        # By the exchange's clock a session lies between two noons or midnights.
        cut = timedelta(hours=16, minutes=30) if days[inside[0]].eve else timedelta(0)
        ends = [
            datetime.combine(one, time.min, tzinfo=ZoneInfo(exchange.zone)) for one in (first, last)
        ]
        if cut:
            ends = [one - timedelta(days=1) + cut for one in ends]
        for at, timeframe in enumerate(INTRADAY):
            found = count(exchange.symbol, timeframe, *(one.astimezone(UTC) for one in ends))
            assert found == sum(days[one].bars[at] for one in inside), (start, timeframe)


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_first_bar_opens_and_the_last_closes_by_the_exchanges_clock(name: str) -> None:
    exchange = EXCHANGES[name]
    calendar = calendar_of(Instrument.parse(exchange.symbol))
    for day, kind in sessions(name).items():
        start, end = span_of(day, kind, exchange.zone)
        margin = timedelta(minutes=45)
        grid = calendar.grid(Timeframe.M1, TimeRange(start - margin, end + margin))
        assert from_micros(int(grid.labels[0])) == start, day
        assert from_micros(int(grid.closes[-1])) == end, day
        daily = calendar.grid(D1, TimeRange(midnight(day), midnight(day) + timedelta(days=1)))
        assert from_micros(int(daily.closes[0])) == end, day


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_counts_follow_from_the_hours(name: str) -> None:
    """The table itself: a bar begins with each stretch of trading and every step after it."""
    for kind in set(sessions(name).values()):
        stretches = []
        for opens, closes in kind.segments:
            length = (closes.hour - opens.hour) * 60 + closes.minute - opens.minute
            stretches.append(length % (24 * 60))
        for bars, step in zip(kind.bars, (1, 5, 15, 60, 240), strict=True):
            assert bars == sum(-(-length // step) for length in stretches), (kind, step)


FX_SOURCE = "https://www.oanda.com/us-en/trading/hours-of-operation/"
"""Sunday 17:00 to Friday 17:00 New York. Grids start at 00:00 UTC; hours of each UTC day:"""
FX_HOURS = {
    # window: by weekday the hours of Friday and of Sunday, which New York's clock cuts
    ("2024-03-03", "2024-03-10"): {4: 22, 6: 2},
    ("2024-03-10", "2024-03-17"): {4: 21, 6: 3},
    ("2024-03-24", "2024-03-31"): {4: 21, 6: 3},
    ("2024-03-31", "2024-04-07"): {4: 21, 6: 3},
    ("2024-10-20", "2024-10-27"): {4: 21, 6: 3},
    ("2024-10-27", "2024-11-03"): {4: 21, 6: 3},
    ("2024-11-03", "2024-11-10"): {4: 22, 6: 2},
    ("2024-11-10", "2024-11-17"): {4: 22, 6: 2},
}


@pytest.mark.parametrize(("start", "end"), FX_HOURS)
def test_fx_weeks_are_cut_by_new_yorks_clock(start: str, end: str) -> None:
    ends = FX_HOURS[start, end]
    for back in range(7):
        day = date.fromisoformat(start) + timedelta(days=back)
        hours = 0 if day.weekday() == 5 else ends.get(day.weekday(), 24)
        within = (midnight(day), midnight(day) + timedelta(days=1))
        for timeframe, minutes in zip(INTRADAY, (1, 5, 15, 60), strict=False):
            found = count("EURUSD=X", timeframe, *within)
            assert found == hours * 60 // minutes, (day, FX_SOURCE)
        fours = {24: 6, 22: 6, 21: 6, 3: 1, 2: 1, 0: 0}[hours]  # from 20:00 on Sunday
        assert count("EURUSD=X", Timeframe.H4, *within) == fours, day
        assert count("EURUSD=X", D1, *within) == (day.weekday() < 5), day
    assert count("EURUSD=X", W1, midnight(date.fromisoformat(start)),
                 midnight(date.fromisoformat(end))) == 1  # fmt: skip


def test_crypto_never_sleeps() -> None:
    """https://www.binance.com/en/trading-rules: trading goes on around the clock, every day."""
    for back in range(60):
        day = date(2024, 2, 10) + timedelta(days=back)  # with 29 February and both clock changes
        within = (midnight(day), midnight(day) + timedelta(days=1))
        counts = [count("BTC-USD", one, *within) for one in [*INTRADAY, D1]]
        assert counts == [1440, 288, 96, 24, 6, 1], day
    assert count("BTC-USD", W1, midnight(date(2024, 2, 12)), midnight(date(2024, 4, 8))) == 8
