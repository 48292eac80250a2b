"""Handing a message to the receivers that a person named, by apprise: chats, mail, web hooks.

Not here: what is told and when (deciding). The URLs hold tokens: no error, log line or result here
shows any of them, a receiver is named by its place and its scheme.
"""

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from marketdata_pipeline.alerts.message import Message
from marketdata_pipeline.domain.alert import Severity
from marketdata_pipeline.errors import BadInput, MarketDataError
from marketdata_pipeline.logs import redacted

if TYPE_CHECKING:
    from apprise import NotifyBase

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_ANSWER = re.compile(r"error=(\d{3})\b")
_NO_ANSWER = re.compile(r"connection|communication|timed? ?out", re.IGNORECASE)
_LOGGERS = tuple(map(logging.getLogger, ("apprise", "urllib3")))
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message.

    Attributes:
        taken: the receivers that took it, by name.
        failed: the others, with why.
    """

    taken: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def done(self) -> bool:
        """Whether somebody got it: what one receiver has is not sent again for another."""
        return bool(self.taken)


@dataclass(frozen=True, slots=True)
class Receiver:
    """One of them: its place in the list and its scheme, such as ``2 tgram``."""

    name: str
    service: "NotifyBase"


class _Foreign(MarketDataError):
    """Apprise raised something; the text names its type and nothing else."""


class Sender:
    """Sends to the receivers of the URLs.

    Args:
        urls: as apprise has them, each with its secrets.
        plain: receivers elsewhere than on this machine may be reached without TLS, or without
            its certificate being verified.
    """

    def __init__(self, urls: Sequence[str] = (), *, plain: bool = False) -> None:
        self._urls = tuple(urls)
        self._plain = plain

    @property
    def reaches(self) -> bool:
        """Whether there is a receiver at all."""
        return bool(self._urls)

    def receivers(self) -> list[Receiver]:
        """The receivers, none of them asked.

        Raises:
            BadInput: a URL is none of apprise's, or a receiver would be reached in the clear.
        """
        return [self._receiver(place, url) for place, url in enumerate(self._urls, start=1)]

    def send(self, message: Message) -> Delivery:
        """Hand a message to each receiver; a few seconds at most where one does not answer.

        Raises:
            BadInput: as ``receivers`` does; nothing was sent.
        """
        taken, failed = [], []
        for one in self.receivers():
            why = _sent(one.service, message)
            if why is None:
                taken.append(one.name)
            else:
                failed.append((one.name, why))
        return Delivery(tuple(taken), tuple(failed))

    def _receiver(self, place: int, url: str) -> Receiver:
        found = _SCHEME.match(url)
        name = f"{place} {found[0].lower() if found else '?'}"
        with _listening():
            service = _instantiated(url)
        if service is None:
            raise BadInput(
                f"receiver {name} of MARKETDATA_ALERT_URLS is no URL of apprise's; "
                "docs/alerts.md has examples"
            )
        if not self._plain and not _is_safe(service):
            raise BadInput(
                f"receiver {name} of MARKETDATA_ALERT_URLS is reached without TLS or without "
                "verifying its certificate; use its https scheme (such as jsons), or set "
                "MARKETDATA_ALERT_PLAIN_HTTP=true"
            )
        return Receiver(name, service)


def _instantiated(url: str) -> "NotifyBase | None":
    from apprise import Apprise, AppriseAsset, NotifyBase

    asset = AppriseAsset(app_id="marketdata", app_desc="marketdata-pipeline", storage_mode="memory")
    try:
        made = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    except Exception as error:  # noqa: BLE001 - of any plugin; its text may hold the URL
        raise _foreign(error) from None
    return made if isinstance(made, NotifyBase) else None


def _is_safe(service: Any) -> bool:
    """Whether what is sent cannot be read on its way: TLS, or it does not leave this machine.

    A service that has no scheme in the clear is reached by https alone (apprise 2.3,
    url.URLBase.protocol).
    """
    host = str(service.host or "")
    if not host or _is_loopback(host):
        return True
    clear = bool(service.protocol) and not service.secure
    return not clear and bool(service.verify_certificate)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _sent(service: "NotifyBase", message: Message) -> str | None:
    """None where the receiver took it; else why not."""
    with _listening() as heard:
        try:
            taken = _notified(service, message)
        except _Foreign as error:
            return str(error)
    if taken:
        return None
    return _cause(heard)


def _cause(heard: Sequence[str]) -> str:
    """Why it was not taken; apprise's sentences name chats, addresses and hosts."""
    codes = [found[1] for line in heard if (found := _ANSWER.search(line))]
    if codes:
        return f"it answered with error={codes[-1]}"
    if any(_NO_ANSWER.search(line) for line in heard):
        return "it was not reached, or did not answer in time"
    return "it was not taken"


def _notified(service: "NotifyBase", message: Message) -> bool:
    from apprise import NotifyFormat, NotifyType

    kinds = {
        None: NotifyType.SUCCESS,
        Severity.INFO: NotifyType.INFO,
        Severity.WARNING: NotifyType.WARNING,
        Severity.CRITICAL: NotifyType.FAILURE,
    }
    try:
        return bool(
            service.notify(
                title=redacted(message.title),
                body=redacted(message.body),
                notify_type=kinds[message.severity],
                body_format=NotifyFormat.TEXT,
            )
        )
    except Exception as error:  # noqa: BLE001 - of any plugin; its text may hold the URL
        raise _foreign(error) from None


def _foreign(error: Exception) -> _Foreign:
    """Its text may hold the URL."""
    return _Foreign(f"apprise failed with {type(error).__name__}")


class _Heard(logging.Handler):
    """Keeps what apprise complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(redacted(" ".join(record.getMessage().split())))


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What apprise complains of meanwhile, which goes nowhere else: at DEBUG URLs are logged."""
    heard = _Heard()
    with _one_at_a_time:
        before = [one.propagate for one in _LOGGERS]
        for one in _LOGGERS:
            one.propagate = False
            one.addHandler(heard)
        try:
            yield heard.lines
        finally:
            for one, propagate in zip(_LOGGERS, before, strict=True):
                one.removeHandler(heard)
                one.propagate = propagate
