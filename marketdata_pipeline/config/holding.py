"""The settings of what follows from transactions: how much is kept, and in which currencies.

Not here: all other settings, and where values come from (the package itself).
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import BaseSettings

from marketdata_pipeline.config.values import Days, setting

_MOST_MONTHS = 1200
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def as_currency(value: object) -> object:
    """Three capital letters out of text; ``none`` is none."""
    if not isinstance(value, str) or value.strip().lower() == "none":
        return None if isinstance(value, str) else value
    currency = value.strip().upper()
    if not _CURRENCY.fullmatch(currency):
        raise ValueError
    return currency


def as_currencies(value: object) -> object:
    """A mapping out of ``portfolio=currency`` pairs with commas between."""
    if not isinstance(value, str):
        return value
    parts = [one.partition("=") for one in value.split(",") if one.strip()]
    return {name.strip(): currency for name, _, currency in parts}


def known_currencies(value: Mapping[str, str]) -> dict[str, str]:
    """The same, once each portfolio has a name and a currency."""
    found = {name: as_currency(currency) for name, currency in value.items()}
    if not all(name and isinstance(currency, str) for name, currency in found.items()):
        raise ValueError
    return {name: str(currency) for name, currency in found.items()}


class Holding(BaseSettings):
    """A part of the settings; see ``Settings``."""

    months_before_purchase: int = setting(
        12,
        "Calendar months of history that are kept before the first purchase of an instrument.",
        f"a whole number from 0 to {_MOST_MONTHS}",
        ge=0,
        le=_MOST_MONTHS,
    )
    grace_after_sale: Days = setting(
        timedelta(days=30),
        "Days for which an instrument that no portfolio holds any more is still kept up to date.",
        "days, 0 or more",
        said="`30`",
        ge=timedelta(0),
    )
    base_currency: Annotated[str | None, BeforeValidator(as_currency)] = setting(
        None,
        "What portfolios are reckoned in: the pair of it and an instrument's currency is kept with "
        "the instrument.",
        "three letters such as EUR, or none",
        said="none: the currency of each transaction",
    )
    portfolio_currencies: Annotated[
        dict[str, str], BeforeValidator(as_currencies), AfterValidator(known_currencies)
    ] = setting(
        dict,
        "The same for single portfolios, where it differs.",
        "portfolio=currency pairs such as main=EUR,us=USD",
        said="none",
    )
