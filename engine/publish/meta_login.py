"""Access to Instagram by Facebook Login for Business: a user's token that lives for 60 days, its renewal and its end.

Source: developers.facebook.com, "Long-Lived Access Tokens" (14 September 2022), "debug_token", "Upload Video to Meta Servers"
(15 March 2026: resumable uploads are available to apps with Facebook Login for Business alone, so Instagram Login is not used).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from video_pipeline.engine.errors import ConfigError, InputError, ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.publish.accounts import AccountFiles, ConnectedAccount
from video_pipeline.engine.publish.instagram_errors import (
    MISSING,
    TOKEN_ENDED,
    ContainerMissingError,
    TokenEndedError,
    error_codes,
    is_failure,
    meta_fault,
    meta_wait,
)
from video_pipeline.engine.publish.webhook import Unmetered

logger = logging.getLogger(__name__)

PLATFORM: Final = "instagram"
JSON_TYPES: Final = ("application/json", "text/javascript")
SCOPES_NEEDED: Final = (
    "instagram_basic",
    "instagram_content_publish",
    "pages_read_engagement",
    "pages_show_list",
)

DAY_SECONDS: Final = 86_400.0
RENEWED_BEFORE_SECONDS: Final = 10 * DAY_SECONDS
RENEWED_AFTER_SECONDS: Final = DAY_SECONDS
ASKED_AGAIN_SECONDS: Final = 3600.0
"""How long after a renewal that failed it is tried again while the token still lives."""


class MetaAccount(ConnectedAccount):
    """A professional account on Instagram with a token of the person who connected it.

    `user_id` is the account's, `person_id` the person's. `issued_at` is when the token was made, `asked_at` when another
    one was last asked for, in seconds since 1970.
    """

    app_id: str
    app_secret: str
    access_token: str
    issued_at: float
    asked_at: float = 0.0
    user_id: str
    username: str
    person_id: str = ""

    def must_be_renewed(self, now: float) -> bool:
        """Return whether a new token is due: it ends soon, and is a day old."""
        if self.ends_at is None or now - self.asked_at < ASKED_AGAIN_SECONDS:
            return False
        return self.ends_at - now < RENEWED_BEFORE_SECONDS and now - self.issued_at >= RENEWED_AFTER_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCalls:
    """Requests to the Graph API. `base` is its address with the version."""

    base: str
    timeout: float
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    def ask(
        self,
        path: str,
        *,
        token: Secret | None = None,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        method: str = "GET",
        hidden: Sequence[Secret] = (),
        once: bool = False,
    ) -> ServiceAnswer:
        """Return the answer to a request, a JSON object; raise ServiceError for an error in it, whatever its status.

        `token` goes into a header. `hidden` are the secrets of a query.
        """
        headers = {"Authorization": f"Bearer {token.reveal()}"} if token is not None else {}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        secrets = (token, *hidden) if token is not None else hidden
        request = ServiceRequest(
            url=f"{self.base}/{path}" + (f"?{urlencode(query, safe=',')}" if query else ""),
            method="POST" if form is not None else method,
            headers=headers,
            body=urlencode(form).encode() if form is not None else b"",
            accepts=JSON_TYPES,
        )
        return self.send(request, secrets=secrets, timeout=self.timeout, once=once)

    def send(
        self, request: ServiceRequest, *, secrets: Sequence[Secret], timeout: float, once: bool
    ) -> ServiceAnswer:
        """Send a request and check its answer; see `ask`."""
        client = ServiceClient(
            service=PLATFORM,
            timeout=timeout,
            meter=Unmetered(),
            policy=RetryPolicy(attempts=1) if once else self.policy,
            secrets=secrets,
            fault=meta_fault,
            wait=meta_wait,
        )
        with_errors = replace(request, also_good=range(400, 600))
        return client.ask(with_errors, check=lambda answer: _check(client, answer))


def _check(client: ServiceClient, answer: ServiceAnswer) -> None:
    """Raise ServiceError for an answer that is an error."""
    if not is_failure(answer):
        return
    kind, words = meta_fault(answer)
    code, subcode = error_codes(answer)
    error = client.error(f"{answer.status}: {words}", kind=kind, retry_after=meta_wait(answer, kind))
    if code == TOKEN_ENDED:
        raise TokenEndedError(str(error), kind="denied")
    if (code, subcode) == MISSING:
        raise ContainerMissingError(str(error), kind="denied")
    raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaTokens:
    """The tokens of one account. A new one is on the disk before it is used, and one process at a time asks for it."""

    files: AccountFiles
    name: str
    graph: GraphCalls
    clock: Callable[[], float] = time.time

    def account(self) -> MetaAccount:
        """Return the account; raise ServiceError if it is not connected."""
        try:
            return self.files.load(PLATFORM, self.name, MetaAccount)
        except ConfigError as error:
            raise ServiceError(str(error), kind="denied") from None

    def token(self, *, refused: Secret | None = None) -> Secret:
        """Return an access token that is not `refused`; raise ServiceError, denied if the account must be connected again.

        A token that ends within ten days and is a day old is renewed. If that fails, it is used while it lives.
        """
        account = self.account()
        if account.must_be_renewed(self.clock()):
            with one_at_a_time(self.files.lock_folder(PLATFORM), self.name):
                account = self.account()
                if account.must_be_renewed(self.clock()):
                    account = self._renewed(account)
        has_ended = account.ends_at is not None and account.ends_at <= self.clock()
        if has_ended or (refused is not None and refused.reveal() == account.access_token):
            raise ServiceError(
                f"{PLATFORM}: account {self.name}: access has ended; connect it again by "
                f"`video-pipeline accounts add {PLATFORM} {self.name}`",
                kind="denied",
            )
        return Secret(account.access_token, f"account {self.name} of {PLATFORM}")

    def _renewed(self, account: MetaAccount) -> MetaAccount:
        now = self.clock()
        try:
            token, ends_at = long_lived_token(
                self.graph, account.app_id, account.app_secret, account.access_token, now=now
            )
            changed = {"access_token": token, "ends_at": ends_at, "issued_at": now, "asked_at": now}
        except ServiceError as error:
            logger.warning("account %s of %s: its token is not renewed: %s", self.name, PLATFORM, error)
            changed = {"asked_at": now}
        renewed = account.model_copy(update=changed)
        try:
            self.files.save(PLATFORM, self.name, renewed)
        except ConfigError as error:
            raise ServiceError(str(error), kind="busy") from None
        return renewed


def long_lived_token(
    graph: GraphCalls, app_id: str, app_secret: str, token: str, *, now: float
) -> tuple[str, float | None]:
    """Exchange a token that is valid for one that lives for 60 days; return it and when it ends, None for never.

    Meta takes both secrets in the query alone; they are left out of every error.
    """
    hidden = (Secret(app_secret, "the app's secret"), Secret(token, "the token"))
    query = {
        "grant_type": "fb_exchange_token",
        "client_id": app_id,
        "client_secret": app_secret,
        "fb_exchange_token": token,
    }
    told = graph.ask("oauth/access_token", query=query, hidden=hidden).json()
    found = told.get("access_token")
    if not isinstance(found, str) or not found:
        raise ServiceError(f"{PLATFORM}: the answer has no access token", kind="busy")
    lives = told.get("expires_in")
    if isinstance(lives, int | float) and not isinstance(lives, bool):
        return found, now + float(lives)
    return found, token_facts(graph, app_id, app_secret, found).ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What Meta says of a token: until when it lives (None: no end), what it allows, and whose it is."""

    ends_at: float | None
    issued_at: float | None
    scopes: tuple[str, ...]
    person_id: str


