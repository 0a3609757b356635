"""Title card, end card, intro and outro in the timeline: places, chapters, captions, music, and on decoded frames."""

from __future__ import annotations

import argparse
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.video import decode, luma, run_ffmpeg
from video_pipeline.engine.cli.options import add_story_options, configuration
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.look_keys import SHIPPED_LOOKS
from video_pipeline.engine.config.looks import load_look, with_look
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.outputs.frame_choice import candidate_times
from video_pipeline.engine.outputs.subtitles import cues
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.plan import FramePlan, plan_captions, plan_timeline
from video_pipeline.engine.preview import FrameAt, preview_story
from video_pipeline.engine.render.compositors.still_frame import draw_frame
from video_pipeline.engine.story import Story, parse_story

SIZE_PX = (180, 320)
QUIET = {"video": {"size": [*SIZE_PX]}, "tts": {"service": "none"}}


def story_of(folder: Path, **fields: Any) -> Story:
    """Return a story of two scenes, one red and one blue."""
    for name, colour in (("red", (200, 20, 20)), ("blue", (20, 20, 200))):
        Image.new("RGB", SIZE_PX, colour).save(folder / f"{name}.png")
    scenes = [
        {"scene_id": name, "image": str(folder / f"{name}.png"), "text": f"A {name} scene.", "duration": 3}
        for name in ("red", "blue")
    ]
    return parse_story({"title": "The last light", "scenes": scenes, **fields})


def planned(folder: Path, story: Story, **sections: Any) -> FramePlan:
    config = load_config({**QUIET, **sections}, environ=False)
    return plan_timeline(story, config=config, cache=ContentCache(folder / "cache"), speak=())


def clip_file(folder: Path) -> Path:
    """Write a green clip of two seconds with a tone."""
    path = folder / "clip.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=0x20c020:size=96x96:rate=25:duration=2"),
        *(
            "-f",
            "lavfi",
            "-i",
            "sine=440:duration=2",
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-shortest",
            path,
        ),
    )
    return path


def test_without_cards_nothing_changes(tmp_path: Path) -> None:
    plan = planned(tmp_path, story_of(tmp_path))
    assert [clip.scene_id for clip in plan.timeline.clips] == ["red", "blue"]
    off = planned(tmp_path, story_of(tmp_path, title_card=False), title_card={"show": True})
    assert off.timeline == plan.timeline


def test_cards_are_scenes_with_transitions_chapters_and_no_words(tmp_path: Path) -> None:
    story = story_of(tmp_path, title_card={"seconds": 2}, end_card="More tomorrow")
    timeline = planned(tmp_path, story).timeline
    assert [clip.scene_id for clip in timeline.clips] == ["title_card", "red", "blue", "end_card"]
    assert [clip.apart for clip in timeline.clips] == [True, False, False, True]
    assert [len(clip.frames) for clip in timeline.clips] == [60, 90, 90, 75]
    assert [len(transition.frames) for transition in timeline.transitions] == [15, 15, 15]
    assert [(frames.start, title) for frames, title in timeline.chapters()] == [
        (0, "The last light"),
        (45, "red"),
        (120, "blue"),
    ]
    first, last = timeline.captions
    assert first.frames.start == timeline.transitions[0].frames.stop, "no caption over the card's text"
    assert last.frames.stop == timeline.transitions[2].frames.start
    assert [cue.text for cue in cues(timeline)] == ["A red scene.", "A blue scene."]
    middle = [clip.frames.start for clip in timeline.clips]
    assert all(time * 30 >= middle[1] for time in candidate_times(timeline)), "no thumbnail of a card"


def test_a_card_s_text_is_in_the_middle_of_its_background(tmp_path: Path) -> None:
    look = {"background": "plain", "background_color": "#101010", "text_color": "#FFFFFF", "ornament": "none"}
    plan = planned(tmp_path, story_of(tmp_path, title_card=True), title_card=look, grade={"lut": "mono"})
    pixels = np.asarray(draw_frame(plan.compositor, 30).convert("L")).astype(int)
    letters = np.argwhere(pixels > 200)
    assert len(letters) > 300
    assert np.abs(letters[:, 1].mean() - SIZE_PX[0] / 2) < 8
    assert letters[:, 1].min() > 15
    assert letters[:, 0].min() > 48
    assert letters[:, 0].max() < 208, "clear of what apps show at the bottom"
    assert np.abs(pixels[5:40] - 16).max() <= 2
    assert plan.timeline.clips[0].grade is None
    assert plan.timeline.clips[1].grade is not None


