"""Which providers there are, by name: one line each.

Not here: in which order they are asked (ingest), and what they are made with (the edges).
"""

from collections.abc import Mapping

from marketdata_pipeline.providers.base import Provider
from marketdata_pipeline.providers.yahoo import Yahoo

PROVIDERS: Mapping[str, type[Provider]] = {
    Yahoo.name: Yahoo,
}
