"""A provider's key: its name, and its value, which is never shown.

Not here: where keys are given (config), and whose turn it is (governor).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from marketdata_pipeline.errors import CredentialsRefused


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of a provider, shown as asterisks.

    Attributes:
        name: of the environment variable that holds it (or, with ``_FILE`` behind it, names its
            file): what tables, logs and errors say of it.
        secret: its value is for the request alone.
    """

    name: str
    secret: SecretStr

    def key(self, provider: str) -> str:
        """As the governor knows it: ``fmp/FMP_API_KEY_2``."""
        return f"{provider}/{self.name}"


def choices_of(provider: str, credentials: Sequence[Credential]) -> list[tuple[str, ...]]:
    """What a provider's gate chooses from: for each credential the limits that hold at once.

    Without credentials these are the provider's own.
    """
    return [(provider, one.key(provider)) for one in credentials] or [(provider,)]


def credential_of(key: str, credentials: Sequence[Credential]) -> Credential:
    """The one whose turn it is, by the turn's ``key``.

    Raises:
        CredentialsRefused: it is none of these.
    """
    provider, _, name = key.partition("/")
    for one in credentials:
        if one.name == name:
            return one
    raise CredentialsRefused(f"no key of this process has the turn of {key}", provider=provider)
