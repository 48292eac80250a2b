"""Gates that are compared, each an adapter of the same shape: ours, and its peers as they are.

Not here: the clients that ask them (_client). An adapter is settings that travel as JSON to the
clients' processes; `opened` there makes the gate of one client. None of the peers has a word for a
refusal, so what is heeded is heeded by ours alone.
"""

import asyncio
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from marketdata_pipeline.domain import gate as domain
from marketdata_pipeline.domain.errand import Errand, Priority

WARM = "warm"
"""A key of every catalog, whose turns are nobody's."""
WARM_LIMITS = domain.Limits((domain.RateLimit(1_000, timedelta(seconds=10), 1),))
NOT_FOUND, FORBIDDEN, TOO_MANY = 404, 403, 429
_ENDINGS = {
    NOT_FOUND: domain.Ending.UNKNOWN_SYMBOL,
    FORBIDDEN: domain.Ending.BLOCKED,
    TOO_MANY: domain.Ending.RATE_LIMITED,
}
"""How a request with that status ended, as providers' adapters say it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request of a client.

    Attributes:
        sent: unix second just before it was sent.
        came: unix second at which its answer was there.
        status: of HTTP; 0: no answer.
        retry_after: seconds that a refusal says to wait; None: it does not say.
        told: unix second at which the gate had taken it in.
    """

    sent: float
    came: float
    status: int
    retry_after: float | None = None
    told: float = 0.0


class Gate(Protocol):
    """One client's side of a gate."""

    def wait(self) -> None:
        """Until one request may be sent."""
        ...

    def heed(self, answer: Answer) -> None:
        """Be told how it went."""
        ...


class Adapter(Protocol):
    """A gate's settings; ``modules`` are imported before clients are forked."""

    modules: ClassVar[tuple[str, ...]]

    def opened(self) -> Gate:
        """The gate of the process that asks."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """The governor's gate of a key that is registered in a catalog.

    Attributes:
        scale: by which the governor's times are multiplied, but for the one within which urgent
            callers come: that is no time of backing off.
        priority: of every request, in its spelling.
    """

    url: str
    key: str
    scale: float = 1.0
    priority: str = "tracked"

    modules: ClassVar[tuple[str, ...]] = ("marketdata_pipeline.governor.governor", "psycopg2")

    def opened(self) -> Gate:
        """With an engine of its own."""
        return _Ours(self)


def governed(settings: Ours) -> domain.Gate:
    """The governor's own gate, warm: its statements are compiled, at another key of the catalog.

    The first turn of a process takes 40 ms of CPU. Where dozens of them start at the same instant,
    as nobody but a benchmark has them do, the first requests would arrive that late.
    """
    from marketdata_pipeline.database.engine import open_engine
    from marketdata_pipeline.domain.clock import SystemClock
    from marketdata_pipeline.domain.tuning import Tuning
    from marketdata_pipeline.governor.governor import Governor

    usual = Tuning()
    tuning = replace(usual.scaled(settings.scale), urgent_within=usual.urgent_within)
    governor = Governor(open_engine(settings.url), SystemClock(), tuning)
    warm, usual_gate = (
        governor.gate(one, max_wait=timedelta(days=2)) for one in (WARM, settings.key)
    )
    for _ in range(2):  # one at once, one that is waited for
        turn = warm.turn(Errand())
        warm.report(turn, domain.Attempt(domain.Ending.ANSWERED))
    return usual_gate


class _Ours:
    def __init__(self, settings: Ours) -> None:
        self._gate = governed(settings)
        self._errand = Errand(next(one for one in Priority if str(one) == settings.priority))

    def wait(self) -> None:
        self._turn = self._gate.turn(self._errand)

    def heed(self, answer: Answer) -> None:
        wait = answer.retry_after
        self._gate.report(
            self._turn,
            domain.Attempt(
                ending=_ENDINGS.get(answer.status, domain.Ending.UNAVAILABLE),
                status=answer.status,
                took=timedelta(seconds=answer.came - answer.sent),
                retry_after=None if wait is None else timedelta(seconds=wait),
            ),
        )


@dataclass(frozen=True, slots=True)
class Ccxt:
    """ccxt's own throttler of an exchange, which each process has for itself.

    Attributes:
        rate_limit: milliseconds between two requests; 2,000 is what ccxt gives an exchange that
            says nothing else (``Exchange.rateLimit`` of ccxt 4).
    """

    rate_limit: float

    modules: ClassVar[tuple[str, ...]] = ("ccxt.async_support",)

    def opened(self) -> Gate:
        """With a loop of its own."""
        return _Ccxt(self)


class _Ccxt:
    def __init__(self, settings: Ccxt) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._exchange = self._runner.run(self._made())

    async def _made(self) -> Any:
        from ccxt.async_support import Exchange

        return Exchange({"rateLimit": self._settings.rate_limit, "enableRateLimit": True})

    def wait(self) -> None:
        self._runner.run(self._throttled())

    async def _throttled(self) -> None:
        await self._exchange.throttle()
        await asyncio.sleep(0)  # its own task ends, as it would while a request is on its way

    def heed(self, answer: Answer) -> None:
        """It is told nothing: ccxt raises, and leaves the rest to whoever called."""


@dataclass(frozen=True, slots=True)
class Pyrate:
    """pyrate-limiter's bucket in SQLite, which all processes share under its file lock."""

    path: str
    requests: int
    milliseconds: int

    modules: ClassVar[tuple[str, ...]] = ("pyrate_limiter", "filelock")

    def opened(self) -> Gate:
        """With a connection of its own."""
        return _Pyrate(self)


class _Pyrate:
    def __init__(self, settings: Pyrate) -> None:
        from pyrate_limiter import Limiter, Rate, SQLiteBucket

        rates = [Rate(settings.requests, settings.milliseconds)]
        bucket = SQLiteBucket.init_from_file(rates, db_path=settings.path, use_file_lock=True)
        self._limiter = Limiter(bucket)

    def wait(self) -> None:
        self._limiter.try_acquire("provider")

    def heed(self, answer: Answer) -> None:
        """It has no way to be told."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """So many seconds before each request of a process."""

    seconds: float

    modules: ClassVar[tuple[str, ...]] = ("marketdata_pipeline.domain.clock",)

    def opened(self) -> Gate:
        """Nothing to open."""
        return _Sleep(self)


class _Sleep:
    def __init__(self, settings: Sleep) -> None:
        from marketdata_pipeline.domain.clock import SystemClock

        self._clock, self._seconds = SystemClock(), settings.seconds

    def wait(self) -> None:
        self._clock.sleep(self._seconds)

    def heed(self, answer: Answer) -> None:
        """Nobody is there to be told."""


_ADAPTERS: dict[str, type[Ours | Ccxt | Pyrate | Sleep]] = {
    one.__name__: one for one in (Ours, Ccxt, Pyrate, Sleep)
}


def written(adapter: Ours | Ccxt | Pyrate | Sleep) -> dict[str, Any]:
    """An adapter as JSON takes it."""
    return {"adapter": type(adapter).__name__, **asdict(adapter)}


def read(said: dict[str, Any]) -> Adapter:
    """The adapter that was written."""
    settings = dict(said)
    return _ADAPTERS[settings.pop("adapter")](**settings)
