"""The error policies, and which one a configuration has."""

from __future__ import annotations

from typing import get_args

import pytest

from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.policy import POLICIES, PolicyName
from video_pipeline.engine.errors import ConfigError, InputError, StoryError


def test_every_name_has_a_policy_and_the_standard_one_is_the_default() -> None:
    assert tuple(POLICIES) == get_args(PolicyName)
    for name, policy in POLICIES.items():
        assert load_config({"error_handling": {"policy": name}}, environ=False).error_policy is policy
    assert load_config(environ=False).error_policy is POLICIES["standard"]
    with pytest.raises(
        ConfigError, match=r"error_handling\.policy: got 'loose'; allowed: 'standard', 'lenient'"
    ):
        load_config({"error_handling": {"policy": "loose"}}, environ=False)


@pytest.mark.parametrize("name", ["standard", "strict"])
def test_a_fault_is_raised_as_it_is(name: PolicyName) -> None:
    fault = StoryError("field 'image': gone")
    with pytest.raises(StoryError) as caught:
        POLICIES[name].replace(fault, instead="it is drawn")
    assert caught.value is fault


def test_the_lenient_policy_turns_it_into_a_warning() -> None:
    assert POLICIES["lenient"].replace(StoryError("gone"), instead="it is drawn") == "gone; it is drawn"


def test_only_the_strict_policy_forbids_warnings() -> None:
    for policy in POLICIES.values():
        policy.check(())
    for name in ("standard", "lenient"):
        POLICIES[name].check(["one"])
    with pytest.raises(InputError) as caught:
        POLICIES["strict"].check(["one", "two"])
    assert str(caught.value).splitlines()[1:] == ["  one", "  two"]
    assert caught.value.details["warnings"] == ["one", "two"]
