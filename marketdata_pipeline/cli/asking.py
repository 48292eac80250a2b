"""Asks each provider once whether it answers, behind its gate; a replay home asks its simulator.

Not here: what an answer means (reading.health.outside).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine

from marketdata_pipeline.cli.beside import Beside
from marketdata_pipeline.cli.simulating import listener
from marketdata_pipeline.config import Settings
from marketdata_pipeline.config.credentials import credentials_for
from marketdata_pipeline.database.home import Home, Mode
from marketdata_pipeline.domain.clock import Clock, SystemClock
from marketdata_pipeline.domain.contact import ClockReading, Contact, Outcome
from marketdata_pipeline.domain.credential import Credential, choices_of
from marketdata_pipeline.domain.errand import Errand
from marketdata_pipeline.domain.gate import Attempt, Gate, Turn, Turns
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline.errors import CredentialsRefused, MarketDataError, SettingsError
from marketdata_pipeline.governor.governor import Governor
from marketdata_pipeline.providers.base import Provider, Reach
from marketdata_pipeline.providers.registry import PROVIDERS
from marketdata_pipeline.reading.health.finding import Finding, wrong
from marketdata_pipeline.reading.health.outside import (
    Listener,
    judge_contact,
    judge_listener,
    judge_simulated,
)

_WITHIN, _SIMULATOR_WITHIN = 5.0, 8.0
"""Seconds for an answer; a simulator's first one takes longer, since it reads its history then."""
_NEARLY_ALL = 0.9


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking a provider: a finding on it, and its clock if it told the time."""

    finding: Finding
    clock: ClockReading | None = None


@dataclass(frozen=True, slots=True)
class _NobodysGate:
    """Lets everything through: where there is no catalog, nobody shares a quota."""

    key: str

    def turn(self, errand: Errand, series: Series | None = None, *, weight: int = 1) -> Turn:
        """Go on."""
        del weight
        return Turn(self.key, 0, errand, series)

    def report(self, turn: Turn, attempt: Attempt) -> None:
        """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the providers of one home, all at once.

    Attributes:
        home: None: there is none yet, which becomes a live one.
        engine: on its catalog.
        writable: whether turns can be taken there now; else nothing is sent during a cooldown.
    """

    settings: Settings
    home: Home | None = None
    engine: Engine | None = None
    writable: bool = False

    def begin(self) -> dict[str, Beside[list[Asked]]]:
        """Start to ask; by the name of each provider, of the simulator in a replay home."""
        if self.home is not None and self.home.mode is Mode.REPLAY:
            return {"simulator": Beside(partial(self._ask_simulator, self.home))}
        return {name: Beside(partial(self._ask, kind, None)) for name, kind in PROVIDERS.items()}

    def _ask_simulator(self, home: Home) -> list[Asked]:
        url = self.settings.simulator_url
        found = listener(home, url)
        asked = [Asked(judge_listener(url, found))]
        if found is Listener.OURS:
            for kind in PROVIDERS.values():
                asked += self._ask(kind, url)
        return asked

    def _ask(self, kind: type[Provider], simulator: str | None) -> list[Asked]:
        try:
            known = self._known()
            contact = self._contact(kind, known, simulator)
        except SettingsError:  # said of the keys themselves
            return []
        except CredentialsRefused as error:
            return [Asked(wrong(kind.name, str(error), "correct the key, or take it away"))]
        except MarketDataError as error:
            return [Asked(wrong(kind.name, f"not asked: {error}", "see what is said of locks"))]
        if contact is None:
            return []
        if simulator is not None:
            return [Asked(judge_simulated(kind.name, contact))]
        turns = known.get(kind.name)
        quiet = turns is None or turns.free >= _NEARLY_ALL * turns.burst
        return [Asked(judge_contact(kind.name, contact, quiet=quiet), contact.clock)]

    def _known(self) -> dict[str, Turns]:
        """How the turns stand of all that the governor knows; none where there is no catalog."""
        if self.engine is None:
            return {}
        return {
            one.provider: one
            for one in Governor(self.engine, self._clock, self.settings.tuning).turns()
        }

    def _contact(
        self, kind: type[Provider], known: Mapping[str, Turns], simulator: str | None
    ) -> Contact | None:
        credentials = self._credentials(kind, known, simulated=simulator is not None)
        if kind.keys and not credentials:
            return None
        choices, turns = choices_of(kind.name, credentials), known.get(kind.name)
        gate: Gate = _NobodysGate(choices[0][-1])
        if self.engine is not None and turns is not None:
            if self.writable:
                governor = Governor(self.engine, self._clock, self.settings.tuning)
                gate = governor.gate(*choices, max_wait=timedelta(0))
            elif (until := turns.open_until or turns.cooldown_until) is not None:
                return Contact(Outcome.HELD, until=until)
        within = _WITHIN if simulator is None else _SIMULATOR_WITHIN
        reach = Reach(simulator, connect=within, read=within, credentials=credentials)
        return kind.connected(gate, self._clock, reach).contact(within=within)

    def _credentials(
        self, kind: type[Provider], known: Mapping[str, Turns], *, simulated: bool
    ) -> tuple[Credential, ...]:
        """Those that may be used; where the provider has turns, those that have some too."""
        given = credentials_for(kind.keys, self.settings.environment, simulated=simulated)
        if kind.name not in known:
            return given
        return tuple(one for one in given if one.key(kind.name) in known)

    @property
    def _clock(self) -> Clock:
        return SystemClock() if self.home is None else self.home.clock


def late(name: str) -> Asked:
    """One that did not even give up in time."""
    return Asked(
        wrong(name, "asking it took too long", "try again; look at the network and its name server")
    )
