"""Whether providers and the simulator answer, and whether the clocks agree.

Not here: asking them (providers, cli), for reading reaches no provider.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from marketdata_pipeline.domain.contact import ClockReading, Contact, Outcome
from marketdata_pipeline.reading.health.finding import Finding, Mark, note, well, wrong

_CLOCK = "clock"
_SLIGHT, _GRAVE = timedelta(seconds=2), timedelta(seconds=30)
_ADVICE: Mapping[Outcome, str] = {
    Outcome.BLOCKED: "wait some hours or go through another network; addresses of datacentres "
    "and VPNs are blocked often",
    Outcome.CONSENT: "try again later or through another network; it takes this one for one of a "
    "country whose law wants consent",
    Outcome.FOREIGN: "look at the hosts file, the proxy and the name server",
    Outcome.OUTAGE: "wait; updates try again by themselves",
    Outcome.TIMEOUT: "try again; if it stays, look at the firewall and the proxy",
    Outcome.UNRESOLVED: "connect this machine to the internet, or mend its name server",
    Outcome.REFUSED: "look at the firewall, and at https_proxy if only a proxy leads out",
    Outcome.PROXY: "correct https_proxy (or HTTPS_PROXY, ALL_PROXY), or have the proxy allow it",
    Outcome.CERTIFICATE: "log in to the network if it has a page for guests; set the clock; behind "
    "a proxy that opens TLS set CURL_CA_BUNDLE to a file with its certificate",
    Outcome.BROKEN: "try again; if it stays, look at the firewall and the proxy",
}


def judge_contact(name: str, contact: Contact, *, quiet: bool) -> Finding:
    """Whether a provider answers from here.

    Args:
        name: the provider's.
        contact: what came.
        quiet: whether hardly a turn is used up, so that a 429 is no answer to this home's own
            requests.
    """
    match contact.outcome:
        case Outcome.ANSWERED:
            return well(name, f"answers in {contact.took.total_seconds():.1f} s ({contact.said})")
        case Outcome.HELD:
            at = "" if contact.until is None else f" before {contact.until:%H:%M:%S} UTC"
            told = f"not asked: the quota, or the cooldown after a 429, has no turn{at}"
            return note(name, told, "wait; marketdata status says how the turns stand")
        case Outcome.LIMITED:
            return _limited(name, contact, quiet=quiet)
    said = f" ({contact.said})" if contact.said else ""
    return wrong(name, f"{contact.outcome}{said}: no bars come", _ADVICE[contact.outcome])


def _limited(name: str, contact: Contact, *, quiet: bool) -> Finding:
    until = "" if contact.until is None else f" until {contact.until:%H:%M:%S} UTC"
    told = f"{contact.outcome} ({contact.said}), nobody may ask{until}"
    if quiet:
        told += "; hardly a turn is used up, so this address is blocked, or others on it ask too"
        return wrong(name, told, _ADVICE[Outcome.BLOCKED])
    return wrong(name, told, "wait; if it comes again, lower the quota (docs/operate.md)")


class Listener(Enum):
    """Who listens where a replay home's simulator should."""

    NOBODY = "nobody"
    STRANGER = "stranger"
    """Something else, or something that does not answer."""
    OTHER_HOME = "other home"
    OURS = "ours"


def judge_listener(url: str, listener: Listener) -> Finding:
    """Whether the simulator of this very home answers at its URL."""
    topic, elsewhere = "simulator", "set MARKETDATA_SIMULATOR_PORT to a free port"
    match listener:
        case Listener.NOBODY:
            told = f"none runs on {url}: stored bars can be read, none can be fetched"
            return note(topic, told, "marketdata simulate; quickstart and ui start one themselves")
        case Listener.STRANGER:
            told = f"what listens on {url} is none; no bars can be fetched"
            return wrong(topic, told, f"end that program, or {elsewhere}")
        case Listener.OTHER_HOME:
            told = f"the one on {url} serves another home; no bars can be fetched"
            return wrong(topic, told, f"end that one, or {elsewhere}")
        case Listener.OURS:
            return well(topic, f"serves this home's history on {url}")


def judge_simulated(name: str, contact: Contact) -> Finding:
    """Whether the simulator answers as a provider does that is well."""
    if contact.answered or contact.outcome is Outcome.HELD:
        return judge_contact(name, contact, quiet=False)
    told = f"the simulator answers in its place: {contact.outcome} ({contact.said})"
    return wrong(name, told, "a fault or a quota is switched on; see /simulator/faults, or wait")


def judge_clock(readings: Mapping[str, ClockReading], *, needed: bool) -> Finding | None:
    """This machine's clock against those that were read, by their owners.

    ``needed`` is whether market time is this machine's, so that having read none is worth a note;
    else None is returned then.
    """
    if not readings:
        told = "not compared: nothing answered that tells the time"
        return note(_CLOCK, told, "mend what does not answer") if needed else None
    whose, most = max(readings.items(), key=lambda one: abs(one[1].ahead))
    off = abs(most.ahead)
    if off <= _SLIGHT:
        return well(_CLOCK, f"agrees with that of {' and '.join(readings)} to {_seconds(_SLIGHT)}")
    early = most.ahead > timedelta(0)
    told = f"this machine's is {_seconds(off)} {'ahead of' if early else 'behind'} that of {whose}"
    means = "bars count as closed too early" if early else "closed bars are asked for too late"
    mark = Mark.WRONG if off > _GRAVE else Mark.NOTE
    return Finding(_CLOCK, mark, f"{told}: {means}", "have it set by NTP: timedatectl set-ntp true")


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():,.0f} s"
