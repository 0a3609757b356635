"""Accounts that are connected to platforms: their tokens, in files that only their owner can read.

A refreshed token is on the disk before it is used, and one process at a time refreshes it: a platform may end the old
one with the first use of the new one.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.common.publishers import ACCOUNT_PATTERN
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, InputError, ServiceError
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.publish.oauth import Grant, OauthApp, refreshed_grant, revoke_grant

logger = logging.getLogger(__name__)

EARLY_SECONDS: Final = 60.0
"""How long before its end a token is no longer used."""

WARNED_SECONDS: Final = 7 * 86_400.0
"""How long before the end of a connection it is warned of."""


class ConnectedAccount(BaseModel):
    """What every file of an account says. Times are in seconds since 1970; without `ends_at` no end is known."""

    model_config = ConfigDict(frozen=True)

    added_at: float
    ends_at: float | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(added_at={self.added_at})"

    __str__ = __repr__

    @property
    def end_words(self) -> str:
        """Until when the connection lasts."""
        if self.ends_at is None:
            return "until it is revoked"
        return f"until {datetime.fromtimestamp(self.ends_at, UTC):%Y-%m-%d %H:%M}Z"


def warning_of(account: ConnectedAccount, *, now: float) -> str | None:
    """Return what a person should do about an account that has ended or ends within a week, None otherwise."""
    if account.ends_at is None or account.ends_at - now > WARNED_SECONDS:
        return None
    return "connect it again: it has ended" if account.ends_at <= now else "connect it again soon"


AccountModel = TypeVar("AccountModel", bound=ConnectedAccount)


class StoredAccount(ConnectedAccount):
    """An account with a refresh token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app: OauthApp
    grant: Grant

    def with_grant(self, grant: Grant, *, now: float) -> StoredAccount:
        """Return the account with a newer grant; what the platform does not say again stays."""
        ends_at = self.ends_at if grant.refresh_seconds is None else now + grant.refresh_seconds
        return self.model_copy(update={"grant": grant, "ends_at": ends_at})


@dataclass(frozen=True, slots=True)
class AccountFiles:
    """The files of connected accounts, in a folder for each platform below `folder`."""

    folder: Path

    @classmethod
    def of(cls, config: Config) -> AccountFiles:
        """Return those of a node or user."""
        return cls(config.state_dir() / "accounts")

    def path(self, platform: str, name: str) -> Path:
        """Return an account's file; raise InputError for a name that no account has."""
        if not re.fullmatch(ACCOUNT_PATTERN, name):
            raise InputError(f"account: got {name!r}; give letters, digits, '.', '_' and '-', at most 64")
        return self.folder / platform / f"{name}.json"

    def names(self, platform: str) -> list[str]:
        """Return the names of a platform's connected accounts."""
        return sorted(path.stem for path in (self.folder / platform).glob("[!.]*.json"))

    def load(self, platform: str, name: str, model: type[AccountModel]) -> AccountModel:
        """Return an account as `model`; raise ConfigError if it is not connected, or if its file is damaged."""
        path = self.path(platform, name)
        connect = f"connect it by `video-pipeline accounts add {platform} {name}`"
        try:
            return model.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ConfigError(f"account {name} of {platform}: is not connected; {connect}") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError:  # its text quotes the tokens
            raise ConfigError(f"{path}: is damaged; {connect}") from None

    def save(self, platform: str, name: str, account: ConnectedAccount) -> None:
        """Write an account's file, durably; raise ConfigError if that fails."""
        path = self.path(platform, name)
        try:
            for folder in (self.folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with whole_file(path) as partial:
                os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                partial.write_text(account.model_dump_json(indent=1), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None

    def remove(self, platform: str, name: str, *, timeout: float = 30.0) -> str | None:
        """Revoke an account's grant and delete its file; return why the platform did not revoke it, None if it did."""
        account = self.load(platform, name, StoredAccount)
        if account.app.rules.revoked == "access_token":
            with suppress(ServiceError):  # revoking says what is wrong
                AccountTokens(files=self, platform=platform, name=name, timeout=timeout).token()
                account = self.load(platform, name, StoredAccount)
        problem = revoke_grant(account.app, account.grant, timeout=timeout)
        self.path(platform, name).unlink(missing_ok=True)
        return problem

    def lock_folder(self, platform: str) -> Path:
        """Return the folder of the locks under which tokens are refreshed."""
        return self.folder / platform / ".locks"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTokens:
    """The access tokens of one account."""

    files: AccountFiles
    platform: str
    name: str
    timeout: float = 30.0
    clock: Callable[[], float] = time.time

    def token(self, *, refused: Secret | None = None) -> Secret:
        """Return an access token that is valid and not `refused`; raise ServiceError.

        Processes that need a new one at the same time get the same.
        """
        account = self._load()
        if not self._is_usable(account, refused):
            with one_at_a_time(self.files.lock_folder(self.platform), self.name):
                account = self._load()
                if not self._is_usable(account, refused):
                    now = self.clock()
                    self._save(account)  # if the disk is full, the token that is stored must not be used up
                    grant = refreshed_grant(account.app, account.grant, timeout=self.timeout, now=now)
                    account = account.with_grant(grant, now=now)
                    self._save(account)
                    if account.ends_at is not None and account.ends_at - now < WARNED_SECONDS:
                        logger.warning(
                            "account %s of %s: is connected %s; connect it again",
                            self.name,
                            self.platform,
                            account.end_words,
                        )
        return Secret(account.grant.access_token, f"account {self.name} of {self.platform}")

    def _load(self) -> StoredAccount:
        try:
            return self.files.load(self.platform, self.name, StoredAccount)
        except ConfigError as error:
            raise ServiceError(str(error), kind="denied") from None

    def _save(self, account: StoredAccount) -> None:
        try:
            self.files.save(self.platform, self.name, account)
        except ConfigError as error:
            raise ServiceError(str(error), kind="busy") from None

    def _is_usable(self, account: StoredAccount, refused: Secret | None) -> bool:
        grant = account.grant
        is_fresh = grant.expires_at > self.clock() + EARLY_SECONDS
        return is_fresh and (refused is None or refused.reveal() != grant.access_token)
