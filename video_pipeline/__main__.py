"""Run the command line: `python -m video_pipeline`."""

from __future__ import annotations

import sys

from video_pipeline.engine.cli.main import main

sys.exit(main())
