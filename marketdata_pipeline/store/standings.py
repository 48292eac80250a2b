"""How each quality rule stands over all series: counts, scores and the worst, summed up in SQL.

Not here: the verdicts themselves (verdicts), and freshness, which ages by itself (ingest.judge).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Select, and_, case, cast, false, func, or_, select

from marketdata_pipeline.database.dialect import one_of
from marketdata_pipeline.database.metadata import quality, tracked_instruments
from marketdata_pipeline.database.metadata import series as series_table
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.domain.verdict import Verdict

STEPS = 10
"""Scores are counted in tenths."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule over all series that it applies to.

    Attributes:
        series: how many those are; ``failing`` of them fail.
        lowest, mean: scores, 1 where there is no series.
        spread: how many have a score below 0.1, below 0.2, ..., up to 1.
        asked, ok: of the series that were named how many the rule applies to, and how many pass.
        worst: those that fail, the lowest score first; as many as were wanted.
    """

    series: int = 0
    failing: int = 0
    lowest: float = 1.0
    mean: float = 1.0
    spread: tuple[int, ...] = (0,) * STEPS
    asked: int = 0
    ok: int = 0
    worst: tuple[tuple[Series, Verdict], ...] = ()


def bucket(score: float) -> int:
    """The tenth that a score is counted in."""
    return min(STEPS - 1, int(score * STEPS))


def standing_of(
    verdicts: Mapping[Series, Verdict], named: Collection[Series], *, most: int = 20
) -> Standing:
    """The standing that verdicts come to, all of which count."""
    scores = [one.score for one in verdicts.values()]
    failing = [(series, one) for series, one in verdicts.items() if not one.passed]
    failing.sort(key=lambda pair: (pair[1].score, str(pair[0])))
    spread = [0] * STEPS
    for one in scores:
        spread[bucket(one)] += 1
    asked = [verdicts[one] for one in named if one in verdicts]
    return Standing(
        series=len(verdicts),
        failing=len(failing),
        lowest=min(scores, default=1.0),
        mean=sum(scores) / len(scores) if scores else 1.0,
        spread=tuple(spread),
        asked=len(asked),
        ok=sum(one.passed for one in asked),
        worst=tuple(failing[:most]),
    )


def standings(
    connection: Connection, rules: Collection[str], named: Collection[Series], most: int
) -> dict[str, Standing]:
    """Each rule's standing, over the series that count as in ``Verdicts.kept``.

    Args:
        connection: that reads.
        rules: which ones.
        named: series that count in any case, and that ``asked`` and ``ok`` are about.
        most: of the worst.
    """
    keys = [str(one) for one in named]
    found = {}
    for row in connection.execute(_sums(connection, keys)).all():
        worst = _worst(connection, row.rule, keys, most) if row.failing else ()
        found[row.rule] = _standing(row, worst)
    return {name: found.get(name) or Standing() for name in rules}


def counting(connection: Connection, keys: list[str]) -> Any:
    """The condition that a series counts, or is named; for the join that ``_joined`` makes."""
    row, kept = series_table.c, tracked_instruments.c
    followed = kept.untracked_at.is_(None)
    listed = ("," + kept.timeframes + ",").like("%," + row.timeframe + ",%")
    tracked = and_(kept.timeframes.is_not(None), followed, listed)
    return or_(tracked, and_(row.rows > 0, followed), _named(connection, keys))


def _named(connection: Connection, keys: list[str]) -> Any:
    return one_of(connection, series_table.c.key, keys) if keys else false()


def _joined(wanted: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return (
        wanted.select_from(quality)
        .join(series_table, series_table.c.id == quality.c.series_id)
        .outerjoin(
            tracked_instruments,
            tracked_instruments.c.instrument_id == series_table.c.instrument_id,
        )
    )


def _sums(connection: Connection, keys: list[str]) -> Select[*tuple[Any, ...]]:
    score, mine = quality.c.score, _named(connection, keys)
    edges = [step / STEPS for step in range(STEPS)]
    spread = [
        _count(score >= low if low == edges[-1] else and_(score >= low, score < high)).label(
            f"tenth_{step}"
        )
        for step, (low, high) in enumerate(zip(edges, [*edges[1:], 1.0], strict=True))
    ]
    wanted = select(
        quality.c.rule,
        func.count().label("series"),
        _count(~quality.c.passed).label("failing"),
        func.min(score).label("lowest"),
        func.avg(score).label("mean"),
        _count(mine).label("asked"),
        _count(and_(mine, quality.c.passed)).label("ok"),
        *spread,
    )
    return _joined(wanted).where(counting(connection, keys)).group_by(quality.c.rule)


def _count(condition: Any) -> Any:
    return cast(func.sum(case((condition, 1), else_=0)), Integer)


def _worst(
    connection: Connection, rule: str, keys: list[str], most: int
) -> tuple[tuple[Series, Verdict], ...]:
    wanted = (
        _joined(select(series_table.c.key, quality.c.score, quality.c.detail))
        .where(quality.c.rule == rule, ~quality.c.passed, counting(connection, keys))
        .order_by(quality.c.score, series_table.c.key)
        .limit(most)
    )
    return tuple(
        (Series.parse(row.key), Verdict(passed=False, score=row.score, detail=row.detail))
        for row in connection.execute(wanted)
    )


def _standing(row: Any, worst: tuple[tuple[Series, Verdict], ...]) -> Standing:
    return Standing(
        series=row.series,
        failing=row.failing,
        lowest=row.lowest,
        mean=row.mean,
        spread=tuple(getattr(row, f"tenth_{step}") for step in range(STEPS)),
        asked=row.asked,
        ok=row.ok,
        worst=worst,
    )
