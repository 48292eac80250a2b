"""A bar came: it is stored, or was kept out of the store for a reason.

Not here: bars that no answer contained (absent).
"""

import numpy as np

from marketdata_pipeline.domain.coverage import SpanKind
from marketdata_pipeline.domain.reason import Reason
from marketdata_pipeline.domain.timeframe import Timeframe
from marketdata_pipeline.reading.why.answer import Answer, Case, when
from marketdata_pipeline.reading.why.expected import closure_on
from marketdata_pipeline.store.circumstances import Asked, Held
from marketdata_pipeline.store.write import State


def stored(case: Case) -> Answer | None:
    """It is there: from whom, since when, and whether it may still change."""
    at = int(np.searchsorted(case.known.labels, case.label))
    if at == len(case.known.labels) or int(case.known.labels[at]) != case.label:
        return None
    fetch = case.known.sources.get(int(case.known.fetch_id[at]))
    final = int(case.known.state[at]) == State.FINAL
    evidence: dict[str, object] = {
        "fetch": int(case.known.fetch_id[at]),
        "state": "final" if final else "provisional",
    }
    parts = [f"stored, {evidence['state']}"]
    if fetch is not None:
        evidence |= _of_fetch(fetch)
        parts.append(_from(fetch, case))
    parts += [text for text in (_settles(case, evidence, final), _restated(case, evidence)) if text]
    if case.closes is None and (said := closure_on(case)) is not None:
        evidence["closed"] = said.reason
        parts.append(f"though a person closed that day ({said.reason})")
    return Answer(Reason.STORED, "; ".join(parts), evidence)


def _of_fetch(fetch: Asked) -> dict[str, object]:
    return {
        "kind": fetch.kind,
        "provider": fetch.provider,
        "origin": fetch.origin,
        "fetched_at": fetch.fetched_at,
    }


def _from(fetch: Asked, case: Case) -> str:
    base = case.series.base
    if fetch.kind == "derived" and base is not None:
        return f"derived from {base} on {when(fetch.fetched_at)} (fetch {fetch.id})"
    return f"from {fetch.provider} on {when(fetch.fetched_at)} (fetch {fetch.id})"


def _settles(case: Case, evidence: dict[str, object], final: bool) -> str:  # noqa: FBT001 - as stored
    span = case.span
    if final or span is None or span.kind is not SpanKind.PROVISIONAL or span.recheck_at is None:
        return ""
    evidence["settles_at"] = span.recheck_at
    return f"asked once more at {when(span.recheck_at)}"


def _restated(case: Case, evidence: dict[str, object]) -> str:
    change = case.known.restated.get(case.label)
    if change is None:
        return ""
    evidence |= {
        "restated_at": change.recorded_at,
        "restated_because": change.reason,
        "old_close": change.old_close,
        "new_close": change.new_close,
    }
    return (
        f"restated on {when(change.recorded_at)} ({change.reason}), close {change.old_close:g} "
        f"to {change.new_close:g}"
    )


def quarantined(case: Case) -> Answer | None:
    """It came and is kept apart until somebody judges it."""
    held = _held(case, dropped=False)
    if held is None:
        return None
    text = (
        f"bars came and are in quarantine ({held.id}, {held.reason}): {held.detail}; "
        f"marketdata quarantine show {held.id}"
    )
    evidence = {"quarantine": held.id, "reason": held.reason, "detail": held.detail}
    return Answer(Reason.QUARANTINED, text, evidence)


def dropped(case: Case) -> Answer | None:
    """Its row broke a hard rule, or a person dropped it from quarantine; the latest word counts."""
    fetch = next((one for one in case.known.asked if case.label in one.dropped), None)
    held = _held(case, dropped=True)
    if held is not None and (
        fetch is None or held.decided_at is None or held.decided_at >= fetch.fetched_at
    ):
        text = f"a person dropped it from quarantine ({held.id}, {held.reason})"
        why = f": {held.decided_why}" if held.decided_why else ""
        evidence = {
            "quarantine": held.id,
            "reason": held.reason,
            "decided_at": held.decided_at,
            "decided_why": held.decided_why,
        }
        return Answer(Reason.REMOVED, text + why, evidence)
    if fetch is None:
        return None
    rule = fetch.dropped[case.label]
    text = (
        f"{fetch.provider} sent a row that breaks the rule {rule}, so it was left out "
        f"(fetch {fetch.id}, {when(fetch.fetched_at)})"
    )
    span = case.span
    again = None if span is None else span.recheck_at
    if again is not None and span is not None and span.kind is SpanKind.HOLE:
        text += f"; asked again at {when(again)}"
    evidence = {"rule": rule, "fetch": fetch.id, "provider": fetch.provider, "next_try": again}
    return Answer(Reason.DROPPED, text, evidence)


def _held(case: Case, *, dropped: bool) -> Held | None:
    return next(
        (
            one
            for one in case.known.held
            if one.dropped is dropped and one.within.start <= case.at < one.within.end
        ),
        None,
    )


def lost(case: Case) -> Answer | None:
    """Coverage says that it was answered in full, yet it is not stored."""
    span = case.span
    if span is None or span.kind not in {SpanKind.ANSWERED, SpanKind.PROVISIONAL}:
        return None
    if case.timeframe is Timeframe.W1 or case.timeframe.derived:
        text = "it was derived, but is not stored; run marketdata verify"
    else:
        text = "it was answered, but is not stored; run marketdata verify"
    return Answer(Reason.LOST, text, {"covered": str(span.within)})
