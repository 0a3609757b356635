"""Looks: what they set, what holds before them, looks of one's own, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.config.look_keys import SHIPPED_LOOKS
from video_pipeline.engine.config.looks import (
    LOOK_SECTIONS,
    LOOKS_FOLDER,
    chosen_look,
    load_look,
    look_names,
    with_look,
)
from video_pipeline.engine.errors import ConfigError, StoryError


def written(folder: Path, name: str, **data: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def config_with(look: Any, **sections: Any) -> Any:
    return load_config({"look": look, **sections}, environ=False)


def test_every_shipped_look_is_a_file_with_a_description_and_its_own_values() -> None:
    looks = [load_look(name) for name in SHIPPED_LOOKS]
    assert sorted(path.stem for path in LOOKS_FOLDER.iterdir()) == sorted(SHIPPED_LOOKS)
    assert [look.name for look in looks] == list(SHIPPED_LOOKS)
    assert all(look.description for look in looks)
    assert len({look.sha256 for look in looks}) == len(looks)
    for look in looks:
        assert {"captions", "scenes", "grade", "audio"} <= look.sections.keys()


def test_a_look_gives_values_for_what_is_not_set() -> None:
    plain = with_look(config_with("noir"))
    assert (plain.grade.lut, plain.scenes.transition, plain.audio.music_mood) == ("mono", "fadeblack", "dark")
    assert plain.caption_look("phrases").text_animation == "typewriter"
    own = with_look(config_with("noir", scenes={"transition": "wipeup"}, grade={"strength": 0.5}))
    assert (own.scenes.transition, own.scenes.text_animation) == ("wipeup", "typewriter")
    assert (own.grade.lut, own.grade.strength) == ("mono", 0.5)


def test_without_a_look_the_configuration_is_the_same_object() -> None:
    config = load_config({}, environ=False)
    assert with_look(config) is config
    assert with_look(config_with("noir"), "none").grade.lut == "none"


def test_the_story_s_look_holds_before_the_configuration_s() -> None:
    config = with_look(config_with("noir"), "bold")
    assert (config.grade.lut, config.look.name) == ("vivid", "bold")
    look = chosen_look(config.look)
    assert look is not None
    assert look.name == "bold"
    assert with_look(config) == config, "the values of a look can be applied twice"


@pytest.mark.parametrize("look", ["noir", {"name": "noir"}])
def test_a_name_may_stand_for_the_section(look: Any) -> None:
    assert config_with(look).look.name == "noir"
    assert config_with(look).override("look", name="bold").look.name == "bold"


def test_a_look_inherits_values_and_replaces_some(tmp_path: Path) -> None:
    written(tmp_path, "house", inherits="cinematic", scenes={"text_color": "gold"}, description="ours")
    written(tmp_path, "loud", inherits="house", grade={"strength": 1.0})
    look = load_look("loud", folder=tmp_path)
    assert (look.name, look.description) == ("loud", "")
    assert look.sections["scenes"]["text_color"] == "gold"
    assert look.sections["scenes"]["transition_duration"] == 0.8
    assert look.sections["grade"] == {"lut": "teal_orange", "strength": 1.0}
    assert look_names(tmp_path) == (*SHIPPED_LOOKS, "house", "loud")


def test_a_look_of_one_s_own_replaces_the_package_s_of_that_name(tmp_path: Path) -> None:
    written(tmp_path, "noir", grade={"lut": "cool"})
    config = config_with({"name": "noir", "folder": str(tmp_path)})
    assert with_look(config).grade.lut == "cool"
    assert with_look(config).scenes.transition == "fade"


def test_a_folder_of_looks_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"look\.folder: got '.*/none', which is no folder"):
        with_look(config_with({"name": "noir", "folder": str(tmp_path / "none")}))
    with pytest.raises(ConfigError, match=r"look: got 7; give a look's name, a YAML file, or an object"):
        load_config({"look": 7}, environ=False)


def test_files_of_a_look_are_relative_to_its_folder(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "house",
        grade={"lut": "a.cube"},
        watermark={"image": "logo.png"},
        scenes={"text_font": "House.otf"},
        audio={"music": "auto"},
    )
    config = with_look(config_with(str(path)))
    assert config.grade.lut == tmp_path / "a.cube"
    assert config.watermark.image == tmp_path / "logo.png"
    assert config.scenes.text_font == str(tmp_path / "House.otf")
    assert config.audio.music == "auto"


def test_the_hash_is_that_of_the_values(tmp_path: Path) -> None:
    one = written(tmp_path, "one", grade={"lut": "warm", "strength": 0.5})
    other = written(tmp_path, "two", grade={"strength": 0.5, "lut": "warm"}, description="the same")
    assert load_look(one).sha256 == load_look(other).sha256
    assert load_look(written(tmp_path, "one", grade={"lut": "warm"})).sha256 != load_look(other).sha256


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"scene": {}},
            "unknown key 'scene' (did you mean 'scenes'?); allowed in a look: name, description,",
        ),
        ({"node": {}}, "unknown key 'node'"),
        ({"video": {"crf": 1}}, "unknown key 'video'"),
        ({"images": {"services": {}}}, "images: unknown key 'services'; allowed in a look: negative_prompt,"),
        ({"captions": {"platform": "tiktok"}}, "captions: unknown key 'platform'; allowed in a look: style"),
        ({"scenes": {"text_colour": "red"}}, "scenes.text_colour: unknown key"),
        ({"scenes": {"text_size": 9000}}, "scenes.text_size: got 9000"),
        ({"grade": 7}, "grade: got 7"),
        ({"name": 7}, "name: got 7; must be text"),
        ({"name": "none"}, "name: got 'none'; must be letters"),
        ({"inherits": "noire"}, "inherits: got 'noire'; allowed: cinematic,"),
        ({"inherits": "a.yaml"}, "which leads back to"),
        ([1], "got list; allowed: a mapping of sections"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_is_allowed(tmp_path: Path, data: Any, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_look(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_folder_has_looks_of_both_endings_and_none_that_is_called_none(tmp_path: Path) -> None:
    for name in ("none.yaml", "house.yml", "shop.yml", "shop.yaml"):
        (tmp_path / name).write_text(f"description: {name}\n", encoding="utf-8")
    assert look_names(tmp_path) == (*SHIPPED_LOOKS, "house", "shop")
    assert load_look("house", folder=tmp_path).description == "house.yml"
    assert load_look("shop", folder=tmp_path).description == "shop.yaml"
    (tmp_path / "a.yaml").write_text("inherits: none\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_look("a", folder=tmp_path)
    assert "got 'none'" in str(caught.value)
    assert "none" not in str(caught.value).partition("allowed:")[2]


def test_looks_that_inherit_from_each_other_are_an_error(tmp_path: Path) -> None:
    written(tmp_path, "a", inherits="b")
    written(tmp_path, "b", inherits="a")
    with pytest.raises(ConfigError, match="which leads back to"):
        load_look("a", folder=tmp_path)


def test_an_unknown_look_names_the_field_and_the_choices() -> None:
    with pytest.raises(
        StoryError, match=r"field 'look': got 'nior'; allowed: cinematic, .*did you mean 'noir'"
    ):
        with_look(config_with("bold"), "nior")
    with pytest.raises(ConfigError, match=r"look\.name: got 'nior'; allowed: cinematic"):
        with_look(config_with("nior"))
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        with_look(config_with("nowhere.yaml"))


def test_a_job_names_a_look_and_no_file_or_folder(tmp_path: Path) -> None:
    node = load_config({"look": {"folder": str(tmp_path)}}, environ=False)
    for given in ("noir", {"name": "noir"}):
        settings = job_config(node, {"look": given}).look
        assert (settings.name, settings.folder) == ("noir", tmp_path)
    for given in ("/etc/a.yaml", {"name": "a.yml"}):
        with pytest.raises(ConfigError, match=r"config: look\.name: got .*, a file; a job's look is one of"):
            job_config(node, {"look": given})
    with pytest.raises(ConfigError, match=r"config: look\.folder: is set by the node's operator"):
        job_config(node, {"look": {"folder": "/etc"}})


def test_every_section_that_a_look_may_set_is_one_of_the_configuration() -> None:
    config = load_config({}, environ=False)
    for section, keys in LOOK_SECTIONS.items():
        assert keys is None or keys <= type(getattr(config, section)).model_fields.keys()