@pytest.mark.parametrize(
    ("background", "expected"),
    [("picture", (91, 23, 32)), ("gradient", (0x14, 0x1A, 0x26)), ("plain", (0x14, 0x1A, 0x26))],
)
def test_a_background_is_drawn_or_the_first_picture(
    tmp_path: Path, background: str, expected: tuple[int, ...]
) -> None:
    plan = planned(tmp_path, story_of(tmp_path, title_card=True), title_card={"background": background})
    top = np.asarray(draw_frame(plan.compositor, 10).convert("RGB"))[2:6, 20:160].reshape(-1, 3).mean(0)
    assert np.abs(top - expected).max() < 8


def test_lines_name_the_story_s_metadata_and_defaults(tmp_path: Path) -> None:
    from video_pipeline.engine.cards.scenes import prepare_cards

    story = story_of(
        tmp_path,
        metadata={"author": "Ann Lee", "series": "Coast", "part": 2},
        title_card=True,
        end_card={"text": "Part {{part}} of {{title}} by {{ author }}{{missing|}}"},
    )
    plan = planned(tmp_path, story)
    cards = prepare_cards(
        story,
        story.scenes or (),
        config=plan.config,
        catalogue=plan.fonts,
        base=tmp_path,
        cache=plan.cache,
        files=plan.fonts.files,
    )
    assert cards.title is not None
    assert cards.end is not None
    assert (cards.title.text, cards.title.subtitle) == ("The last light", "Coast · Ann Lee")
    assert (cards.end.text, cards.end.subtitle) == ("Part 2 of The last light by Ann Lee", "Ann Lee")


@pytest.mark.parametrize(
    ("fields", "sections", "kind", "message"),
    [
        (
            {"end_card": "By {{author}}"},
            {},
            StoryError,
            "field 'end_card': text: {{author}} has no value; give metadata.author",
        ),
        (
            {},
            {"end_card": {"show": True, "text": "{{x|}}"}},
            ConfigError,
            "end_card.text: got '{{x|}}', which is blank",
        ),
        ({"title_card": {"text": "\u00a0"}}, {}, StoryError, "field 'title_card': text: got"),
        (
            {"title_card": "word " * 60},
            {"title_card": {"text_size": 300}},
            StoryError,
            "characters, which do not fit on the card; shorten it",
        ),
        ({}, {"intro": "missing.mp4"}, ConfigError, "intro.path: "),
        ({}, {"outro": {"image": "missing.png"}}, ConfigError, "outro.image: "),
        (
            {},
            {"title_card": {"show": True, "text_font": "No Such Font"}},
            ConfigError,
            "title_card.text_font: ",
        ),
    ],
)
def test_what_cannot_be_shown_is_an_error_that_names_its_place(
    tmp_path: Path, fields: Any, sections: Any, kind: Any, message: str
) -> None:
    with pytest.raises(kind) as caught:
        planned(tmp_path, story_of(tmp_path, **fields), **sections)
    assert message in str(caught.value)


def test_the_lenient_policy_leaves_out_what_cannot_be_shown(tmp_path: Path) -> None:
    story = story_of(tmp_path, title_card="word " * 60)
    lenient = {"error_handling": {"policy": "lenient"}, "title_card": {"text_size": 300}}
    plan = planned(tmp_path, story, intro="missing.mp4", **lenient)
    assert [clip.scene_id for clip in plan.timeline.clips] == ["title_card", "red", "blue"]
    assert any("its end is left out" in warning for warning in plan.warnings)
    assert any(w.startswith("intro.path: ") and w.endswith("the video is without it") for w in plan.warnings)


@pytest.mark.parametrize("seconds", [0, -1, 31, "2"])
def test_seconds_out_of_bounds_are_errors(tmp_path: Path, seconds: Any) -> None:
    with pytest.raises(StoryError, match=r"title_card.*seconds"):
        story_of(tmp_path, title_card={"seconds": seconds})
    if not isinstance(seconds, str):
        with pytest.raises(ConfigError, match=r"end_card\.seconds"):
            load_config({"end_card": {"seconds": seconds}}, environ=False)


