"""The asset ``provider_health``: how each provider stands, as numbers that Dagster plots over time.

Not here: what the numbers are made of (governor.health), and when it is looked at (schedules).
"""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from marketdata_pipeline.defs.metadata import markdown_table
from marketdata_pipeline.defs.resources import GovernorResource, failing_clearly
from marketdata_pipeline.governor.health import Condition, Health, Latency
from marketdata_pipeline.reading.providers import Standing, Standings

PROVIDER_HEALTH = dg.AssetKey("provider_health")
_Numbers = dict[str, float]
"""Whole ones where they count something."""


@dg.asset(
    name="provider_health",
    group_name="providers",
    owners=["team:marketdata"],
    kinds={"python", "sql"},
    description=(
        "How each provider stands: latency, success, requests, rate, free turns, cooldown. Each "
        "materialization is one look; it asks no provider and takes no turn. The numbers of its "
        "metadata are plotted over time under *Plots*. What the states mean and what to do: "
        "`docs/providers.md`."
    ),
)
def provider_health(governor: dg.ResourceParam[GovernorResource]) -> dg.MaterializeResult:
    """Look at every provider once."""
    with failing_clearly(), governor.opened() as gates:
        return dg.MaterializeResult(metadata=look_metadata(gates.standings()))


def look_metadata(standings: Standings) -> dict[str, dg.MetadataValue]:
    """What one look says: a table, and for each provider its state and its numbers.

    A number that is not known, as latency where nothing was served, is left out: a gap in its plot.
    """
    told: dict[str, dg.MetadataValue] = {"providers": dg.MetadataValue.md(_table(standings))}
    for one in standings.all:
        told[f"{one.key}/state"] = dg.MetadataValue.text(str(one.health.condition))
        numbers = _of_health(one.health) | _of_turns(one, standings.at)
        told |= {f"{one.key}/{name}": _value(number) for name, number in numbers.items()}
    return told


def _value(number: float) -> dg.MetadataValue:
    if isinstance(number, int):
        return dg.MetadataValue.int(number)
    return dg.MetadataValue.float(number)


def _of_health(health: Health) -> _Numbers:
    numbers: _Numbers = {"requests_hour": health.hour.requests}
    if health.latency is not None:
        numbers |= _milliseconds(health.latency)
    if health.success is not None:
        numbers["success_share"] = round(health.success, 4)
    return numbers


def _milliseconds(latency: Latency) -> _Numbers:
    return {
        "p50_ms": round(1000 * latency.p50.total_seconds(), 1),
        "p95_ms": round(1000 * latency.p95.total_seconds(), 1),
    }


def _of_turns(one: Standing, at: datetime) -> _Numbers:
    turns = one.turns
    if turns is None or one.per_minute is None:
        return {}
    until = turns.cooldown_until
    numbers: _Numbers = {
        "rate_per_minute": round(one.per_minute, 3),
        "eased": round(turns.eased, 4),
        "free_turns": turns.free,
        "cooldown_seconds": 0.0 if until is None else round((until - at).total_seconds(), 1),
    }
    if turns.budget_left is not None:
        numbers["credits_left"] = turns.budget_left
    return numbers


def _table(standings: Standings) -> str:
    head = ("provider", "state", "why", "what to do")
    return markdown_table(head, [_row(one.health) for one in standings.all])


def _row(health: Health) -> Sequence[str]:
    fine = health.condition is Condition.HEALTHY
    advice = "" if fine else health.condition.advice
    return (health.key, str(health.condition), health.why, advice)
