"""The process that publishes a node's finished videos. It runs while publications are due, and may be killed at any time.

    node → publisher    {"config": {…}, "parent": …, "json_log": …}      once; end of file: stop after the step that is under way

It logs to the standard error of the node.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.node.helper_process import begin_helper
from video_pipeline.engine.publish.due import carry_on_due
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.schema import PublicationsError

logger = logging.getLogger(__name__)

LINGER_SECONDS: Final = 20.0
"""How long it waits for the next publication before it exits; the node starts it again when one is due."""

LOOK_SECONDS: Final = 1.0
FAULT_SECONDS: Final = 10.0


def run_publisher(config: Config, stop: threading.Event) -> None:
    """Carry on publications until none is due for a while or `stop` is set."""
    records = Publications(publications_path(config))
    try:
        last = time.monotonic()
        while not stop.is_set() and time.monotonic() - last < LINGER_SECONDS:
            try:
                if carry_on_due(records, config, stopped=stop.is_set):
                    last = time.monotonic()
                    continue
                due = records.next_due()
            except PublicationsError as error:
                logger.error("%s; trying again in %g s", error, FAULT_SECONDS)
                stop.wait(FAULT_SECONDS)
                continue
            if due is None or due - records.clock() > LINGER_SECONDS:
                return
            stop.wait(LOOK_SECONDS)
    finally:
        records.close()


def _main() -> int:
    config = begin_helper()
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, name="end", daemon=True).start()
    run_publisher(config, stop)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
