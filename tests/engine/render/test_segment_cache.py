"""Segments out of the cache: whole and the right ones, or made again; the render never fails for its cache."""

from __future__ import annotations

import hashlib
import logging
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.engine.render.test_renderer import settings_of, timeline, writer_for
from tests.support.at_once import run_at_once
from tests.support.disks import small_disk
from tests.support.durability import disk_calls
from tests.support.video import compositor_of, draw
from video_pipeline.engine.common.cache import ContentCache, DamagedError, file_sha256
from video_pipeline.engine.common.cache_room import COUNT
from video_pipeline.engine.errors import FileChangedError
from video_pipeline.engine.outputs.frame_choice import FrameWatch
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.render.renderer import RenderReport, render_segments
from video_pipeline.engine.render.segment_cache import CachedSegment, SegmentCache, pack, unpack
from video_pipeline.engine.timeline import Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange

SETTINGS = settings_of(crf=22)


def cache_of(folder: Path, compositor: FfmpegCompositor) -> SegmentCache:
    return SegmentCache(
        ContentCache(folder),
        timeline=compositor.timeline,
        captions=compositor.captions,
        settings=SETTINGS,
        compositor=compositor.identity(),
    )


def render(
    target: Path, compositor: FfmpegCompositor, cache: SegmentCache | None, **options: Any
) -> RenderReport:
    with writer_for(target) as writer:
        return render_segments(compositor, SETTINGS, writer, cache=cache, **options)


