"""What the threads of an update need is imported before they start."""

import subprocess
import sys
from pathlib import Path

from marketdata_pipeline_tests.conftest import ROOT

CODE = """
import sys
from pathlib import Path
from marketdata_pipeline.domain.series import Series
from marketdata_pipeline_tests.ingest.world import TruthProvider, make_world

class Looking(TruthProvider):
    def fetch(self, series, window, errand):
        print(sorted({"pyarrow.parquet"} - set(sys.modules)), "pandera" in sys.modules)
        return super().fetch(series, window, errand)

folder = Path(sys.argv[1])
world = make_world(folder, f"sqlite:///{folder / 'catalog.sqlite'}")
provider = Looking({}, world.clock)
world.updater_over(provider).update(Series.parse("AAPL|1d"))
"""


def test_no_thread_is_the_first_to_import_a_heavy_package(tmp_path: Path) -> None:
    """Two threads that import a package and its submodule at once can lock each other out."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "[] False"
