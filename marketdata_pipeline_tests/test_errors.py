"""The error tree that the docstring draws is the one that there is."""

import re
from datetime import UTC, datetime

import pytest

from marketdata_pipeline import errors
from marketdata_pipeline.errors import (
    BadInput,
    MarketDataError,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    Unavailable,
)


def drawn() -> dict[str, str]:
    """Each error of the drawing and the one above it."""
    parents: dict[int, str] = {}
    tree: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)( |$)", line)
        if found:
            depth = len(found[1])
            tree[found[2]] = parents.get(depth - 4, "Exception")
            parents[depth] = found[2]
    return tree


def test_the_drawing_shows_every_error_below_its_parent() -> None:
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert drawn() == {
        name: kind.__base__.__name__ for name, kind in classes.items() if kind.__base__
    }
    assert len(classes) >= 16


def test_every_provider_error_has_a_category_of_its_own() -> None:
    def below(kind: type[ProviderError]) -> list[type[ProviderError]]:
        return [kind, *(one for sub in kind.__subclasses__() for one in below(sub))]

    kinds = [kind for kind in below(ProviderError) if kind.__module__ == errors.__name__]
    assert len({kind.category for kind in kinds}) == len(kinds)


def test_a_provider_error_carries_its_provider_and_series() -> None:
    error = Unavailable("no answer", provider="yahoo", series="AAPL|1d")
    assert (str(error), error.provider, error.series) == ("no answer", "yahoo", "AAPL|1d")
    assert (Unavailable("no answer").provider, Unavailable("no answer").series) == ("", "")


def test_a_rate_limit_says_when_a_turn_is_possible() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    error = RateLimited("later", retry_at=at, provider="yahoo")
    assert (error.retry_at, error.provider, error.category) == (at, "yahoo", "rate_limited")


@pytest.mark.parametrize(("error", "caught_as"), [(ProviderTimeout, Unavailable)])
def test_a_timeout_is_handled_like_an_outage(
    error: type[ProviderError], caught_as: type[ProviderError]
) -> None:
    assert issubclass(error, caught_as)


def test_bad_input_is_no_provider_error() -> None:
    assert issubclass(BadInput, MarketDataError)
    assert not issubclass(BadInput, ProviderError)