def entries(folder: Path) -> list[Path]:
    """Return the files of a cache, without the count of their bytes."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != COUNT)


@pytest.fixture
def compositor(tmp_path: Path) -> FfmpegCompositor:
    return compositor_of(timeline(tmp_path, scenes=3, length=20))


KEY = "ab" * 32


@given(data=st.binary(max_size=200), notes=st.dictionaries(st.integers(0, 99), st.floats(0, 2), max_size=3))
def test_a_packed_segment_comes_out_as_it_went_in(data: bytes, notes: dict[int, float]) -> None:
    assert unpack(KEY, pack(KEY, CachedSegment(data, notes))) == CachedSegment(data, notes)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_wrong_bit_anywhere_is_found(at: int, bit: int) -> None:
    packed = bytearray(pack(KEY, CachedSegment(b"segment" * 20, {3: 0.5})))
    packed[at % len(packed)] ^= 1 << bit
    with pytest.raises(DamagedError):
        unpack(KEY, bytes(packed))


def test_a_segment_of_another_key_or_length_is_refused() -> None:
    packed = pack(KEY, CachedSegment(b"segment", {}))
    with pytest.raises(DamagedError, match="has another key, abab"):
        unpack("cd" * 32, packed)
    for wrong in (b"", packed[:50], packed[:-1], packed + b"x"):
        with pytest.raises(DamagedError):
            unpack(KEY, wrong)


def test_a_file_is_header_notes_and_segment() -> None:
    notes = b'{"3": 0.5, "12": 1.0}'
    packed = pack(KEY, CachedSegment(b"segment", {12: 1.0, 3: 0.5}))
    assert packed[:8] == b"VPSEG\0\0\1"
    assert packed[8:40] == bytes.fromhex(KEY)
    assert packed[40:72] == hashlib.sha256(notes + b"segment").digest()
    assert packed[72:88] == bytes([0] * 7 + [len(notes)] + [0] * 7 + [7])
    assert packed[88:] == notes + b"segment"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda packed: packed[:87], "87 bytes, less than the header of 88"),
        (lambda packed: b"VPSEG\0\0\2" + packed[8:], "not a segment file of this version"),
        (lambda packed: packed[:-1], "8 bytes after the header, not 9"),
        (lambda packed: packed + b"x", "10 bytes after the header, not 9"),
        (lambda packed: packed[:-1] + b"x", "the SHA-256 in the header does not match the data"),
        (lambda packed: packed[:88], "0 bytes after the header, not 9"),
    ],
)
def test_a_corrupt_entry_is_reported(damage: Callable[[bytes], bytes], words: str) -> None:
    with pytest.raises(DamagedError) as caught:
        unpack(KEY, damage(pack(KEY, CachedSegment(b"segment", {}))))
    assert str(caught.value) == words


class TestWithoutRendering:
    """The cache alone: a timeline of two pictures, and segments of any bytes."""

    FIRST, SECOND = FrameRange(0, 10), FrameRange(10, 20)

    def timeline(self, folder: Path, **source: Any) -> Timeline:
        clips = []
        for index, frames in enumerate((self.FIRST, self.SECOND)):
            path = folder / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"picture %d" % index)
            still = Still(path, 90, 160, file_sha256(path))
            clips.append(Clip(f"s{index}", frames, replace(still, **source)))
        return Timeline(90, 160, Fraction(30), "t", tuple(clips))

    def cache(self, folder: Path, line: Timeline, **options: Any) -> SegmentCache:
        return SegmentCache(
            ContentCache(folder),
            timeline=line,
            captions=(),
            settings=SETTINGS,
            compositor={"name": "x"},
            **options,
        )

    def kept(self, cache: SegmentCache, frames: FrameRange, data: bytes = b"data") -> CachedSegment | None:
        """Ask for a segment, put one there, and ask again."""
        assert cache.get(frames) is None
        cache.put(frames, CachedSegment(data, {1: 0.5}))
        return cache.get(frames)

    def test_a_cached_segment_is_found_by_its_range(self, tmp_path: Path) -> None:
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path))
        assert not cache.has(self.FIRST)
        assert self.kept(cache, self.FIRST) == CachedSegment(b"data", {1: 0.5})
        assert cache.has(self.FIRST)
        assert not cache.has(self.SECOND)
        assert cache.get(self.SECOND) is None
        (path,) = entries(tmp_path / "cache")
        folder, prefix, name = path.relative_to(tmp_path / "cache").parts
        assert (folder, name[:2], path.suffix) == ("segments", prefix, ".segment")
        assert len(path.stem) == 64

    def test_each_kind_of_cached_segment_has_its_own_folder(self, tmp_path: Path) -> None:
        line = self.timeline(tmp_path)
        thumbnails = self.cache(tmp_path / "cache", line, kind="thumbnails")
        assert self.kept(thumbnails, self.FIRST) is not None
        assert self.cache(tmp_path / "cache", line).get(self.FIRST) is None
        assert [path.relative_to(tmp_path / "cache").parts[0] for path in entries(tmp_path / "cache")] == [
            "thumbnails"
        ]

    def test_a_segment_is_on_the_disk_before_it_has_its_name(self, tmp_path: Path) -> None:
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path))
        cache.get(self.FIRST)
        with disk_calls(tmp_path / "cache") as calls:
            cache.put(self.FIRST, CachedSegment(b"data"))
        assert [call.split()[0] for call in calls] == ["sync", "rename", "sync"]
        assert calls[0].endswith(f".partial-*.segment {88 + len('{}') + 4}")

    def test_an_unrequested_entry_is_not_kept(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path))
        cache.put(self.FIRST, CachedSegment(b"data"))
        assert entries(tmp_path / "cache") == []
        assert caplog.records == []

    def test_an_error_that_has_no_words_of_the_system_has_its_own(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path) -> bytes:
            raise OSError("an odd disk")

        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path))
        assert not cache.has(self.FIRST)  # which reads the picture, and keeps its hash
        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert cache.get(self.FIRST) is None
        assert "an odd disk; the render goes on" in caplog.text

    def test_a_segment_that_is_used_is_the_last_to_be_pruned(self, tmp_path: Path) -> None:
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path))
        for frames in (self.FIRST, self.SECOND):
            self.kept(cache, frames)
        # In the future, so that reading the file does not change it (relatime).
        made, used_at = time.time() - 7200, time.time() + 3600
        for path in entries(tmp_path / "cache"):
            os.utime(path, (used_at, made))
        cache.get(self.FIRST)
        used = [path for path in entries(tmp_path / "cache") if path.stat().st_atime < used_at - 1800]
        assert len(used) == 1
        assert used[0].stat().st_mtime == pytest.approx(made)

    def test_a_file_that_is_known_by_its_bytes_alone_and_changes_is_not_kept_and_its_neighbours_are(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path, sha256=""))
        for frames in (self.FIRST, self.SECOND):
            assert cache.get(frames) is None
        (tmp_path / "1.png").write_bytes(b"another picture")
        for frames in (self.FIRST, self.SECOND):
            cache.put(frames, CachedSegment(b"data"))
        assert cache.has(self.FIRST)
        assert not cache.has(self.SECOND)
        assert [record.message for record in caplog.records] == [
            "frames [10, 20): a source file changed while they were drawn; they are not cached"
        ]

    def test_a_segment_of_a_deleted_picture_is_not_cached(self, tmp_path: Path) -> None:
        gone = self.cache(tmp_path / "cache", self.timeline(tmp_path, sha256=""))
        assert gone.get(self.FIRST) is None
        (tmp_path / "0.png").unlink()
        gone.put(self.FIRST, CachedSegment(b"data"))
        assert entries(tmp_path / "cache") == []

    def test_a_segment_of_an_unchanged_file_without_a_hash_is_cached(self, tmp_path: Path) -> None:
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path, sha256=""))
        assert self.kept(cache, self.FIRST) is not None

    def test_files_in_the_cache_itself_are_not_looked_at_again(self, tmp_path: Path) -> None:
        folder = tmp_path / "cache"
        cache = self.cache(folder, self.timeline(folder / "backgrounds"))
        assert cache.get(self.FIRST) is None
        (folder / "backgrounds" / "0.png").write_bytes(b"touched")
        cache.put(self.FIRST, CachedSegment(b"data"))
        assert cache.has(self.FIRST)

    def test_a_file_that_cannot_be_read_has_no_segment_and_no_error(self, tmp_path: Path) -> None:
        line = self.timeline(tmp_path, sha256="")
        cache = self.cache(tmp_path / "cache", line)
        (tmp_path / "0.png").unlink()
        assert cache.get(self.FIRST) is None
        assert not cache.has(self.FIRST)
        cache.put(self.FIRST, CachedSegment(b"data"))
        assert entries(tmp_path / "cache") == []
        assert self.kept(cache, self.SECOND) is not None

    def test_a_cache_that_cannot_be_read_is_one_warning_and_is_no_longer_written(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "cache").write_text("in the way")
        cache = self.cache(tmp_path / "cache", self.timeline(tmp_path))
        for frames in (self.FIRST, self.SECOND):
            assert cache.get(frames) is None
        (tmp_path / "cache").unlink()
        cache.put(self.FIRST, CachedSegment(b"data"))
        assert not (tmp_path / "cache").exists()
        (record,) = caplog.records
        assert record.message.endswith(": Not a directory; the render goes on without caching its segments")


def test_the_bytes_are_the_same_with_and_without_a_cache_cold_and_warm(
    tmp_path: Path, compositor: FfmpegCompositor
) -> None:
    folder = tmp_path / "cache"
    paths = [tmp_path / f"{number}.mp4" for number in range(5)]
    count = len(compositor.segments())
    hits = [
        render(paths[0], compositor, None, workers=1).segments_from_cache,
        render(paths[1], compositor, cache_of(folder, compositor), workers=2).segments_from_cache,
        render(paths[2], compositor, cache_of(folder, compositor), workers=1).segments_from_cache,
        render(paths[3], compositor, cache_of(folder, compositor), workers=2).segments_from_cache,
    ]
    entries(folder)[1].unlink()
    hits.append(render(paths[4], compositor, cache_of(folder, compositor), workers=2).segments_from_cache)
    assert hits == [0, 0, count, count, count - 1]
    assert len({path.read_bytes() for path in paths}) == 1
    assert len(entries(folder)) == count


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "of another", "a header alone"])
def test_a_corrupt_entry_is_made_again_and_replaced(
    tmp_path: Path, compositor: FfmpegCompositor, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    render(tmp_path / "0.mp4", compositor, cache_of(folder, compositor))
    first, second = entries(folder)[:2]
    whole = first.read_bytes()
    first.write_bytes(
        {
            "flipped": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
            "truncated": whole[: len(whole) // 2],
            "empty": b"",
            "of another": second.read_bytes(),
            "a header alone": whole[:88],
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        report = render(tmp_path / "1.mp4", compositor, cache_of(folder, compositor))
    assert report.segments_from_cache == len(report.segments) - 1
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "0.mp4").read_bytes()
    assert first.read_bytes() == whole
    assert [record.message for record in caplog.records if str(first) in record.message]


def test_a_cache_that_cannot_be_written_is_one_warning_and_the_render_continues(
    tmp_path: Path, compositor: FfmpegCompositor, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "segments").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        report = render(tmp_path / "1.mp4", compositor, cache_of(folder, compositor))
    render(tmp_path / "0.mp4", compositor, None)
    assert report.segments_from_cache == 0
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "0.mp4").read_bytes()
    assert len([record for record in caplog.records if "without caching" in record.message]) == 1


def test_a_disk_that_is_full_is_warned_of_once_and_leaves_nothing(
    tmp_path: Path, compositor: FfmpegCompositor, caplog: pytest.LogCaptureFixture
) -> None:
    folder, limit = tmp_path / "cache", resource.getrlimit(resource.RLIMIT_FSIZE)
    cache = cache_of(folder, compositor)
    ranges = compositor.segments()
    assert [cache.get(frames) for frames in ranges] == [None] * len(ranges)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with caplog.at_level(logging.WARNING):
            for frames in ranges:
                cache.put(frames, CachedSegment(bytes(5000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert entries(folder) == []
    assert len([record for record in caplog.records if "without caching" in record.message]) == 1


def test_a_render_completes_if_the_disk_of_its_cache_fills_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=8, length=30))
    with small_disk(tmp_path / "disk", megabytes=20 / 1024) as disk:
        with caplog.at_level(logging.WARNING):
            render(tmp_path / "1.mp4", compositor, cache_of(disk, compositor))
        kept = len(entries(disk))
        assert 0 < kept < len(compositor.segments())
        assert len([record for record in caplog.records if "No space left" in record.message]) == 1
        again = render(tmp_path / "2.mp4", compositor, cache_of(disk, compositor))
    assert again.segments_from_cache == kept
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()


def test_a_picture_that_changes_during_the_render_ends_it_and_caches_nothing_wrong(tmp_path: Path) -> None:
    folder, plain = tmp_path / "cache", compositor_of(timeline(tmp_path, scenes=3, length=20))
    clips = tuple(
        replace(clip, source=replace(clip.source, sha256=file_sha256(clip.source.path)))
        for clip in plain.timeline.clips
    )
    compositor = replace(plain, timeline=replace(plain.timeline, clips=clips))
    picture = tmp_path / "2.png"
    before = picture.read_bytes()

    def progress(done: int, total: int, cached: int) -> None:
        if done == 1:
            Image.fromarray(np.zeros((427, 240, 3), np.uint8)).save(picture)

    with pytest.raises(FileChangedError) as caught:
        render(tmp_path / "0.mp4", compositor, cache_of(folder, compositor), progress=progress, workers=1)
    assert str(caught.value) == f"scene 's30': {picture}: the file changed during the render; render again"
    picture.write_bytes(before)
    report = render(tmp_path / "1.mp4", compositor, cache_of(folder, compositor))
    render(tmp_path / "2.mp4", compositor, None)
    # It is seen in the transition that ends the second segment, and in the third.
    assert report.segments_from_cache == 1
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()
    assert (tmp_path / "0.mp4").read_bytes() != (tmp_path / "2.mp4").read_bytes()


def test_cached_frames_count_as_progress(tmp_path: Path, compositor: FfmpegCompositor) -> None:
    folder, seen = tmp_path / "cache", list[tuple[int, int]]()
    render(tmp_path / "0.mp4", compositor, cache_of(folder, compositor))
    entries(folder)[0].unlink()
    report = render(
        tmp_path / "1.mp4",
        compositor,
        cache_of(folder, compositor),
        progress=lambda done, total, cached: seen.append((done, cached)),
    )
    done, cached = max(seen)
    assert done == compositor.timeline.frame_count
    assert 0 < cached < done
    assert report.segments_from_cache == len(report.segments) - 1
    assert len({done for done, _ in seen}) == len(seen)


def judged(compositor: FfmpegCompositor, numbers: list[int]) -> dict[int, float]:
    watch, frames = FrameWatch(numbers), draw(compositor)
    for number in numbers:
        watch(number, frames[number])
    return watch.notes(FrameRange(0, compositor.timeline.frame_count))


def test_watched_frames_are_judged_the_same_whether_drawn_or_cached(
    tmp_path: Path, compositor: FfmpegCompositor
) -> None:
    folder, everything = tmp_path / "cache", FrameRange(0, compositor.timeline.frame_count)
    for numbers in ([7, 25], [7, 25], [9, 25, 40]):  # drawn; noted; two without a note
        watch, again = FrameWatch(numbers), FrameWatch(numbers)
        render(tmp_path / "0.mp4", compositor, cache_of(folder, compositor), on_frame=watch)
        report = render(tmp_path / "1.mp4", compositor, cache_of(folder, compositor), on_frame=again)
        assert watch.notes(everything) == again.notes(everything) == judged(compositor, numbers)
        assert watch.best == again.best
        assert report.segments_from_cache == len(report.segments)
        assert report.frame_wait_seconds == 0  # nothing was drawn


FILLER = """
import sys
from pathlib import Path
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from tests.engine.render.test_segment_cache import cache_of, compositor_of, render, timeline
base, name = Path(sys.argv[1]), sys.argv[2]
(base / name).mkdir()
compositor = compositor_of(timeline(base / name, scenes=4, length=20))
print("ready", flush=True)
sys.stdin.readline()
report = render(base / f"{name}.mp4", compositor, cache_of(base / "cache", compositor))
print(report.segments_from_cache, flush=True)
"""


def test_two_processes_fill_one_cache_at_once(tmp_path: Path) -> None:
    run_at_once(FILLER, [(str(tmp_path), name) for name in "ab"])
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    compositor = compositor_of(timeline(tmp_path, scenes=4, length=20))
    report = render(tmp_path / "c.mp4", compositor, cache_of(tmp_path / "cache", compositor))
    assert report.segments_from_cache == len(report.segments) == len(entries(tmp_path / "cache"))
    assert (tmp_path / "c.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def test_a_scene_that_grew_changes_its_own_segment_and_no_other(tmp_path: Path) -> None:
    def of(length: int) -> Timeline:
        whole = timeline(tmp_path, scenes=3, length=20)
        first = replace(whole.clips[0], frames=FrameRange(0, length))
        by = length - 20
        moved = [
            replace(clip, frames=FrameRange(clip.frames.start + by, clip.frames.stop + by))
            for clip in whole.clips[1:]
        ]
        joins = tuple(
            replace(join, frames=FrameRange(join.frames.start + by, join.frames.stop + by))
            for join in whole.transitions
        )
        return replace(whole, clips=(first, *moved), transitions=joins)

    folder = tmp_path / "cache"
    for length, hits in ((20, 0), (33, 2), (20, 3)):
        compositor = compositor_of(of(length))
        report = render(tmp_path / "v.mp4", compositor, cache_of(folder, compositor))
        # The first segment ends with the transition out of the scene that grew.
        assert (report.segments_from_cache, len(report.segments)) == (hits, 3)
