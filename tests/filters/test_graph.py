"""The graph module with the real ffmpeg: a filter gets exactly the given values."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from tests.support.paths import ROOT
from tests.support.video import SIZE_PX, catalogue, draw_stream, flat, luma, still
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.filters.color import scale_to_bt709
from video_pipeline.filters.graph import (
    STANDARD_INPUT,
    Stream,
    argv,
    concat,
    filter_complex,
    merge,
    open_input,
)

HOSTILE = (
    r"%{localtime}",
    r"':x=0",
    r"[0:v]",
    r"\\",
    r"a\:b'c",
    r"end\',drawtext=text=x",
    r"a;[s0]b,c=d",
    " both ends ",
    "tab\tand\nnewline",
    "é 日本語 🙂 \u202e",
    "%d.png",
    '$(touch x) `x` "q"',
    "a=b:c=d",
)

names = st.text(
    st.one_of(
        st.sampled_from("'\":,;[]\\= %{}$#\t\n-"), st.characters(codec="utf-8", exclude_characters="/\0")
    ),
    min_size=1,
    max_size=24,
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


def source(folder: Path, *, frames: int = 1, level: int = 0, size_px: tuple[int, int] = SIZE_PX) -> Stream:
    """Frames of one grey, 30 a second."""
    picture = flat(folder / f"grey {level}.png", (level, level, level), size_px)
    stream = open_input(picture.path, demuxer="png_pipe", framerate=30)
    stream = scale_to_bt709(stream, width_px=size_px[0], height_px=size_px[1])
    return stream.filter("loop", loop=frames - 1, size=1) if frames > 1 else stream


def drawn(textfile: Path) -> np.ndarray:
    font = catalogue().resolve("NotoSans-Bold").faces[0].path
    options = {"fontfile": font, "fontsize": 20, "fontcolor": "white", "expansion": "none", "x": 8, "y": 140}
    return luma(
        draw_stream(source(textfile.parent).filter("drawtext", textfile=textfile, **options), SIZE_PX)
    )[0]


def hostile_names(test: object) -> object:
    for name in HOSTILE:
        test = example(name=name)(test)  # type: ignore[arg-type]
    return test


@hostile_names
@given(name=names)
@settings(deadline=None, max_examples=25)
def test_a_file_of_any_name_is_read_as_textfile_and_as_input(name: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text("Hamburg", encoding="utf-8")
        assert (drawn(path) > 128).sum() > 200
        picture = Path(folder) / (name + "p")
        still(Path(folder) / "p.png", np.full((8, 8, 3), 255, np.uint8)).path.rename(picture)
        frames = draw_stream(open_input(picture, demuxer="png_pipe").filter("format", "yuv420p"), (8, 8))
        assert frames.shape == (1, 12, 8)


@hostile_names
@given(name=names)
@settings(deadline=None, max_examples=40)
def test_a_value_reaches_its_option_unchanged(name: str) -> None:
    # metadata=print writes the value that it was given into a file that we name as well.
    with TemporaryDirectory() as folder:
        report = Path(folder) / name
        stream = source(Path(folder)).filter("metadata", mode="add", key="mark", value=name)
        stream = stream.filter("metadata", mode="print", key="mark", file=report)
        draw_stream(stream, SIZE_PX)
        printed = report.read_bytes().decode()
    assert printed.partition("mark=")[2] == name + "\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_positional_value_reaches_its_option_unchanged(tmp_path: Path, name: str) -> None:
    report = tmp_path / "report"
    stream = source(tmp_path).filter("metadata", "add", "mark", name)
    draw_stream(stream.filter("metadata", "print", file=report), SIZE_PX)
    assert report.read_bytes().decode().partition("mark=")[2] == name + "\n"


@pytest.mark.parametrize("text", ["%{localtime}", "%{pts}", "':x=0", "[0:v]", "a\\b\\\\c", "%%", "\\n"])
def test_drawtext_shows_the_characters_of_its_file_and_nothing_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.txt"
    file.write_text(text, encoding="utf-8")
    picture = drawn(file)
    # The same characters one by one take the room that the whole takes: nothing was expanded or swallowed.
    width = np.flatnonzero((picture > 100).any(axis=0))
    font = catalogue().resolve("NotoSans-Bold").faces[0].path
    singles = ImageFont.truetype(str(font), 20).getlength(text)
    assert abs((width[-1] - width[0] + 1) - singles) < 0.12 * singles + 4


def test_the_same_chain_made_twice_stays_two_streams(tmp_path: Path) -> None:
    picture = still(tmp_path / "p.png", np.full((16, 16, 3), 90, np.uint8)).path

    def chain() -> Stream:
        return open_input(picture, demuxer="png_pipe").filter("format", "yuv420p").filter("setpts", "N")

    assert len(draw_stream(concat([chain(), chain(), chain()]), (16, 16))) == 3


def test_split_shares_a_stream_and_concat_of_one_changes_nothing(tmp_path: Path) -> None:
    one, two = source(tmp_path, frames=3).split(2)
    assert len(draw_stream(concat([one, two]), SIZE_PX)) == 6
    alone = source(tmp_path)
    assert concat([alone]) is alone
    assert alone.split(1) == (alone,)


def test_merge_keeps_the_order_of_its_inputs(tmp_path: Path) -> None:
    white = source(tmp_path, level=255)
    small = source(tmp_path, size_px=(60, 60))
    frame = luma(
        draw_stream(merge("overlay", (white, small), x=0, y=0).filter("format", "yuv420p"), SIZE_PX)
    )[0]
    assert frame[30, 30] == 16
    assert frame[200, 100] == 235


def test_numbers_keep_their_precision_and_fractions_stay_fractions(tmp_path: Path) -> None:
    stream = open_input(tmp_path / "p.png", demuxer="png_pipe", framerate=Fraction(30000, 1001)).filter(
        "null"
    )
    text = filter_complex([stream.filter("fade", st=0.0333666667, d=1e-7, t="in")])
    assert "st=0.0333666667" in text
    assert "d=0.0000001:" in text
    command = argv("ffmpeg", [stream], "x.mp4", r=Fraction(30000, 1001))
    assert command[command.index("-r") + 1] == "30000/1001"
    assert command[command.index("-framerate") + 1] == "30000/1001"


def test_streams_without_filters_make_no_graph(tmp_path: Path) -> None:
    assert filter_complex([open_input(tmp_path / "a.mp4", demuxer="mov")]) == ""


def test_an_input_may_open_nothing_but_its_own_file(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    command = argv(find_ffmpeg().path, [open_input(playlist, demuxer="hls").filter("null")], "-", f="null")
    done = subprocess.run(command, capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert b"not in the allowed protocols" in done.stderr or b"not on whitelist" in done.stderr


PROTOCOLS_CLOSED = {
    "http": "http://127.0.0.1:9/a.ts",
    "tcp": "tcp://127.0.0.1:9",
    "udp": "udp://127.0.0.1:9",
    "concat": "concat:{file}|{file}",
    "subfile": "subfile,,start,0,end,100,,:{file}",
    "crypto": "crypto:{file}",
    "data": "data:text/plain,x",
    "cache": "cache:{file}",
    "async": "async:{file}",
}
"""URLs of protocols that lead out of a file, or into another one, past FFmpeg's own defaults."""


