"""Log formats of a node and its workers: one line per record, with its job and attempt, if any.

An attempt is written NUMBER.FENCE: its number among the attempts charged to the job, and its fence in the ledger.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

KEPT = ("job_id", "attempt", "slot", "event")
"""Keys of `extra` that become fields of the line."""
JSON_KEPT = (*KEPT, "node")
"""Those of a JSON line; text lines say the same in their message."""


def _record_time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class LineFormatter(logging.Formatter):
    """Formats a record as text: time, level, fields as name=value, message. `fields` are added to every line."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line, followed by its traceback if it has one."""
        fields = {**self._fields, **_extra(record)}
        parts = [
            _record_time(record),
            record.levelname,
            *(f"{name}={value}" for name, value in fields.items()),
        ]
        line = " ".join([*parts, record.getMessage()])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """Formats a record as one line with a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a JSON object without line breaks."""
        fields = {
            "time": _record_time(record),
            "level": record.levelname,
            "logger": record.name,
            **_extra(record, JSON_KEPT),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def _extra(record: logging.LogRecord, names: tuple[str, ...] = KEPT) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names if hasattr(record, name)}


def set_up_logging(level: str, *, as_json: bool) -> None:
    """Log to standard error, as text or JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
