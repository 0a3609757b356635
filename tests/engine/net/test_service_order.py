"""Services that are asked in order."""

from __future__ import annotations

import pytest

from video_pipeline.engine.common.registry import Family, Member
from video_pipeline.engine.errors import AssetError, ServiceError, TTSError, UnavailableError
from video_pipeline.engine.net.service_order import ServiceOrder, importable_services

FAMILY = Family(
    "test service", "tests.service", (Member("first", "", "", None), Member("later", "", "", None))
)


class AnswerUncachedError(TTSError):
    """Stands for an answer that was not to be asked for."""


def order_of(*names: str, **broken: AssetError | UnavailableError) -> tuple[ServiceOrder[str], list[str]]:
    opened: list[str] = []

    def open_service(name: str) -> str:
        opened.append(name)
        if name in broken:
            raise broken[name]
        return name.upper()

    order = ServiceOrder(
        names=names,
        open_service=open_service,
        failure=TTSError,
        refusals=(TTSError,),
        passed_on=(AnswerUncachedError,),
    )
    return order, opened


def test_a_service_is_opened_once_and_the_first_one_answers() -> None:
    order, opened = order_of("first", "later")
    assert order.already_open("first") is None
    assert [order.first_answer(order.opened) for _ in range(2)] == [("FIRST", ())] * 2
    assert (opened, order.already_open("first"), order.usable) == (["first"], "FIRST", ("first", "later"))


def test_one_that_is_denied_is_asked_once_and_its_reason_is_told_once() -> None:
    order, opened = order_of("first", "later", first=ServiceError("no key", kind="denied"))
    assert order.first_answer(order.opened) == ("LATER", ("no key",))
    assert order.first_answer(order.opened) == ("LATER", ())
    assert opened == ["first", "later"]
    assert (order.closed, order.usable) == ({"first": "no key"}, ("later",))
    with pytest.raises(ServiceError, match="no key"):
        order.opened("first")


@pytest.mark.parametrize("error", [ServiceError("too long", kind="rejected"), TTSError("no words")])
def test_one_that_refuses_a_request_is_asked_the_next_one(error: AssetError) -> None:
    order, _ = order_of("first", "later", first=error)
    for _ in range(2):
        assert order.first_answer(order.opened) == ("LATER", (str(error),))
    assert order.closed == {}


@pytest.mark.parametrize(("kind", "permanent"), [("busy", False), ("denied", True)])
def test_if_none_can_every_reason_is_told_and_a_busy_one_is_tried_later(kind: str, permanent: bool) -> None:
    order, _ = order_of(
        "first", "later", first=ServiceError("down", kind=kind), later=UnavailableError("it needs more")
    )
    with pytest.raises(TTSError, match=r"^down; later: it needs more$") as caught:
        order.first_answer(order.opened)
    assert caught.value.details["permanent"] is permanent


def test_an_answer_that_is_not_to_be_asked_for_ends_the_asking() -> None:
    order, opened = order_of("first", "later", first=AnswerUncachedError("not cached"))
    with pytest.raises(AnswerUncachedError):
        order.first_answer(order.opened)
    assert opened == ["first"]


def test_why_a_named_service_is_unusable_names_the_key_and_what_is_allowed() -> None:
    order, _ = order_of("first", "later", first=UnavailableError("it needs more"))
    assert (
        order.why_unusable("first", family=FAMILY)
        == "tests.service: 'first' is not usable here: it needs more"
    )
    assert order.why_unusable("later", family=FAMILY) is None
    assert order.why_unusable("latre", family=FAMILY) == (
        "tests.service: got 'latre' (did you mean 'later'?), which is not part of this version; allowed: first, later"
    )
    assert (order.first_open(["first", "later"]), order.first_open(["first"])) == ("later", None)


def test_services_that_cannot_be_imported_are_left_out() -> None:
    def load(name: str) -> str:
        if name == "first":
            raise UnavailableError("it needs more")
        return name

    assert importable_services(FAMILY, load) == ("later",)
