"""Small bar charts as SVG: how many series have which score, one rule beside the others.

Not here: candles (candles), and the page that shows them (scorecard).
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from marketdata_pipeline.reading.candles import DOWN, GREY, UP

_WIDTH: Final = 320
_HEIGHT: Final = 110
_TOP: Final = 26
_FLOOR: Final = 88


def scores_svg(spread: Sequence[int], *, title: str, least: float | None = None) -> str:
    """How many series have a score in each tenth from 0 to 1, a picture without background.

    Heights are roots of the counts, so that a single bad series is seen beside thousands of good
    ones. Below 2 kB.

    Args:
        spread: counts by tenth, the lowest first.
        title: text at the top left.
        least: scores below it are of another colour; None: all but the last tenth are.
    """
    most = max([*spread, 1])
    step = (_WIDTH - 20) / len(spread)
    bars, texts = [], []
    for at, count in enumerate(spread):
        if not count:
            continue
        tall = max(2.0, (count / most) ** 0.5 * (_FLOOR - _TOP - 12))
        x = 10 + at * step
        edge = (at + 1) / len(spread)
        bad = edge <= (least if least is not None else 1 - 1 / len(spread))
        bars.append(
            f'<rect x="{x + 2:.0f}" y="{_FLOOR - tall:.0f}" width="{step - 4:.0f}" '
            f'height="{tall:.0f}" fill="{DOWN if bad else UP}"/>'
        )
        texts.append(
            f'<text x="{x + step / 2:.0f}" y="{_FLOOR - tall - 3:.0f}" '
            f'text-anchor="middle">{count:,}</text>'
        )
    marks = "".join(
        f'<text x="{10 + at * (_WIDTH - 20) / 2:.0f}" y="{_FLOOR + 14}" text-anchor="middle">'
        f"{at / 2:g}</text>"
        for at in range(3)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-family="system-ui,sans-serif" '
        f'font-size="10" fill="{GREY}"><title>{escape(title)}</title>'
        f'<text x="10" y="13" font-weight="600">{escape(title)}</text>'
        f'<path d="M10 {_FLOOR}H{_WIDTH - 10}" stroke="{GREY}"/>'
        f"{''.join(bars)}{''.join(texts)}{marks}</svg>"
    )
