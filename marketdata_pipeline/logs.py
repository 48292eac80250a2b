"""Logging: lines for people or as JSON, a level for all and one for each component, no secrets.

Not here: what is worth a line (style: one a request at DEBUG, one an update at INFO), and where
the wanted levels come from. Every module makes its logger with `get_logger(__name__)`; an edge
calls `setup_logging` once. Until it has, lines go where the standard library sends them.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Final, TextIO, cast
from urllib.parse import quote, unquote, urlsplit

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import Processor

PACKAGE: Final = "marketdata_pipeline"
HIDDEN: Final = "***"
_HANDLER: Final = "marketdata"
_SHORTEST: Final = 4
"""A registered secret that is shorter would blot out parts of ordinary words."""
_NAMES: Final = r"api[_-]?key|access[_-]?key|client[_-]?secret|secret|token|crumb|password|passwd"
_SECRET_NAME: Final = re.compile(_NAMES + "|authorization|cookie", re.IGNORECASE)
_PATTERNS: Final = (
    # postgresql://user:password@host
    (re.compile(r"(://[^\s/:@]*:)[^\s/]+@"), rf"\1{HIDDEN}@"),
    # ?key=... in a URL
    (re.compile(r"([?&](?:key|sig|signature)=)[^&\s\"'<>)]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # apikey=..., "token": "...", FMP_API_KEY: ...
    (
        re.compile(rf"((?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;<>)}}\]]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # Authorization: Bearer ...
    (re.compile(r"\b(bearer|basic) [\w.~+/-]{8,}=*", re.IGNORECASE), rf"\1 {HIDDEN}"),
)
_secrets: set[str] = set()


def redact(values: Iterable[str]) -> None:
    """From now on no line shows these values, nor the password of one that is a URL."""
    for value in values:
        password = urlsplit(value).password if "://" in value else None
        for secret in (value, password, unquote(password or ""), quote(value, safe="")):
            if secret and len(secret) >= _SHORTEST:
                _secrets.add(secret)


def redacted(text: str) -> str:
    """The text without registered secrets, passwords in URLs, keys, tokens, crumbs."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def get_logger(name: str) -> BoundLogger:
    """The logger of a module: `log.info("updated", series=..., bars=...)`."""
    logger = structlog.wrap_logger(
        logging.getLogger(name), processors=_BEFORE, wrapper_class=BoundLogger
    )
    return cast("BoundLogger", logger)


def bound(**fields: object) -> AbstractContextManager[None]:
    """Within it every line of this thread carries the fields: run_id, series, provider.

    A thread of a pool starts without them: bind inside the function that it runs.
    """
    spelled = {key: str(value) for key, value in fields.items()}
    return structlog.contextvars.bound_contextvars(**spelled)


def setup_logging(
    level: str = "info",
    levels: Mapping[str, str] | None = None,
    log_format: str = "auto",
    *,
    stream: TextIO | None = None,
) -> None:
    """Sends the log to `stream` (None: whatever stderr is at the time); again: the last one wins.

    Args:
        level: of this package; other libraries are heard from WARNING on.
        levels: of single components: sub-package or module -> level.
        log_format: `console` and `auto` key=value, `json` one object a line; UTC either way.
        stream: where lines go.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(f"{PACKAGE}."):
            logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger(PACKAGE).setLevel(level.upper())
    for component, own in (levels or {}).items():
        logging.getLogger(f"{PACKAGE}.{component}").setLevel(own.upper())
    for handler in logging.root.handlers[:]:
        if handler.name == _HANDLER:
            logging.root.removeHandler(handler)
    logging.root.addHandler(_handler(log_format, stream))
    structlog.configure(
        processors=_BEFORE,
        wrapper_class=BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what sys.stderr is when the line comes: tests and Dagster swap it."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._given = stream

    @property
    def stream(self) -> TextIO:
        return self._given or sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """The base class sets it; what counts is `_given`."""


def _handler(log_format: str, stream: TextIO | None) -> logging.Handler:
    handler = _Stderr(stream)
    handler.name = _HANDLER
    handler.addFilter(_not_shown_elsewhere)
    colors = log_format != "json" and handler.stream.isatty()
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    )
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact_event,
                renderer,
            ],
        )
    )
    return handler


def _not_shown_elsewhere(record: logging.LogRecord) -> bool:
    """Whether no logger below the root writes the record itself, as Dagster's and uvicorn's do."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger and logger is not logging.root:
        if any(not isinstance(one, logging.NullHandler) for one in logger.handlers):
            return False
        logger = logger.parent
    return True


def _redact_event(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _clean(str(name), one) for name, one in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(key):
        return HIDDEN
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(key, one) for one in value]
    return redacted(str(value))


_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_BEFORE: Final[list[Processor]] = [
    structlog.stdlib.filter_by_level,
    *_SHARED,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    ProcessorFormatter.wrap_for_formatter,
]