def test_unknown_keys_are_errors(tmp_path: Path) -> None:
    for field, value in (("title_card", {"color": "red"}), ("end_card", {"speak": True}), ("title_card", 7)):
        with pytest.raises(StoryError, match=field):
            story_of(tmp_path, **{field: value})
    with pytest.raises(ConfigError, match=r"intro.*give either"):
        load_config({"intro": {"path": "a.mp4", "image": "b.png"}}, environ=False)


def test_an_id_of_the_story_s_own_is_not_taken(tmp_path: Path) -> None:
    scenes = [{"scene_id": "title_card", "duration": 1}, {"scene_id": "intro", "duration": 1}]
    story = parse_story({"title": "T", "scenes": scenes, "title_card": True})
    ids = [clip.scene_id for clip in planned(tmp_path, story).timeline.clips]
    assert ids == ["title_card_", "title_card", "intro"]


def test_a_loop_leads_back_to_the_card(tmp_path: Path) -> None:
    story = story_of(tmp_path, title_card=True, end_card="Again", loop=True)
    plan = planned(tmp_path, story)
    timeline = plan.timeline
    assert [clip.scene_id for clip in timeline.clips] == [
        "title_card",
        "red",
        "blue",
        "end_card",
        "title_card",
    ]
    first, last = (
        np.asarray(draw_frame(plan.compositor, n)).astype(int) for n in (0, timeline.frame_count - 1)
    )
    assert np.abs(first - last).mean() < 12


def test_a_loop_with_an_intro_ends_with_its_first_frame(tmp_path: Path) -> None:
    clip = tmp_path / "brightens.mp4"
    source = "color=black:size=96x96:rate=30:duration=2,fade=t=in:d=2:color=white"
    run_ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-pix_fmt", "yuv420p", clip)
    plan = planned(tmp_path, story_of(tmp_path, loop=True), intro=str(clip))
    first, last = (draw_frame(plan.compositor, n) for n in (0, plan.timeline.frame_count - 1))
    assert np.asarray(first).mean() > 245
    assert np.asarray(last).mean() > 225, "it stands still, where it would be darker by a quarter"


def test_intro_and_outro_have_their_own_sound_and_music_is_between(tmp_path: Path) -> None:
    story = story_of(tmp_path, music="auto", title_card=True)
    clip = clip_file(tmp_path)
    timeline = planned(tmp_path, story, intro=str(clip), outro={"path": str(clip), "volume": -6}).timeline
    assert [clip.scene_id for clip in timeline.clips] == ["intro", "title_card", "red", "blue", "outro"]
    sounds = [track for track in timeline.audio if track.kind == "footage"]
    assert [(track.scene_id, track.gain_db) for track in sounds] == [("intro", 0), ("outro", -6)]
    (music,) = (track for track in timeline.audio if track.kind == "music")
    begin, end = timeline.clips[1].frames.start, timeline.clips[4].frames.start
    assert music.score is not None
    assert music.at >= Fraction(begin, 30)
    assert music.at - Fraction(begin, 30) < music.score.beat
    assert (music.at / music.score.beat).denominator == 1
    assert music.at + music.duration == Fraction(end, 30)


def test_a_spoken_title_lasts_as_long_as_its_words(tmp_path: Path) -> None:
    story = story_of(tmp_path, title_card={"speak": True, "seconds": 0.5}, metadata={"language": "en"})
    config = load_config({"video": {"size": [*SIZE_PX]}}, environ=False)
    plan = plan_timeline(story, config=config, cache=ContentCache(tmp_path / "cache"))
    spoken = [track for track in plan.timeline.audio if track.kind == "narration"]
    assert [track.scene_id for track in spoken] == ["title_card", "red", "blue"]
    assert spoken[0].text == "The last light"
    card = plan.timeline.clips[0].frames
    assert len(card) / 30 > float(spoken[0].duration)
    assert all(one.at + one.duration <= other.at for one, other in pairwise(spoken))
    assert cues(plan.timeline)[0].text == "The last light"
    assert not any("duration" in warning for warning in plan.warnings)


def test_a_preview_shows_a_card_and_numbers_scenes_with_it(tmp_path: Path) -> None:
    story = story_of(tmp_path, title_card={"speak": True}, metadata={"language": "en"})
    config = load_config(
        {
            "video": {"size": [*SIZE_PX]},
            "storage": {"cache_path": str(tmp_path / "cache")},
            "title_card": {"background": "plain"},
        },
        environ=False,
    )
    shown = preview_story(story, tmp_path / "f.png", at=FrameAt(number=10), config=config)
    assert any("2 scenes is not spoken yet" in warning for warning in shown.warnings), (
        "only the title is spoken"
    )


