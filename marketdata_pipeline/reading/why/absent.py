"""A bar is expected and was asked for, but no answer contained it.

Not here: what was never asked for (unasked).
"""

from datetime import date, datetime, timedelta

from marketdata_pipeline.domain.coverage import Span, SpanKind
from marketdata_pipeline.domain.hole import is_exhausted, was_tried_enough
from marketdata_pipeline.domain.ranges import from_micros, to_micros
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.why.answer import Answer, Case, when
from marketdata_pipeline.store.circumstances import Asked, Incident

FEWEST_PROVIDERS, FEWEST_SESSIONS = 2, 5
"""Silence of fewer providers, or over fewer sessions, says nothing of a listing's end."""
_OF_THE_SYMBOL = frozenset({"unknown_symbol", "out_of_depth"})
"""Errors that are no trouble on the way to a provider."""


def base_lacks(case: Case) -> Answer | None:
    """A derived bar that its base is not there for."""
    base = case.series.base
    if base is None or case.base is None:
        return None
    at, why = case.base
    text = f"it is derived from {base}, whose bar of {when(at)} is not stored: {why.text}"
    evidence = {
        "base": str(base),
        "base_label": at,
        "base_reason": why.reason.value,
        "base_evidence": why.evidence,
    }
    return Answer(Reason.BASE_LACKS, text, evidence)


def by_coverage(case: Case) -> Answer | None:
    """What coverage says of it."""
    span = case.span
    if span is None:
        return None
    match span.kind:
        case SpanKind.OUT_OF_DEPTH:
            return _out_of_depth(case, span)
        case SpanKind.NO_TRADE:
            text = "nothing traded: the provider was asked after settlement and lacks it still"
            return Answer(Reason.NO_TRADE, text, {**_last_word(case), "since": span.since})
        case SpanKind.HOLE:
            return _in_incident(case) or _delisted(case) or _hole(case, span)
    return None


def outage(case: Case) -> Answer | None:
    """Part of an open incident, never asked for or not."""
    span = case.span
    return _in_incident(case) if span is None or span.kind is SpanKind.HOLE else None


def _out_of_depth(case: Case, span: Span) -> Answer:
    reach = max((one.depth for one in case.sources if one.depth is not None), default=None)
    names = ", ".join(one.name for one in case.sources) or "its provider"
    deep = "" if reach is None else f" ({reach.days} days)"
    evidence = {
        "providers": [one.name for one in case.sources],
        "depth_days": None if reach is None else reach.days,
        "noted": str(span.within),
        **_last_word(case),
    }
    text = f"older than {names} serves of {case.timeframe}{deep}, so it is not asked for"
    return Answer(Reason.OUT_OF_DEPTH, text, evidence)


def _incident(case: Case) -> Incident | None:
    day = case.session
    days = {day}
    if case.timeframe is Timeframe.W1:
        days = {day + timedelta(days=one) for one in range(7)}
    ours = case.timeframe
    base = case.timeframe.base
    return next(
        (
            one
            for one in case.known.incidents
            if one.sessions & days and (not one.timeframes or {ours, base} & one.timeframes)
        ),
        None,
    )


def _in_incident(case: Case) -> Answer | None:
    one = _incident(case)
    if one is None:
        return None
    evidence = {
        "incident": one.id,
        "kind": one.kind,
        "lacking": one.lacking,
        "expected": one.expected,
        "probe_at": one.probe_at,
    }
    if one.kind == "question":
        text = (
            f"none of the {one.expected} series of {case.name} has that session: was it closed? "
            f"If so: marketdata calendar close {case.name} {case.session} --reason ... "
            f"(incident {one.id})"
        )
        return Answer(Reason.QUESTION, text, evidence)
    again = "" if one.probe_at is None else f"; some are asked again at {when(one.probe_at)}"
    text = (
        f"an outage: {one.lacking} of {one.expected} series of {case.name} lack that session "
        f"(incident {one.id}){again}"
    )
    return Answer(Reason.OUTAGE, text, evidence)


def _delisted(case: Case) -> Answer | None:
    """Several providers answer, session after session, and none has a bar since the last one.

    Trouble on the way (a rate limit, a block, an outage) says nothing of the listing.
    """
    known, last = case.known, case.known.last
    trouble = known.error is not None and known.error.category not in _OF_THE_SYMBOL
    if last is None or last >= case.at or trouble or known.incidents:
        return None
    silent = _silent(case, last) - {one.key.partition("/")[0] for one in known.pauses}
    sessions = case.calendar.days(to_micros(last) + 1, to_micros(known.market_now)).label
    if len(silent) < FEWEST_PROVIDERS or len(sessions) < FEWEST_SESSIONS:
        return None
    names = ", ".join(sorted(silent))
    text = (
        f"{names} answer and have nothing of {case.series.instrument} since {last:%Y-%m-%d}, "
        f"{len(sessions)} sessions ago; it was probably delisted or renamed"
    )
    evidence = {"providers": sorted(silent), "last": last, "sessions": len(sessions)}
    return Answer(Reason.DELISTED, text, evidence)


def _silent(case: Case, last: datetime) -> set[str]:
    """The providers that answered so on several sessions, the last time at least that late."""
    asked: dict[str, set[date]] = {}
    for one in case.known.asked:
        if one.kind == "reply" and _about(one, case) and (one.last is None or one.last <= last):
            asked.setdefault(one.provider, set()).add(one.market_at.date())
    return {name for name, days in asked.items() if len(days) > 1}


def _about(one: Asked, case: Case) -> bool:
    closed = case.closes is not None and one.market_at >= from_micros(case.closes)
    return closed and one.window.start <= case.at < one.window.end


def _hole(case: Case, hole: Span) -> Answer:
    reason = _state(hole, case.known.market_now)
    told = _last_word(case)
    who = told.get("provider", "the provider")
    again = hole.recheck_at
    then = "nobody asks for it by itself" if again is None else f"next at {when(again)}"
    often = {0: "not asked again yet", 1: "asked again once"}.get(
        hole.tries, f"asked again {hole.tries} times"
    )
    text = f"{who} answered without it ({often}, {then})"
    if reason in {Reason.PROVIDER_HOLE, Reason.EXHAUSTED}:
        text += f"; {who} does not seem to have it, another file may: marketdata import"
    evidence = {**told, "tries": hole.tries, "next_try": again, "since": hole.since}
    return Answer(reason, text, evidence)


def _state(hole: Span, market_now: datetime) -> Reason:
    """The state of a gap, as ``domain.gap`` words it."""
    if hole.since is not None and hole.recheck_at is not None and hole.recheck_at <= hole.since:
        return Reason.REOPENED
    if is_exhausted(hole, market_now):
        return Reason.EXHAUSTED
    if was_tried_enough(hole, market_now):
        return Reason.PROVIDER_HOLE
    return Reason.RETRYABLE if hole.tries else Reason.NEW


def _last_word(case: Case) -> dict[str, object]:
    """Who answered last without it."""
    one = next((one for one in case.known.asked if one.window.start <= case.at < one.window.end),
               None)  # fmt: skip
    if one is None:
        return {}
    return {"provider": one.provider, "fetch": one.id, "asked_at": one.market_at}
