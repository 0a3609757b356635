"""Every image service on the network against its fake: what it asks, what it makes of each fault, what it pays."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.support.picture_setup import painting, painting_through, set_picture_environment
from tests.support.picture_vendors import PICTURE_KEY, PICTURE_VENDORS, STOCK, PictureVendor, StockVendor
from tests.support.waiting import PROMPT_SECONDS
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.timeline import Still

EACH = pytest.mark.parametrize("name", sorted(PICTURE_VENDORS))
GENERATES = pytest.mark.parametrize("name", sorted(set(PICTURE_VENDORS) - set(STOCK)))
PAID = pytest.mark.parametrize("name", ["dalle", "openai_compatible", "stable_diffusion"])


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)


@EACH
def test_a_service_is_asked_by_its_contract_and_once(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run:
        first = run.paint()
        assert run.fake.problems == []
        assert isinstance(first.shown, Still)
        assert first.origin is not None
        assert (first.origin.service, first.origin.generated) == (name, name not in STOCK)
        assert first.shown.width_px >= 1.2 * 270 - 1
        assert first.shown.height_px >= 1.2 * 480 - 1
        asked = len(run.fake.asked)
        assert run.paint() == first
        assert painting_through(run.fake, tmp_path).paint() == first
        assert len(run.fake.asked) == asked
        assert sum(run.spending.spent.values()) == run.fake.billed == (1 if name in PAID.args[1] else 0)


@EACH
@pytest.mark.parametrize(
    "fault", ["cut", "cut inside", "429", "429 after 0", "429 date", "500", "html", "false success", "drip"]
)
def test_a_fault_that_passes_is_asked_again(name: str, fault: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, timeout=1.5 if fault == "drip" else 60) as run:
        run.fake.faults.append(fault)
        begin = time.monotonic()
        assert isinstance(run.paint().shown, Still)
        assert time.monotonic() - begin < PROMPT_SECONDS
        assert len(run.fake.worked) == 2


@EACH
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("cut", "not complete"),
        ("500", "503"),
        ("html", "text/html"),
        ("false success", "answer"),
        ("429 after 3600", "asks to wait 3600 s"),
    ],
)
def test_a_fault_that_stays_is_an_error_and_leaves_nothing_in_the_cache(
    name: str, fault: str, told: str, tmp_path: Path
) -> None:
    with painting(name, tmp_path, max_retries=1) as run:
        run.fake.faults.extend([fault] * 20)
        with pytest.raises(ImageGenerationError, match=f"^{name}: .*{told}") as caught:
            run.paint()
        assert caught.value.details["permanent"] is False
        assert len(run.fake.worked) == (1 if "after" in fault else 2)
        assert run.cached == []
        asked = len(run.fake.asked)
        with pytest.raises(ImageGenerationError, match=f"^{name}: "):  # not asked again in this render
            run.paint("Another text.")
        assert len(run.fake.asked) == asked


@EACH
def test_a_refused_key_is_said_without_the_key_and_not_asked_again(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with painting(name, tmp_path) as run:
        run.fake.faults.append("key")
        with pytest.raises(ImageGenerationError, match=r"40[01] (Unauthorized|Bad Request): ") as caught:
            run.paint()
        assert len(run.fake.worked) == 1
        if name not in ("automatic1111", "comfyui"):
            assert "the key is refused (" in str(caught.value)
        run.chain = painting_through(run.fake, tmp_path).chain
        run.paint()
        for text in (str(caught.value), caplog.text, repr(run.chain)):
            assert PICTURE_KEY not in text
            assert PICTURE_KEY[:8] not in text
        for path in tmp_path.rglob("*"):
            if path.is_file() and path.name != "openai.key":
                assert PICTURE_KEY.encode() not in path.read_bytes(), path


@GENERATES
def test_a_filtered_picture_is_an_error_and_never_cached_and_the_service_goes_on(
    name: str, tmp_path: Path
) -> None:
    with painting(name, tmp_path) as run:
        vendor = run.fake.vendor
        assert isinstance(vendor, PictureVendor)
        vendor.filters = True
        with pytest.raises(ImageGenerationError, match=f"^{name}: .*{vendor.told}") as caught:
            run.paint()
        assert caught.value.details["permanent"] is True
        assert len(run.fake.worked) == 1
        assert run.cached == []
        vendor.filters = False
        assert isinstance(run.paint("Another text.").shown, Still)


@PAID
def test_the_same_picture_for_two_scenes_is_paid_for_once(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run, ThreadPoolExecutor(4) as pool:
        run.fake.pause = 0.1
        made = list(pool.map(lambda _: run.paint(), range(4)))
        assert len(set(made)) == 1
        assert len(run.fake.worked) == 1


@PAID
def test_a_cache_that_cannot_be_written_does_not_pay_twice(name: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with painting(name, tmp_path) as run:
        assert isinstance(run.paint().shown, Still)
        assert isinstance(run.paint().shown, Still)
        assert len(run.fake.worked) == 1


@PAID
def test_limits_of_a_render_and_of_a_day_hold(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, job=1, day=2) as run:
        run.paint("One.")
        with pytest.raises(ImageGenerationError, match=r"images\.max_pictures allows 1"):
            run.paint("Two.")
        painting_through(run.fake, tmp_path, day=2).paint("Two.")
        with pytest.raises(ImageGenerationError, match=r"images\.max_pictures_per_day \(2\).*00:00 UTC"):
            painting_through(run.fake, tmp_path, day=2).paint("Three.")
        assert run.fake.billed == 2


def test_a_request_that_the_service_refuses_is_not_counted(tmp_path: Path) -> None:
    with painting("stable_diffusion", tmp_path, max_retries=0) as run:
        run.fake.faults.append("500")
        with pytest.raises(ImageGenerationError):
            run.paint()
        assert run.spending.spent == {}


@EACH
def test_a_picture_in_the_cache_with_one_wrong_bit_is_made_again(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run:
        first = run.paint()
        (path,) = run.cached
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert painting_through(run.fake, tmp_path).paint() == first
        check_png(path)


@EACH
def test_a_picture_is_asked_for_again_after_its_time_to_live(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, cache_ttl=0.001) as run:
        run.paint()
        before = len(run.fake.asked)
        time.sleep(0.05)
        painting_through(run.fake, tmp_path, cache_ttl=0.001).paint()
        assert len(run.fake.asked) > before


@GENERATES
def test_scenes_with_the_same_words_have_different_pictures(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run:
        made = [run.paint(seed=seed) for seed in (7, 8)]
        assert len(run.fake.worked) == 2
        if name not in (
            "dalle",
            "openai_compatible",
        ):  # their protocol has no seed, and the fake draws by the words
            assert [each.origin.seed - 7 for each in made if each.origin and each.origin.seed] == [
                0 + (name == "stable_diffusion"),
                1 + (name == "stable_diffusion"),
            ]


@pytest.mark.parametrize("frame_px", [(270, 270), (480, 270), (270, 338), (500, 100)])
@GENERATES
def test_the_size_that_is_asked_for_has_the_frames_aspect(
    name: str, frame_px: tuple[int, int], tmp_path: Path
) -> None:
    with painting(name, tmp_path) as run:
        made = run.paint(frame_px=frame_px)
        assert run.fake.problems == []
        assert isinstance(made.shown, Still)
        with Image.open(made.shown.path) as picture:
            assert all(side >= 1.19 * frame for side, frame in zip(picture.size, frame_px, strict=True))


@pytest.mark.parametrize("name", STOCK)
@pytest.mark.parametrize("fault", ["cut", "429", "500", "html"])
def test_a_download_is_tried_again_and_then_an_error(name: str, fault: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, max_retries=1) as run:
        assert isinstance(run.fake.vendor, StockVendor)
        run.fake.vendor.work = "files"
        run.fake.faults.append(fault)
        if fault == "html":  # a whole answer that is no picture
            with pytest.raises(ImageGenerationError, match=f"^{name}: .*is not a known format"):
                run.paint()
            assert run.cached == []
        else:
            assert isinstance(run.paint().shown, Still)
            assert len(run.fake.worked) == 2
