"""Each provider stands in the registry under its own name."""

import subprocess
import sys

from marketdata_pipeline.providers.registry import PROVIDERS


def test_a_provider_is_found_by_its_name() -> None:
    assert {name: one.name for name, one in PROVIDERS.items()} == {"yahoo": "yahoo"}


def test_a_provider_serves_no_derived_bars() -> None:
    for provider in PROVIDERS.values():
        assert provider.timeframes
        assert not any(one.derived for one in provider.timeframes)


def test_looking_at_providers_imports_no_client() -> None:
    code = (
        "import sys, marketdata_pipeline.providers.registry;"
        "print(sorted({'yfinance', 'curl_cffi', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
