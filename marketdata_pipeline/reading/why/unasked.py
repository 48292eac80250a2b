"""A bar is expected and was never asked for: nobody wants it, it waits, or asking does not work.

Not here: what was asked for and did not come (absent).
"""

from datetime import UTC, datetime, timedelta

from marketdata_pipeline.domain.backfill import Status
from marketdata_pipeline.domain.ranges import from_micros
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.why.answer import Answer, Case, label_of, when
from marketdata_pipeline.store.circumstances import Queued

_BY_ERROR = {
    "unknown_symbol": Reason.UNKNOWN_SYMBOL,
    "blocked": Reason.BLOCKED,
    "credentials": Reason.CREDENTIALS,
    "rate_limited": Reason.RATE_LIMITED,
    "circuit_open": Reason.CIRCUIT_OPEN,
    "out_of_depth": Reason.OUT_OF_DEPTH,
}
_WORDS = {
    Reason.UNKNOWN_SYMBOL: "no provider knows the symbol",
    Reason.BLOCKED: "the provider turns this address away",
    Reason.CREDENTIALS: "the provider wants a key, or refuses the one that it is shown",
    Reason.RATE_LIMITED: "the provider had no turn for it yet",
    Reason.CIRCUIT_OPEN: "the provider failed too often, so it is left alone for now",
    Reason.OUT_OF_DEPTH: "the provider does not go back so far",
    Reason.FAILED: "the last time that it was asked for failed",
}


def not_wanted(case: Case) -> Answer | None:
    """Nobody asked to keep it."""
    if case.span is not None or _row(case) is not None:
        return None
    tracked, instrument = case.known.tracked, case.series.instrument
    how = f"marketdata track {instrument} -t {case.timeframe}"
    if tracked is None or tracked.untracked_at is not None:
        until = None if tracked is None else tracked.untracked_at
        told = "is not tracked" if until is None else f"is not tracked since {when(until)}"
        return Answer(Reason.NOT_TRACKED, f"{instrument} {told}; {how}", {"untracked_at": until})
    if case.timeframe not in tracked.timeframes:
        kept = ", ".join(map(str, tracked.timeframes))
        text = f"{instrument} is tracked at {kept} only; {how}"
        return Answer(Reason.NOT_TRACKED, text, {"timeframes": kept})
    return _before_since(case, tracked.since)


def _before_since(case: Case, since: datetime | None) -> Answer | None:
    start = since or _usual_start(case)
    if start is None:
        return None
    end = case.at + timedelta(days=7 if case.timeframe is Timeframe.W1 else 1)
    kept = case.at >= start if case.timeframe.intraday else end > start
    if kept:
        return None
    usual = "" if since else f", the usual depth of {case.timeframe}"
    text = (
        f"{case.series} is kept from {start:%Y-%m-%d} on{usual}; for more: "
        f"marketdata backfill {case.series.instrument} -t {case.timeframe} "
        "--start DATE"
    )
    return Answer(Reason.BEFORE_SINCE, text, {"since": start, "usual": since is None})


def _usual_start(case: Case) -> datetime | None:
    depth = case.timeframe.depth
    if depth is None:
        return None
    day = (case.known.market_now - depth).date() + timedelta(days=1)
    return from_micros(label_of(day)).astimezone(UTC)


def too_old_to_ask(case: Case) -> Answer | None:
    """Every provider's depth ends after it."""
    if case.span is not None or not case.sources:
        return None
    depths = [one.depth for one in case.sources]
    reach = None if None in depths else max(one for one in depths if one is not None)
    if reach is None or case.at >= case.known.market_now - reach:
        return None
    names = ", ".join(one.name for one in case.sources)
    text = f"older than {names} serves of {case.timeframe} ({reach.days} days), never asked for"
    evidence = {"providers": [one.name for one in case.sources], "depth_days": reach.days}
    return Answer(Reason.OUT_OF_DEPTH, text, evidence)


def without_key(case: Case) -> Answer | None:
    """Every provider of it needs a key that it does not have."""
    lacking = [one for one in case.sources if one.key]
    if not lacking or len(lacking) < len(case.sources):
        return None
    keys = ", ".join(one.key for one in lacking)
    names = ", ".join(one.name for one in lacking)
    text = f"{names} needs a key; set {keys}"
    return Answer(
        Reason.CREDENTIALS, text, {"providers": [one.name for one in lacking], "keys": keys}
    )


def queued(case: Case) -> Answer | None:
    """A row of the queue is for it."""
    row = _row(case)
    if row is None:
        return None
    evidence = {
        "queue": row.id,
        "status": row.status.value,
        "not_before": row.retry_after,
        "error": row.error_message,
    }
    if row.error_category in _BY_ERROR or row.status in {Status.RATE_LIMITED, Status.FAILED}:
        usual = Reason.RATE_LIMITED if row.status is Status.RATE_LIMITED else Reason.FAILED
        reason = _BY_ERROR.get(row.error_category or "", usual)
        if row.status is Status.RATE_LIMITED and reason != Reason.CIRCUIT_OPEN:
            reason = Reason.RATE_LIMITED
        text = f"{_WORDS[reason]}{_said(row.error_message)}; queue row {row.id}, {_then(row)}"
        return Answer(reason, text, evidence)
    told = "a run is at it" if row.status is Status.IN_PROGRESS else _then(row)
    return Answer(Reason.QUEUED, f"it waits in the queue (row {row.id}): {told}", evidence)


def _then(row: Queued) -> str:
    if row.status is Status.FAILED:
        return f"given up; to try again: marketdata queue retry {row.id}"
    return f"not before {when(row.retry_after)}"


def _said(message: str | None) -> str:
    return f" ({message.rstrip('.')})" if message else ""


def _row(case: Case) -> Queued | None:
    wanted = {case.timeframe, case.timeframe.base}
    return next(
        (
            one
            for one in case.known.queued
            if wanted & one.timeframes
            and (one.start is None or one.start <= case.at)
            and (one.end is None or case.at < one.end)
        ),
        None,
    )


def paused(case: Case) -> Answer | None:
    """No provider of it may be sent anything now."""
    mine = [
        next((one for one in case.known.pauses if one.key.partition("/")[0] == source.name), None)
        for source in case.sources
    ]
    shut = [one for one in mine if one is not None]
    if not shut or len(shut) < len(mine):
        return None
    first = min(shut, key=lambda one: one.until)
    error = case.known.error
    evidence = {"provider": first.key, "until": first.until, "error": error and error.message}
    reason = Reason.CIRCUIT_OPEN if first.broken else Reason.RATE_LIMITED
    if error is not None and error.category == "blocked":
        reason = Reason.BLOCKED
    text = f"{_WORDS[reason]}; {first.key} has no turn until {when(first.until)}"
    return Answer(reason, text, evidence)


def failed(case: Case) -> Answer | None:
    """The last update of the series failed."""
    error = case.known.error
    if error is None:
        return None
    reason = _BY_ERROR.get(error.category, Reason.FAILED)
    text = f"{_WORDS[reason]}{_said(error.message)}, {when(error.at)}"
    evidence = {"category": error.category, "message": error.message, "at": error.at}
    return Answer(reason, text, evidence)


def never_asked(case: Case) -> Answer:
    """Nothing stands in the way: the next update asks."""
    derived = case.timeframe.derived
    what = f"it was not derived yet; the next update of {case.series} does" if derived else (
        f"it was never asked for; the next update of {case.series} does"
    )  # fmt: skip
    how = f"marketdata backfill {case.series.instrument} -t {case.timeframe}"
    return Answer(Reason.NEVER_ASKED, f"{what}: {how}", {})