def test_a_render_has_the_intro_the_card_and_the_scenes_in_its_frames(tmp_path: Path) -> None:
    story = story_of(tmp_path, title_card={"seconds": 1}, end_card={"text": "Bye", "seconds": 1})
    look = {"background": "plain", "background_color": "#000000"}
    config = load_config(
        {
            **QUIET,
            "intro": str(clip_file(tmp_path)),
            "title_card": look,
            "end_card": look,
            "scenes": {"transition": "cut", "effects": []},
        },
        environ=False,
    )
    result = render_story(story, tmp_path / "o.mp4", config=config, use_cache=False)
    frames = decode(result.outputs.video, SIZE_PX)
    assert len(frames) == 60 + 30 + 90 + 90 + 30
    means = [float(luma(frames)[number, :40].mean()) for number in (30, 75, 120, 210, 285)]
    assert means == pytest.approx([142, 16, 62, 44, 16], abs=6)
    import json

    manifest = json.loads(result.outputs.manifest.read_text())
    assert manifest["cards"] == {"intro": [0, 60], "title_card": [60, 90], "end_card": [270, 300]}
    assert ["intro"] in [each["scene_ids"] for each in manifest["inputs"] if each["role"] == "footage"]


def test_plans_of_the_first_scenes_agree_with_the_whole_video(tmp_path: Path) -> None:
    from dataclasses import replace

    from video_pipeline.engine.assets.generate import gather_assets
    from video_pipeline.engine.cards.scenes import prepare_cards, with_cards
    from video_pipeline.engine.compose import compose

    story = story_of(tmp_path, title_card=True, end_card="Bye")
    scenes = story.scenes or ()
    plan = planned(tmp_path, story)
    assets = gather_assets(story, scenes, config=plan.config, cache=plan.cache)
    cards = prepare_cards(
        story,
        scenes,
        config=plan.config,
        catalogue=plan.fonts,
        base=tmp_path,
        cache=plan.cache,
        files=plan.fonts.files,
    )
    timelines = []
    for count in (1, 2):
        some = replace(assets, scenes=assets.scenes[:count])
        shown, own = with_cards(cards, scenes, some, config=plan.config, grade=None, cache=plan.cache)
        timelines.append(compose(story, shown, own, config=plan.config, apart=cards.scene_ids).timeline)
    part, whole = timelines
    assert part.clips[0] == whole.clips[0]
    assert part.clips[1].frames == whole.clips[1].frames
    assert len(part.clips) == 2
    assert plan_captions(plan).captions


def test_options_of_the_command_line_give_the_sections(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_story_options(parser)
    written = ["s.json", "--title-card", "--end-card", "By {{author}}", "--intro", "a.mp4", "--progress-bar"]
    config = configuration(parser.parse_args(written))
    assert config.title_card.show
    assert (config.end_card.show, config.end_card.text) == (True, "By {{author}}")
    assert (config.intro.path, config.outro.path) == (Path("a.mp4"), None)
    assert config.progress_bar.show
    plain = configuration(parser.parse_args(["s.json"]))
    assert not any(section.show for section in (plain.title_card, plain.end_card, plain.progress_bar))


def test_a_look_s_card_gives_way_to_the_configuration_and_the_story(tmp_path: Path) -> None:
    (tmp_path / "house.yaml").write_text(
        "title_card: true\nend_card: {text: Bye, show: true}\nintro: a.mp4\n"
    )
    look = load_look(tmp_path / "house.yaml")
    assert look.sections["title_card"] == {"show": True}
    assert look.sections["intro"] == {"path": str(tmp_path / "a.mp4")}
    config = load_config({"look": str(tmp_path / "house.yaml"), "end_card": {"text": "More"}}, environ=False)
    assert (with_look(config).end_card.show, with_look(config).end_card.text) == (True, "More")
    assert not with_look(config.override("title_card", show=False)).title_card.show
    for name in SHIPPED_LOOKS:
        sections = load_look(name).sections
        assert sections["title_card"]["show"]
        assert sections["audio"]["music"] == "auto"
        assert {"end_card", "watermark"} <= sections.keys()
    bold = planned(tmp_path, story_of(tmp_path, look="bold", title_card={"over": False}, music="none"))
    assert [clip.scene_id for clip in bold.timeline.clips] == ["title_card", "red", "blue"]
    assert [track.kind for track in bold.timeline.audio] == []