def token_facts(graph: GraphCalls, app_id: str, app_secret: str, token: str) -> TokenFacts:
    """Ask Meta what a token is; raise ServiceError if it is not valid for this app."""
    hidden = (Secret(app_secret, "the app's secret"), Secret(token, "the token"))
    query = {"input_token": token, "access_token": f"{app_id}|{app_secret}"}
    answer = graph.ask("debug_token", query=query, hidden=hidden)
    told = answer.json().get("data")
    data: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    if data.get("is_valid") is not True or str(data.get("app_id")) != app_id:
        raise ServiceError(f"{PLATFORM}: the token is not valid, or is of another app", kind="denied")
    ends, issued = data.get("expires_at"), data.get("issued_at")
    scopes = data.get("scopes")
    return TokenFacts(
        ends_at=float(ends) if isinstance(ends, int | float) and ends else None,
        issued_at=float(issued) if isinstance(issued, int | float) and issued else None,
        scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else (),
        person_id=str(data.get("user_id") or ""),
    )


def connect_by_token(
    graph: GraphCalls, *, app_id: str, app_secret: Secret, token: Secret, username: str | None, now: float
) -> MetaAccount:
    """Return the account that a user's token, short or long, gives access to.

    `username` chooses one of several. Raises ServiceError if the token is not valid or does not allow to publish, InputError
    if it leads to no account, or to several.
    """
    secret, given = app_secret.reveal(), token.reveal()
    facts = token_facts(graph, app_id, secret, given)
    if missing := [scope for scope in SCOPES_NEEDED if scope not in facts.scopes]:
        raise ServiceError(f"{PLATFORM}: the token does not allow {', '.join(missing)}", kind="denied")
    kept, ends_at = given, facts.ends_at
    if ends_at is not None:
        kept, ends_at = long_lived_token(graph, app_id, secret, given, now=now)
    user_id, name = _chosen_account(_professional_accounts(graph, Secret(kept, "the token")), username)
    return MetaAccount(
        app_id=app_id,
        app_secret=secret,
        access_token=kept,
        issued_at=now,
        added_at=now,
        ends_at=ends_at,
        user_id=user_id,
        username=name,
        person_id=facts.person_id,
    )


