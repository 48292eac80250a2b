"""Materialization events on their way into Dagster's event log: in batches where it takes them.

Not here: what an event says (metadata). Dagster's API for batches is private and is used in this
module only. A Postgres event log writes a batch in one statement, 0.4 ms of CPU an event instead
of 3 (700 events, two cores); any other log, or a Dagster without that API, gets the events one by
one, as they are yielded.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from queue import Empty, SimpleQueue
from threading import Thread, main_thread
from time import monotonic
from typing import Self
from uuid import uuid4

import dagster as dg

BATCH = 100
"""Materializations after which a batch is written."""
UNSEEN = 2.0
"""Seconds after which a batch is written even so: no finished series stays unseen for longer."""
SIZE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster batches nothing while this variable is unset; 0 switches batches off here as well."""

Report = Callable[[dg.AssetMaterialization], Iterable[dg.AssetMaterialization]]
"""Takes a materialization; what it returns is still to be yielded by the asset's body."""
_Send = Callable[[Sequence[dg.AssetMaterialization]], None]


@contextmanager
def materializations(context: dg.AssetExecutionContext) -> Iterator[Report]:
    """How the body of an asset reports: ``yield from report(materialization)``.

    All that was reported is written when the block ends, however it ends: a failure and an
    interrupt too.
    """
    send = _sender(context)
    if send is None:
        yield _one_by_one
        return
    with _Writer(send) as writer:
        yield writer.report


def _one_by_one(materialization: dg.AssetMaterialization) -> Iterable[dg.AssetMaterialization]:
    return (materialization,)


def _sender(context: dg.AssetExecutionContext) -> _Send | None:
    """What writes a batch at once, or None where nothing does."""
    if os.environ.get(SIZE) == "0":
        return None
    try:
        from dagster._core.events import DagsterEventBatchMetadata

        storages = type(context.instance.event_log_storage).__mro__
        step, event = context.get_step_execution_context(), dg.DagsterEvent.asset_materialization
        signature(event).bind(step, None, DagsterEventBatchMetadata("", is_end=True))
    except (ImportError, AttributeError, TypeError):
        return None
    if not any(one.__name__ == "PostgresEventLogStorage" for one in storages):
        return None

    def send(batch: Sequence[dg.AssetMaterialization]) -> None:
        *others, last = batch
        batch_id = uuid4().hex
        try:
            for one in others:
                event(step, one, DagsterEventBatchMetadata(batch_id, is_end=False))
        finally:  # without its end Dagster keeps what it has of a batch for ever
            event(step, last, DagsterEventBatchMetadata(batch_id, is_end=True))

    return send


@contextmanager
def _batches_on() -> Iterator[None]:
    """Within it Dagster batches; a size that somebody set stays."""
    if SIZE in os.environ:
        yield
        return
    os.environ[SIZE] = str(BATCH)
    try:
        yield
    finally:
        os.environ.pop(SIZE, None)


class _Writer:
    """Writes from a thread of its own: neither a wait for a turn nor an interrupt stops it."""

    def __init__(self, send: _Send) -> None:
        self._send = send
        self._waiting: SimpleQueue[dg.AssetMaterialization | None] = SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._write, name="materializations")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._raise_failure()

    def report(self, materialization: dg.AssetMaterialization) -> Iterable[dg.AssetMaterialization]:
        """Take one to be written soon."""
        self._raise_failure()
        self._waiting.put(materialization)
        return ()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        try:
            with _batches_on():
                more = True
                while more:
                    batch, more = self._next_batch()
                    if batch:
                        self._send(batch)
        except BaseException as error:  # noqa: BLE001 - handed to the body's thread
            self._failure = error

    def _next_batch(self) -> tuple[list[dg.AssetMaterialization], bool]:
        """What was reported within the time allowed, at most a batch; whether more may come."""
        batch: list[dg.AssetMaterialization] = []
        until = monotonic() + UNSEEN
        while len(batch) < BATCH:
            try:
                one = self._waiting.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                # A process that ends without having left the block has nobody who reports.
                return batch, main_thread().is_alive()
            if one is None:
                return batch, False
            batch.append(one)
        return batch, True
