"""Pages that come instead of a chart: one that turns an address away, one that wants consent.

Not here: what becomes of them (faults for fetches, reachable for whoever asks whether Yahoo
answers). Sources: block pages as quoted in ranaroussi/yfinance issue 770 (2021); the redirects and
the page of consent as recorded in 2023 and 2025.
"""

import json
from urllib.parse import urlsplit

OK = 200
REFUSALS = frozenset({401, 403, 451, 999})
"""How a block page comes; 999 is Yahoo's own number for an address that it refuses."""
_CONSENT_HOSTS = ("consent.yahoo.com", "guce.yahoo.com")
_CONSENT_MARKS = (b"guce", b"collectConsent")
_OUT_OF_ORDER = b"Will be right back"
"""What the page says that stands in for everything during an outage."""
_OUTER = frozenset({"chart", "finance"})
"""What a reply of Yahoo's services is wrapped in, an error too."""


def is_page(body: bytes) -> bool:
    """Whether it is written for people, not for programs."""
    return body.lstrip()[:1] == b"<" or is_outage(body)


def is_outage(body: bytes) -> bool:
    """Whether Yahoo says that it is out of order."""
    return _OUT_OF_ORDER in body[:4096]


def is_block(status: int, body: bytes) -> bool:
    """Whether this address is turned away.

    A service that refuses by Yahoo's own JSON, as one does that wants a crumb, refuses the request
    and not the address.
    """
    return status in REFUSALS and not _is_yahoos_json(body)


def wants_consent(status: int, location: str, body: bytes) -> bool:
    """Whether a browser would be asked to agree to something first.

    Pages of errors name the same hosts, so a page counts with status 200 only.

    Args:
        status: of HTTP.
        location: the URL of a redirect; empty: it is none.
        body: that of the reply.
    """
    if host_of(location) in _CONSENT_HOSTS:
        return True
    shown = status == OK and is_page(body) and not is_outage(body)
    return shown and any(mark in body for mark in _CONSENT_MARKS)


def host_of(location: str) -> str:
    """The host of a URL; empty where it names none."""
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""


def _is_yahoos_json(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and not _OUTER.isdisjoint(said)
