"""Carry on every publication that is due."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, PipelineError, ServiceError
from video_pipeline.engine.publish.base import OnSent
from video_pipeline.engine.publish.carry_on import GIVE_UP_SECONDS, LONGEST_WAIT_SECONDS, CarryOn, is_open
from video_pipeline.engine.publish.posts import post_refusals
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import PublicationConflictError, Publications
from video_pipeline.engine.publish.schema import PublicationsError
from video_pipeline.engine.publish.specs import connect_account
from video_pipeline.engine.publish.states import PublicationState

logger = logging.getLogger(__name__)

CLAIMED_SECONDS: Final = 5.0
"""How long a publication that another process holds is left alone."""


def carry_on_one(
    records: Publications,
    publication: Publication,
    config: Config,
    *,
    on_sent: OnSent = lambda sent, size: None,
) -> Publication:
    """Do all steps of a publication that can be done now; one whose account is not set up is held.

    One whose video breaks a rule of the platform fails before anything is sent.

    Raises PublicationConflictError if another process holds it.
    """
    if not is_open(publication):
        return publication
    try:
        calls = connect_account(config, platform=publication.platform, account=publication.account)
    except (InputError, ServiceError) as error:
        return _hold(records, publication, str(error))
    is_new = publication.state in (PublicationState.SCHEDULED, PublicationState.PREPARED)
    if is_new and publication.failures == 0 and (words := _misfit(publication, config)):
        return _refuse(records, publication, words)
    keys = getattr(config.publishing.accounts, publication.platform)[publication.account]
    return CarryOn(records=records, per_day=keys.posts_per_day, on_sent=on_sent).run(
        publication.number, calls
    )


def carry_on_unless_held(records: Publications, publication: Publication, config: Config) -> Publication:
    """Do what `carry_on_one` does; if another process does it already, return the publication as it stands."""
    try:
        return carry_on_one(records, publication, config)
    except PublicationConflictError as error:
        logger.info("%s: left alone: %s", publication.name, error)
        return records.get(publication.number)


def carry_on_due(
    records: Publications, config: Config, *, stopped: Callable[[], bool] = lambda: False
) -> list[Publication]:
    """Carry on all publications that are due, those longest due first; return how far they came."""
    done = []
    for publication in records.due(now=records.clock()):
        if stopped():
            break
        try:
            if _is_missed(publication, config, records.clock()):
                done.append(_hold(records, publication, "its time has passed (publishing.missed: hold)"))
            else:
                done.append(carry_on_one(records, publication, config))
        except PublicationConflictError as error:
            logger.info("%s: left alone: %s", publication.name, error)
            if records.get(publication.number) == publication:
                records.put_off(publication, until=records.clock() + CLAIMED_SECONDS, error=publication.error)
        except PublicationsError:
            raise
        except Exception as error:
            done.append(_put_off_fault(records, publication, error))
    return done


def _put_off_fault(records: Publications, publication: Publication, error: Exception) -> Publication:
    """Leave a publication that meets a fault of the program alone for a while, so that the others are carried on.

    The fault's own words are told only if the engine wrote them: others may have a secret.
    """
    why = (
        str(error)
        if isinstance(error, PipelineError)
        else f"{type(error).__name__} in the program; see the log"
    )
    place = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s: %s\n%s", publication.name, why, place)
    found = records.get(publication.number)
    waited = records.clock() - (found.failing_since or records.clock())
    if waited >= GIVE_UP_SECONDS:
        return _hold(records, found, why)
    return records.put_off(found, until=records.clock() + LONGEST_WAIT_SECONDS, error=why)


def _misfit(publication: Publication, config: Config) -> str | None:
    """Return why the platform would refuse a video, None if it would not, or if that cannot be told now."""
    try:
        found = post_refusals(
            publication.post, platform=publication.platform, account=publication.account, config=config
        )
    except InputError:  # the file is not there, or is another; the publisher says what that means
        return None
    return "; ".join(map(str, found)) or None


def _refuse(records: Publications, publication: Publication, why: str) -> Publication:
    """Store that a post failed before anything was sent."""
    with records.claim(publication.number):
        found = records.get(publication.number)
        if found.state not in (PublicationState.SCHEDULED, PublicationState.PREPARED):
            return found
        logger.warning("%s: %s", found.name, why)
        return records.move(found, PublicationState.FAILED, error=f"does not fit {found.platform}: {why}")


def _is_missed(publication: Publication, config: Config, now: float) -> bool:
    return (
        config.publishing.missed == "hold"
        and publication.state is PublicationState.SCHEDULED
        and now - publication.due_at > config.publishing.missed_after
    )


def _hold(records: Publications, publication: Publication, why: str) -> Publication:
    """Hold a publication for a person; one that may be published already waits as it is, and an ended one stays."""
    with records.claim(publication.number):
        found = records.get(publication.number)
        if not is_open(found):
            return found
        if found.state in (PublicationState.COMMITTED, PublicationState.CONFIRMED):
            return records.put_off(found, until=records.clock() + 3600, error=why)
        logger.warning("%s: held: %s", found.name, why)
        return records.move(found, PublicationState.HELD, error=why)
