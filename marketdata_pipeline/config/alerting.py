"""The settings of alerts: who is told, of what, and when not.

Not here: all other settings, and where values come from (the package itself).
"""

import re
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, InstanceOf, SecretStr
from pydantic_settings import BaseSettings

from marketdata_pipeline.config.values import Seconds, as_lower, as_time, as_zone, setting

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S")
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SHORTEST = 8
"""A piece of a URL that is shorter is a word such as `general`, not a token."""
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|localhost|[\d.:]+")


@dataclass(frozen=True, slots=True)
class Hours:
    """From one time of the day to another, over midnight where that is earlier."""

    start: time
    end: time


def as_receivers(value: SecretStr) -> SecretStr:
    """The same text, once each part of it looks like a URL."""
    if not all(_URL.match(one) for one in urls_of(value)):
        raise ValueError
    return value


def urls_of(value: SecretStr | None) -> list[str]:
    """The URLs of a list with commas, blanks or lines between; a comma may be in a URL, too."""
    text = "" if value is None else value.get_secret_value().strip()
    return [one.strip(" ,\t\r\n") for one in _BETWEEN.split(text) if one.strip(" ,\t\r\n")]


def as_span(value: object) -> object:
    """Hours out of ``22:00-07:00``; ``none`` is none."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "none":
        return None
    start, _, end = value.partition("-")
    first, last = as_time(start), as_time(end)
    if not isinstance(first, time) or not isinstance(last, time) or first == last:
        raise ValueError
    return Hours(first, last)


class Alerting(BaseSettings):
    """A part of the settings; see ``Settings``."""

    alert_urls: Annotated[SecretStr, AfterValidator(as_receivers)] | None = setting(
        None,
        "Who is told of alerts: apprise's URLs of chats, mail accounts and web hooks.",
        "URLs with commas between, such as tgram://token/chat,mailtos://user:password@host",
        said="nobody; alerts are recorded all the same",
    )
    alert_plain_http: bool = setting(
        False,  # noqa: FBT003 - the default of a setting
        "Whether receivers on other machines may be reached without TLS.",
        "true or false",
        said="`false`",
    )
    alert_least: Annotated[Literal["info", "warning", "critical"], BeforeValidator(as_lower)] = (
        setting("warning", "The least severity that is told.", "one of info, warning, critical")
    )
    alert_weight: float = setting(
        0.0,
        "The least money affected times sessions late for an alert to be told, in "
        "`MARKETDATA_BASE_CURRENCY`; of alerts that are weighed by money.",
        "0 or more",
        ge=0,
    )
    alert_quiet_hours: Annotated[InstanceOf[Hours] | None, BeforeValidator(as_span)] = setting(
        None,
        "Hours in which warnings wait for their end.",
        "two times such as 22:00-07:00, or none",
        said="none",
    )
    alert_zone: Annotated[str, AfterValidator(as_zone)] = setting(
        "UTC", "Zone of the quiet hours.", "a name such as UTC or America/New_York"
    )
    alert_wakes: bool = setting(
        True,  # noqa: FBT003 - the default of a setting
        "Whether critical alerts are told in quiet hours, too.",
        "true or false",
        said="`true`",
    )
    alert_sessions: int = setting(
        2,
        "Sessions that closed without a newer bar, or without any update, before an alert.",
        "1 to 30",
        ge=1,
        le=30,
    )
    alert_failed: int = setting(
        10, "Failed backfills in the queue above which there is an alert.", "0 to 1000000", ge=0,
        le=1_000_000,
    )  # fmt: skip
    alert_queue_age: Seconds = setting(
        timedelta(hours=2),
        "Seconds for which a due row of the queue may wait before an alert.",
        "seconds, 60 or more",
        ge=timedelta(minutes=1),
    )
    alert_breaker_age: Seconds = setting(
        timedelta(minutes=30),
        "Seconds for which a provider's breaker may be open before an alert.",
        "seconds, 60 or more",
        ge=timedelta(minutes=1),
    )

    def alert_secrets(self) -> list[str]:
        """What no line may show of the receivers: their URLs and whatever in those is no host."""
        return [piece for url in urls_of(self.alert_urls) for piece in _pieces(url)]


def _pieces(url: str) -> list[str]:
    found = urlsplit(url)
    place, _, host = found.netloc.rpartition("@")
    user, _, password = place.partition(":")
    parts = [user, *found.path.split("/"), found.fragment]
    parts += [text for _, text in parse_qsl(found.query)]
    if _HOST.fullmatch(host) is None:  # a token stands where a host does
        parts += [host, *host.split(":")]
    long = [one for part in parts for one in (part, unquote(part)) if len(one) >= _SHORTEST]
    return list(dict.fromkeys([url, *long, *filter(None, [password, unquote(password)])]))