def disconnect_account(files: AccountFiles, name: str, graph: GraphCalls) -> str | None:
    """Delete an account's file and end the app's access; return why access remains, None if it has ended.

    Access is a person's: while another account of the same person and app is connected, it is not ended.
    """
    account = files.load(PLATFORM, name, MetaAccount)
    others = [
        other for other in files.names(PLATFORM) if other != name and _has_same_access(files, other, account)
    ]
    problem = f"account {', '.join(others)} has the same access" if others else None
    if not others:
        try:
            token = Secret(account.access_token, f"account {name} of {PLATFORM}")
            graph.ask("me/permissions", token=token, method="DELETE")
        except ServiceError as error:
            problem = str(error)
    files.path(PLATFORM, name).unlink(missing_ok=True)
    return problem


def _has_same_access(files: AccountFiles, name: str, account: MetaAccount) -> bool:
    try:
        other = files.load(PLATFORM, name, MetaAccount)
    except ConfigError:
        return False
    return (other.app_id, other.person_id) == (account.app_id, account.person_id)


def _professional_accounts(graph: GraphCalls, token: Secret) -> dict[str, str]:
    """Return the Instagram accounts of the pages that a token gives access to: their ids by their names."""
    found: dict[str, str] = {}
    query = {"fields": "instagram_business_account{id,username}", "limit": "100"}
    for _ in range(20):
        told = graph.ask("me/accounts", token=token, query=query).json()
        pages = told.get("data")
        for page in pages if isinstance(pages, list) else []:
            account = page.get("instagram_business_account") if isinstance(page, Mapping) else None
            if isinstance(account, Mapping) and account.get("id"):
                found[str(account.get("username") or account["id"])] = str(account["id"])
        after = next_page(told)
        if after is None:
            break
        query["after"] = after
    return found


def next_page(told: Mapping[str, Any]) -> str | None:
    """Return the cursor of the page after an answer's, None if it is the last. Its `next` has the token and is not used."""
    paging = told.get("paging")
    if not isinstance(paging, Mapping) or not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    return str(after) if after else None


def _chosen_account(accounts: Mapping[str, str], username: str | None) -> tuple[str, str]:
    names = ", ".join(sorted(accounts))
    if not accounts:
        raise InputError(
            "accounts: the token leads to no professional account on Instagram; link one to a page of the person, and "
            "allow the app both"
        )
    if username is None and len(accounts) > 1:
        raise InputError(f"--user: the token leads to several accounts; give one of {names}")
    name = username.removeprefix("@") if username is not None else next(iter(accounts))
    if name not in accounts:
        raise InputError(f"--user: got {username!r}; allowed: {names}")
    return accounts[name], name