@pytest.mark.parametrize("protocol", PROTOCOLS_CLOSED)
def test_a_list_of_files_opens_no_other_protocol(tmp_path: Path, protocol: str) -> None:
    secret, listing = tmp_path / "secret.ts", tmp_path / "list"
    secret.write_bytes(b"secret" * 100)
    url = PROTOCOLS_CLOSED[protocol].format(file=secret)
    listing.write_text(f"ffconcat version 1.0\nfile '{url}'\n")
    stream = open_input(listing, demuxer="concat", safe=0).filter("null")
    command = argv(find_ffmpeg().path, [stream], "-", f="null")
    done = subprocess.run(command, capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert f"Protocol '{protocol}' not on whitelist 'file,pipe'!" in done.stderr.decode()


def test_every_input_names_its_protocols_its_demuxer_and_an_absolute_path(tmp_path: Path) -> None:
    def before_input(stream: Stream) -> dict[str, str]:
        command = argv("ffmpeg", [stream], "x.mp4")
        options = command[1 : command.index("-i")]
        return dict(zip(options[::2], options[1::2], strict=True)) | {"-i": command[command.index("-i") + 1]}

    expected = {"-f": "mov", "-protocol_whitelist": "file,pipe", "-i": str(tmp_path / "a.mp4")}
    assert before_input(open_input(tmp_path / "a.mp4", demuxer="mov")) == expected
    assert before_input(open_input(tmp_path / "a.mp4", demuxer="mov", media="a", ss=1.5)) == {
        **expected,
        "-ss": "1.5",
    }
    colon = before_input(open_input(Path("cache:x/1.png"), demuxer="png_pipe"))
    assert colon["-i"] == str(Path.cwd() / "cache:x" / "1.png")


def test_an_option_without_a_value_is_a_flag(tmp_path: Path) -> None:
    stream = open_input(tmp_path / "a.mp4", demuxer="mov", noaccurate_seek=None)
    command = argv("ffmpeg", [stream], "x.mp4")
    at = command.index("-noaccurate_seek")
    assert command[at + 1].startswith("-")
    assert at < command.index("-i")


def test_sound_and_picture_of_a_file_are_distinguished(tmp_path: Path) -> None:
    def mapped(stream: Stream) -> str:
        return filter_complex([stream.filter("null")])

    path = tmp_path / "a.mp4"
    assert mapped(open_input(path, demuxer="mov")) == "[0:v]null[s0]"
    assert mapped(open_input(path, demuxer="mov", media="v")) == "[0:v]null[s0]"
    assert mapped(open_input(path, demuxer="mov", media="a")) == "[0:a]null[s0]"
    assert mapped(open_input(path, demuxer="mov", stream_index=2)) == "[0:2]null[s0]"


def test_a_command_is_the_program_global_options_inputs_and_the_target(tmp_path: Path) -> None:
    stream = open_input(tmp_path / "a.png", demuxer="png_pipe").filter("scale", 10, Fraction(1, 2), flags="a")
    command = argv(
        Path("/bin/ffmpeg"), [stream], "out.mp4", global_options=("-y", "-nostdin"), crf=20, ss=0.25
    )
    assert command == [
        "/bin/ffmpeg", "-y", "-nostdin", "-f", "png_pipe", "-protocol_whitelist", "file,pipe",
        "-i", str(tmp_path / "a.png"),
        "-filter_complex", "[0:v]scale=10:1/2:flags=a[s0]", "-map", "[s0]",
        "-crf", "20", "-ss", "0.25", "out.mp4",
    ]  # fmt: skip


def test_concat_names_the_number_and_kind_of_its_streams(tmp_path: Path) -> None:
    streams = [open_input(tmp_path / f"{name}.png", demuxer="png_pipe") for name in "abc"]
    assert filter_complex([concat(streams)]) == "[0:v][1:v][2:v]concat=a=0:n=3:v=1[s0]"


def test_names_that_python_keeps_end_in_an_underscore(tmp_path: Path) -> None:
    one, two = (open_input(tmp_path / f"{name}.png", demuxer="png_pipe") for name in "ab")
    assert "alphamerge=in=1" in filter_complex([merge("alphamerge", [one, two], in_=1)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (1e12, "1000000000000"),
        (1 / 3, "0.3333333333"),
        (2.0, "2"),
        (-0.5, "-0.5"),
    ],
)
def test_floats_have_ten_digits_and_no_exponent(tmp_path: Path, value: float, text: str) -> None:
    stream = open_input(tmp_path / "a.png", demuxer="png_pipe").filter("gain", value)
    assert filter_complex([stream]) == f"[0:v]gain={text}[s0]"


def test_the_copies_of_a_stream_are_as_many_as_were_asked_for(tmp_path: Path) -> None:
    copies = open_input(tmp_path / "a.png", demuxer="png_pipe").filter("null").split(3)
    assert len(copies) == 3
    text = filter_complex([merge("mix", [copy.filter("null") for copy in reversed(copies)])])
    assert "split=3[" in text
    assert len(set(re.findall(r"\[s\d+\]", text))) == 8


def test_filter_strings_are_made_in_one_module() -> None:
    marks = re.compile(r"""filter_complex["']|["']-(vf|af|lavfi|filter:[va])["']|["']lavfi["']""")
    # A complete filter with an option in a text of its own: "scale=…", "fade=t=…".
    chains = re.compile(rf"""["'](?:{"|".join(sorted(find_ffmpeg().filters))})=[\w{{]""")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for folder in ("engine", "filters")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != ROOT / "filters" / "graph.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if marks.search(line) or chains.search(line)
    ]
    assert found == []


def test_standard_input_is_ffmpeg_s_pipe_and_a_file_of_that_name_is_not() -> None:
    def name_of(path: Path) -> str:
        command = argv("ffmpeg", [open_input(path, demuxer="wav", media="a")], "/o.wav")
        return command[command.index("-i") + 1]

    assert name_of(STANDARD_INPUT) == "pipe:0"
    assert name_of(Path("pipe:0")) == str(Path("pipe:0").absolute())
