"""Texts of posts, cut to the platforms' limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.rules import PLATFORM_RULES, check_facts
from video_pipeline.engine.publish.texts import cut_at_word, post_texts

METADATA = {
    "title": "The Lighthouse",
    "description": "A lamp goes out. Mary lights it again.",
    "hashtags": ["#sea", "storm", "#sea"],
}


@given(
    st.text(max_size=3000),
    st.text(max_size=7000),
    st.lists(st.text(max_size=60), max_size=60),
    st.sampled_from(PLATFORM_RULES),
)
def test_no_text_however_odd_breaks_a_platforms_limit(
    title: str, description: str, hashtags: list[str], platform: str
) -> None:
    texts = post_texts(
        {"title": f"a{title}", "description": description, "hashtags": hashtags}, platform=platform
    )
    assert [reason for reason in check_facts(platform, texts.facts()) if reason.severity == "error"] == []


def test_a_caption_that_has_too_many_mentions_or_hashtags_itself_is_cut_before_the_first_too_many() -> None:
    mentions = " ".join(f"@a{n}" for n in range(25))
    texts = post_texts({"title": "t", "description": mentions, "hashtags": ["#sea"]}, platform="reels")
    assert texts.caption.endswith("@a18 @a19…\n\n#sea")
    own = " ".join(f"#a{n}" for n in range(28))
    tags = [f"#b{n}" for n in range(9)]
    texts = post_texts({"title": "t", "description": own, "hashtags": tags}, platform="reels")
    assert texts.caption.endswith("#a27\n\n#b0 #b1")


def test_texts_that_fit_are_left_alone() -> None:
    texts = post_texts(METADATA, platform="tiktok")
    assert (texts.title, texts.hashtags) == ("The Lighthouse", ("#sea", "#storm"))
    assert texts.caption == "The Lighthouse\n\nA lamp goes out. Mary lights it again.\n\n#sea #storm"


def test_a_long_text_is_cut_at_the_end_of_a_word() -> None:
    assert cut_at_word("One two, three four", 14) == "One two…"
    assert cut_at_word("One two, three four", 15) == "One two, three…"
    assert cut_at_word("Unbrechbarkeit", 6) == "Unbre…"
    assert cut_at_word("夜の海に灯台の光", 5) == "夜の海に…"
    assert cut_at_word("word", 0) == ""


def test_a_long_story_keeps_its_title_and_hashtags_in_a_caption() -> None:
    texts = post_texts({**METADATA, "description": "word " * 2000}, platform="reels")
    assert len(texts.caption) <= 2200
    assert texts.caption.startswith("The Lighthouse\n\nword word")
    assert texts.caption.endswith("word…\n\n#sea #storm")


def test_youtubes_title_has_no_angle_brackets_and_generated_media_is_known() -> None:
    texts = post_texts({"title": "1 < 2 > 0", "generated_media": [{"kind": "picture"}]}, platform="youtube")
    assert (texts.title, texts.generated) == ("1  2  0", True)


def test_hashtags_beyond_the_limit_are_left_out_from_the_end() -> None:
    texts = post_texts({"title": "t", "hashtags": [f"#tag{n}" for n in range(40)]}, platform="reels")
    assert texts.hashtags == tuple(f"#tag{n}" for n in range(30))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"title": 3}, "metadata: title: got 3; allowed: a text"),
        ({"hashtags": "#sea"}, "metadata: hashtags: got '#sea'; allowed: a list of texts"),
    ],
)
def test_metadata_of_another_type_is_refused(metadata: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        post_texts(metadata, platform="reels")
