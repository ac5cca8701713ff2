"""Structured logs that cannot print personal data.

Keys that name a personal field are dropped, and what looks like a phone or id number inside any
text is masked, whoever wrote it. Logs go to stderr as JSON lines; stdout belongs to results.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_PERSONAL_KEYS = frozenset(
    (
        *("name", "phone", "mobile", "id_number", "id_card", "bank_card", "plate"),
        *("address", "openid", "email", "content", "text", "body", "facts"),
        *("code", "password", "secret", "token", "access_token", "authorization", "cookie"),
    )
)
_PERSONAL_TEXT = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|1[3-9]\d{9}|\d{16,19})(?!\d)")
_REMOVED = "[removed]"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def remove_personal_data(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop personal fields and mask numbers inside texts, at any depth."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def _cleaned(key: str, value: Any) -> Any:
    if key.lower() in _PERSONAL_KEYS:
        return _REMOVED
    if isinstance(value, dict):
        return {inner: _cleaned(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned("", item) for item in value]
    if isinstance(value, int | float | bool) or value is None:
        return _PERSONAL_TEXT.sub(_REMOVED, str(value)) if _is_long(value) else value
    return _PERSONAL_TEXT.sub(_REMOVED, str(value))


def _is_long(value: float | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**10


class _CleanFormatter(logging.Formatter):
    """Gives library log lines the same treatment as ours."""

    def format(self, record: logging.LogRecord) -> str:
        return _PERSONAL_TEXT.sub(_REMOVED, super().format(record))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the time, as structlog does."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure_logs(*, level: int = logging.INFO) -> None:
    """Set up our logs and those of libraries; called once by each composition root."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            remove_personal_data,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler()
    handler.setFormatter(_CleanFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
