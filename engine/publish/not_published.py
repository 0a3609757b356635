"""What a platform says of a post that it certainly never published."""

from __future__ import annotations

from video_pipeline.engine.errors import ServiceError


class NotPublishedError(ServiceError):
    """The platform did not publish a post, and its handle is of no use; `ask` raises it.

    It is certain even after the step that publishes. busy, or with `retry_after`: a new handle may help.
    """
