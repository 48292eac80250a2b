"""What a forked process of the tests finds done: imports that come late, and New York's calendar.

Imported by the server that the processes are forked from (children), and by nobody else.
"""

import pyarrow.parquet  # noqa: F401 - to have it imported

import marketdata_pipeline_tests.defs.past
import marketdata_pipeline_tests.ingest.importing.killed
import marketdata_pipeline_tests.store.keeper
import marketdata_pipeline_tests.store.writer  # noqa: F401 - the same, as the ones above
from marketdata_pipeline.domain.calendars import calendar_of
from marketdata_pipeline_tests.ingest import killed

for one in killed.FETCHED:
    calendar_of(one.instrument).grid(one.timeframe, killed.SPAN)
