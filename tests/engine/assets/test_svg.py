"""SVG: drawn by a program of its own, which reads no file, no address and runs no script."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.waiting import PROMPT_SECONDS
from tests.support.without_packages import run_without
from video_pipeline.engine.assets import svg
from video_pipeline.engine.assets.stills import prepare_still
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.timeline import Still

pytest.importorskip("resvg_py", reason="the extra svg is not installed")

NAMES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
SIDE_PX = 400


@pytest.fixture
def cache(tmp_path: Path) -> ContentCache:
    return ContentCache(tmp_path / "cache")


def document(content: str, size: str = 'width="40" height="20"', before: str = "") -> str:
    return f"{before}<svg {NAMES} {size}>{content}</svg>"


def prepared(text: str, tmp_path: Path, cache: ContentCache, *, max_megapixels: float = 0.16) -> Still:
    path = tmp_path / "drawing.svg"
    path.write_text(text, encoding="utf-8")
    return prepare_still(path, cache=cache, max_megapixels=max_megapixels, max_side_px=SIDE_PX)


def pixels(still: Still) -> np.ndarray:
    with Image.open(still.path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def refusal(text: str, tmp_path: Path, cache: ContentCache, *, max_megapixels: float = 0.16) -> str:
    with pytest.raises(ImageGenerationError) as caught:
        prepared(text, tmp_path, cache, max_megapixels=max_megapixels)
    return str(caught.value)


HALVES = '<rect width="20" height="20" fill="#ff0000"/><rect x="20" width="20" height="20" fill="#0000ff"/>'


@pytest.mark.parametrize(
    "size",
    ['width="40" height="20"', 'viewBox="0 0 40 20"', "", 'width="2e7" height="1e7" viewBox="0 0 40 20"'],
    ids=["a size", "a view box alone", "no size", "a huge size"],
)
def test_a_drawing_fills_the_picture_at_any_size(size: str, tmp_path: Path, cache: ContentCache) -> None:
    still = prepared(document(HALVES, size), tmp_path, cache)
    assert (still.width_px, still.height_px) == (SIDE_PX, SIDE_PX // 2)
    seen = pixels(still)
    assert tuple(seen[100, 100]) == (255, 0, 0)
    assert tuple(seen[100, 300]) == (0, 0, 255)


def test_what_is_not_drawn_is_black(tmp_path: Path, cache: ContentCache) -> None:
    seen = pixels(prepared(document('<rect width="20" height="20" fill="white"/>'), tmp_path, cache))
    assert tuple(seen[100, 100]) == (255, 255, 255)
    assert tuple(seen[100, 300]) == (0, 0, 0)


def test_text_is_set_in_the_packaged_fonts(tmp_path: Path, cache: ContentCache) -> None:
    letters = '<text x="2" y="15" font-family="Arial, Nonsense" font-size="14" fill="white">Wave</text>'
    share = float((pixels(prepared(document(letters), tmp_path, cache)) > 128).mean())
    assert 0.05 < share < 0.5


def test_an_embedded_picture_is_drawn(tmp_path: Path, cache: ContentCache) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (0, 255, 0)).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    for link in ("href", "xlink:href"):
        image = f'<image {link}="data:image/png;base64,{data}" width="40" height="20"/>'
        assert tuple(pixels(prepared(document(image), tmp_path, cache))[100, 200]) == (0, 255, 0)


def test_a_script_is_left_out(tmp_path: Path, cache: ContentCache) -> None:
    script = '<script href="http://127.0.0.1:9/x.js">alert(1)</script>'
    handler = '<rect width="40" height="20" fill="red" onload="fetch(1)"/>'
    assert tuple(pixels(prepared(document(script + handler), tmp_path, cache))[100, 200]) == (255, 0, 0)


@pytest.mark.parametrize(
    "link",
    [
        "secret.png",
        "{folder}/secret.png",
        "file://{folder}/secret.png",
        "http://127.0.0.1:9/x.png",
        "//127.0.0.1/x",
        "other.svg#part",
        "data:image/svg+xml;utf8,&lt;svg/>",
        "data:text/plain,/etc/passwd",
        "",
    ],
)
@pytest.mark.parametrize("element", ["image", "use", "feImage"])
def test_another_file_or_address_is_refused(
    link: str, element: str, tmp_path: Path, cache: ContentCache
) -> None:
    Image.new("RGB", (40, 20), (0, 255, 0)).save(tmp_path / "secret.png")
    name = "xlink:href" if element == "use" else "href"
    inner = f'<{element} {name}="{link.format(folder=tmp_path)}" width="40" height="20"/>'
    inner = f"<filter id='f'>{inner}</filter>" if element == "feImage" else inner
    said = refusal(document(inner), tmp_path, cache)
    assert "refers to" in said
    assert f"(<{element}>)" in said
    assert "allowed: its own parts (#id)" in said


@pytest.mark.parametrize(
    "inner",
    [
        "<style>@import url(http://127.0.0.1:9/a.css);</style>",
        "<style>rect { fill: url(http://127.0.0.1:9/a.svg#x) }</style>",
        "<rect style=\"fill: url( 'file:///etc/passwd' )\"/>",
        '<rect filter="url(other.svg#f)"/>',
    ],
)
def test_a_style_that_names_another_file_is_refused(inner: str, tmp_path: Path, cache: ContentCache) -> None:
    assert "in a style" in refusal(document(inner), tmp_path, cache)


def test_a_reference_to_its_own_parts_is_drawn(tmp_path: Path, cache: ContentCache) -> None:
    gradient = '<linearGradient id="g"><stop stop-color="#00f"/></linearGradient>'
    inner = (
        f'<defs>{gradient}<rect id="r" width="40" height="20" style="fill:url(#g)"/></defs><use href="#r"/>'
    )
    assert tuple(pixels(prepared(document(inner), tmp_path, cache))[100, 200]) == (0, 0, 255)


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!ENTITY a0 "ha">{BOMB}',
        '<!ENTITY a9 SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "x.dtd"> %p;',
    ],
    ids=["bomb", "file", "parameter"],
)
def test_entities_are_refused(declared: str, tmp_path: Path, cache: ContentCache) -> None:
    began = time.monotonic()
    said = refusal(document("<text>&a9;</text>", before=f"<!DOCTYPE svg [{declared}]>"), tmp_path, cache)
    assert "declares the entity" in said
    assert time.monotonic() - began < PROMPT_SECONDS


def test_the_usual_document_type_is_accepted(tmp_path: Path, cache: ContentCache) -> None:
    kind = '"-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"'
    before = f'<?xml version="1.0"?>\n<!-- made by hand -->\n<!DOCTYPE svg PUBLIC {kind}>\n'
    assert prepared(document(HALVES, before=before), tmp_path, cache).width_px == SIDE_PX


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document(HALVES)[:-20], "is not a valid SVG"),
        (document("<g>" * 300 + "</g>" * 300), "more than 200 deep"),
        (document("<g/>" * 200_001), "more than 200000 elements"),
        (document(HALVES, 'width="40" height="0"'), "cannot be drawn"),
    ],
    ids=["truncated", "too deep", "too many", "no height"],
)
def test_a_bad_document_is_refused_with_the_reason(
    text: str, reason: str, tmp_path: Path, cache: ContentCache
) -> None:
    assert reason in refusal(text, tmp_path, cache)


def test_a_drawing_that_needs_too_much_memory_says_so(tmp_path: Path, cache: ContentCache) -> None:
    blur = '<filter id="f" x="-9" y="-9" width="99" height="99"><feGaussianBlur stdDeviation="9"/></filter>'
    inner = f'{blur}<rect width="40" height="20" filter="url(#f)"/>'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svg, "DRAW_BYTES", 2**27)
        assert "memory allocation of" in refusal(document(inner), tmp_path, cache, max_megapixels=100)


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "US-ASCII"])
def test_a_document_is_read_in_the_encoding_that_it_declares(
    encoding: str, tmp_path: Path, cache: ContentCache
) -> None:
    note = "" if encoding == "US-ASCII" else "<!-- caf\xe9 -->"
    path = tmp_path / "drawing.svg"
    before = f'<?xml version="1.0" encoding="{encoding}"?>{note}'
    path.write_bytes(document(HALVES, before=before).encode(encoding))
    still = prepare_still(path, cache=cache, max_megapixels=0.16, max_side_px=SIDE_PX)
    assert still.width_px == SIDE_PX


def test_an_unknown_encoding_is_refused(tmp_path: Path, cache: ContentCache) -> None:
    before = '<?xml version="1.0" encoding="KLINGON-8"?>'
    assert "is not a valid SVG: unknown encoding" in refusal(document(HALVES, before=before), tmp_path, cache)


def test_parts_that_repeat_each_other_end_at_the_limit(
    tmp_path: Path, cache: ContentCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(svg, "DRAW_SECONDS", 2)
    monkeypatch.setattr(svg, "DRAW_BYTES", 2**29)
    levels = "".join(f'<g id="l{n}">{f"""<use href="#l{n - 1}"/>""" * 10}</g>' for n in range(1, 12))
    inner = f'<defs><rect id="l0" width="1" height="1"/>{levels}</defs><use href="#l11"/>'
    began = time.monotonic()
    said = refusal(document(inner), tmp_path, cache)
    assert "drawn" in said
    assert time.monotonic() - began < PROMPT_SECONDS


def test_embedded_pictures_are_bounded_together(tmp_path: Path, cache: ContentCache) -> None:
    file = io.BytesIO()
    Image.new("1", (2000, 2000)).save(file, "PNG")
    image = f'<image href="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"/>'
    said = refusal(document(image * 3), tmp_path, cache, max_megapixels=10)
    assert "embedded pictures of 12 megapixels; allowed: at most 10 (images.max_megapixels)" in said


def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    path = tmp_path / "drawing.svg"
    path.write_text(document(HALVES))
    program = (
        "import sys; from pathlib import Path\n"
        "from video_pipeline.engine.assets.stills import prepare_still\n"
        "from video_pipeline.engine.common.cache import ContentCache\n"
        f"prepare_still(Path({str(path)!r}), cache=ContentCache(Path('c')), max_megapixels=9, max_side_px=99)\n"
    )
    done = run_without(("resvg",), tmp_path, "-c", program)
    assert done.returncode == 1
    assert (
        "is SVG, which needs the extra `svg` (pip install 'video-pipeline[svg]'), which is not installed"
        in done.stderr
    )
