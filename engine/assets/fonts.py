"""Find fonts by name: the packaged Noto faces, the user's files and the system's fonts."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import sys
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import uharfbuzz as hb

from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles, why_not_opened
from video_pipeline.engine.common.similar import similar
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.story.asset_fields import FONT_SUFFIXES, is_font_file
from video_pipeline.engine.story.fields import expand_user
from video_pipeline.filters.typeset import FontFace, FontStack
from video_pipeline.filters.typeset.face import FontError, Loaded, load

WEIGHTS: Final[dict[str, int]] = {
    "thin": 100,
    "hairline": 100,
    "extralight": 200,
    "ultralight": 200,
    "light": 300,
    "regular": 400,
    "normal": 400,
    "book": 400,
    "roman": 400,
    "medium": 500,
    "semibold": 600,
    "demibold": 600,
    "bold": 700,
    "extrabold": 800,
    "ultrabold": 800,
    "black": 900,
    "heavy": 900,
}
_SLANTS: Final = ("italic", "oblique")
_REGULAR: Final = 400

# Common family names. They are drawn in Noto Sans on every machine, even if the real font is installed, so that
# a story looks the same on all machines. Folders in `extra_dirs` take precedence.
_ALIASES: Final = (
    "Arial",
    "Calibri",
    "DejaVu Sans",
    "FreeSans",
    "Helvetica",
    "Helvetica Neue",
    "Inter",
    "Liberation Sans",
    "Open Sans",
    "Roboto",
    "sans",
    "sans-serif",
    "Segoe UI",
    "system-ui",
    "Tahoma",
    "Verdana",
)
_DEFAULT_FAMILY: Final = "Noto Sans"
TITLE_FONT: Final = "NotoSans-Bold"
"""The font of the title on the thumbnail."""
# These come after all other packaged faces. Emoji come before symbols, whose own emoji are plainer; the colour face
# is last, because only emoji are looked for there.
_LAST_FALLBACKS: Final = ("Noto Emoji", "Noto Sans Symbols", "Noto Color Emoji")
_PLAIN_EMOJI: Final = "Noto Emoji"
_EMOJI_FOLDER: Final = Path(__file__).parent / "emoji_font"
CJK_EXTRA: Final = "cjk"
CJK_DISTRIBUTION: Final = "manimgx-fonts-cjk"
_CJK_PACKAGE: Final = "manimgx_fonts_cjk"
_CJK_FAMILY: Final = "Noto Sans CJK"
# All of these faces have all letters of Chinese, Japanese and Korean; they differ in how Han letters are written.
_CJK_FACES: Final = {"ja": "JP", "ko": "KR", "zh-hans": "SC", "zh-hant": "TC", "zh-hk": "HK"}
_CJK_DEFAULT: Final = "JP"


class UnknownFontError(ValueError):
    """A font name that matches no usable font."""

    def __init__(self, name: str, *, close: list[str], reason: str = "") -> None:
        self.name = name
        self.close = close
        because = f" ({reason})" if reason else ""
        hint = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
        super().__init__(
            f"font {name!r} is not known{because}{hint}; allowed: a family, optionally with a weight "
            "(Noto Sans, Arial-Bold, sans SemiBold Italic), "
            f"or the path of a file ending in {', '.join(FONT_SUFFIXES)}"
        )


class _Entry(NamedTuple):
    """A face of a family; `weights` is the range of its wght axis, or a single weight twice."""

    family: str
    path: Path
    face_index: int
    italic: bool
    weights: tuple[int, int]

    def distance(self, weight: int, *, italic: bool) -> tuple[bool, int]:
        low, high = self.weights
        return self.italic != italic, max(low - weight, weight - high, 0)

    def face(self, weight: int) -> FontFace:
        low, high = self.weights
        return FontFace(self.path, min(max(weight, low), high) if low < high else None, self.face_index)


@dataclass(frozen=True)
class FontCatalogue:
    """A catalogue that resolves font names to stacks of faces; it reads folders when they are first needed.

    `extra_dirs` are searched first, then the packaged fonts, then the system's font folders. `files` opens the files
    that are named. A file is read once, when its name is first resolved, and is kept open as long as the catalogue: a
    render has one catalogue, so it never draws two versions of a font. `language` (BCP 47) decides how Han letters are
    written if the named face lacks them: as in Japan, Korea, China, Taiwan or Hong Kong.
    """

    extra_dirs: tuple[Path, ...] = ()
    files: InputFiles = ANY_FILES
    language: str = ""
    _resolved: dict[str, tuple[FontStack, Loaded | None]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def resolve(self, name: str) -> FontStack:
        """Return the stack of faces for a family name or the path of a font file.

        After the named face come Noto Sans, faces of other scripts at the same weight, emoji and symbols. Raises
        UnknownFontError, FontError.
        """
        if name not in self._resolved:
            self._resolved[name] = self._find(name)
        return self._resolved[name][0]

    def _find(self, name: str) -> tuple[FontStack, Loaded | None]:
        if is_font_file(name):
            data = _read_font(name, self.files)
            return self._opened(FontFace(expand_user(name)), _REGULAR, data, name)
        query = _key(name)
        found = _match(query, self._extra)
        if not found and query and (packaged := _match_packaged(query)):
            return _with_fallbacks(*packaged, cjk=cjk_face(self.language)), None
        if not found and query:
            found = _match(query, self._system)
        if not found or not query:
            raise UnknownFontError(name, close=self._close_names(query))
        face, weight = found
        return self._opened(face, weight, _read_font(str(face.path), ANY_FILES), name)

    def _opened(self, face: FontFace, weight: int, data: bytes, name: str) -> tuple[FontStack, Loaded]:
        """Return the stack of a face from the bytes of its file, and the open face."""
        face = replace(face, sha256=hashlib.sha256(data).hexdigest())
        try:
            return _with_fallbacks(face, weight, cjk=cjk_face(self.language)), load(face, data)
        except FontError as error:
            raise UnknownFontError(name, close=[], reason=f"the file cannot be used: {error}") from error

    def names(self) -> tuple[str, ...]:
        """Return the packaged families and those of `extra_dirs`, sorted."""
        families = {entries[0].family for known in (_packaged(), self._extra) for entries in known.values()}
        return tuple(sorted({*families, *_ALIASES}, key=str.lower))

    def _close_names(self, query: str) -> list[str]:
        names = self.names()
        family = max((name for name in names if query.startswith(_key(name))), key=len, default="")
        if family and (near := similar(query.removeprefix(_key(family)), WEIGHTS, most=1)):
            return [f"{family} {near[0].title()}"]  # the family is known, so its weight is misspelled
        by_key = {_key(name): name for name in names}
        return [by_key[key] for key in similar(_without_style(query), by_key)]

    @cached_property
    def _extra(self) -> dict[str, list[_Entry]]:
        return _scan(self.extra_dirs)

    @cached_property
    def _system(self) -> dict[str, list[_Entry]]:
        return _scan(_system_dirs())


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _without_style(query: str) -> str:
    """Remove weights and slants from the end of a key."""
    words = sorted([*WEIGHTS, *_SLANTS], key=len, reverse=True)
    while True:
        word = next((w for w in words if query.endswith(w) and query != w), None)
        if word is None:
            return query
        query = query.removesuffix(word)


def _match(query: str, known: dict[str, list[_Entry]]) -> tuple[FontFace, int] | None:
    """Return the face and weight that a key names; remove weights and slants from its end until a family is left."""
    weight, italic = _REGULAR, False
    words = sorted([*WEIGHTS, *_SLANTS], key=len, reverse=True)
    while query not in known:
        word = next((w for w in words if query.endswith(w)), None)
        number = re.search(r"[1-9]00$", query)
        if word is not None:
            weight, italic = WEIGHTS.get(word, weight), italic or word in _SLANTS
        elif number is not None:
            word, weight = number.group(), int(number.group())
        else:
            return None
        query = query.removesuffix(word)
    best = min(known[query], key=lambda entry: entry.distance(weight, italic=italic))
    return best.face(weight), weight


def _read_font(name: str, files: InputFiles) -> bytes:
    """Return the bytes of a font file; raise UnknownFontError."""
    path = expand_user(name)
    try:
        with files.open(path) as file:
            data = file.read()
    except OSError as error:
        raise UnknownFontError(name, close=[], reason=f"the file {why_not_opened(error)}") from error
    if not _entries_of(path, hb.Blob(data)):
        raise UnknownFontError(name, close=[], reason="the file is not a font with outlines")
    if _is_cut_short(data):
        raise UnknownFontError(name, close=[], reason="the file is cut short: it ends before its tables do")
    return data


def _is_cut_short(data: bytes) -> bool:
    """Return whether a font file ends before its tables do (OpenType, "Organization of an OpenType font")."""
    starts = [0]
    try:
        if data.startswith(b"ttcf"):
            (count,) = struct.unpack_from(">I", data, 8)
            starts = list(struct.unpack_from(f">{min(count, 1000)}I", data, 12))
        for start in starts:
            (tables,) = struct.unpack_from(">H", data, start + 4)
            for number in range(tables):
                offset, length = struct.unpack_from(">II", data, start + 12 + 16 * number + 8)
                if offset + length > len(data):
                    return True
    except struct.error:
        return True
    return False


@cache
def _packaged() -> dict[str, list[_Entry]]:
    """Return the packaged fonts by family key, read once per process."""
    spec = find_spec("manimgx_fonts")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package manimgx-fonts, which contains the fonts, is not installed")
    found = _scan((Path(spec.origin).parent, _EMOJI_FOLDER, *_cjk_folders()))
    for code in _CJK_FACES.values():
        if entries := found.get(_key(f"{_CJK_FAMILY} {code}")):
            found[_key(f"Noto Sans {code}")] = entries
    return found


def _cjk_folders() -> tuple[Path, ...]:
    """Return the folder of the fonts that the extra `cjk` installs, if it is installed."""
    spec = find_spec(_CJK_PACKAGE)
    return (Path(spec.origin).parent,) if spec and spec.origin else ()


def packaged_files() -> list[str]:
    """Return the paths of all packaged font files, sorted."""
    return sorted({str(entry.path) for entries in _packaged().values() for entry in entries})


def font_versions() -> list[str]:
    """Return the versions of everything that decides how the letters of packaged fonts look, for cache keys."""
    names = ["uharfbuzz", "freetype-py", "icu4py", "python-bidi", "manimgx-fonts"]
    return [version(name) for name in (*names, *([CJK_DISTRIBUTION] if has_cjk_fonts() else []))]


def has_cjk_fonts() -> bool:
    """Return whether the fonts of the extra `cjk` are installed."""
    return bool(_cjk_folders())


def cjk_face(language: str) -> str:
    """Return which face draws Han letters in a language (BCP 47): JP, KR, SC, TC or HK.

    Chinese without a script is that of its region: TC in Taiwan and Macau, HK in Hong Kong, else SC.
    """
    base, *subtags = language.lower().split("-")
    if base in ("yue", "zh"):
        if "hk" in subtags or (base == "yue" and "hans" not in subtags):
            return _CJK_FACES["zh-hk"]
        traditional = {"hant", "tw", "mo"} & {*subtags}
        return _CJK_FACES["zh-hant" if traditional and "hans" not in subtags else "zh-hans"]
    return _CJK_FACES.get(base, _CJK_DEFAULT)


@lru_cache(maxsize=256)
def _match_packaged(query: str) -> tuple[FontFace, int] | None:
    """Return the packaged face and weight that a key names, by family, by alias or by style alone."""
    default = _key(_DEFAULT_FAMILY)
    aliases = {_key(alias): _packaged()[default] for alias in _ALIASES}
    # A weight or slant alone, such as "bold", means the default family.
    return _match(query, _packaged()) or _match(query, aliases) or _match(default + query, _packaged())


@lru_cache(maxsize=64)
def _with_fallbacks(first: FontFace, weight: int, *, cjk: str) -> FontStack:
    """Return the stack of a face, followed by every packaged family, upright and at the same weight.

    Of the CJK families only `cjk` is among them. Who names the plain emoji gets no coloured ones.
    """
    main, last = _key(_DEFAULT_FAMILY), [_key(name) for name in _LAST_FALLBACKS]
    cjk_keys = {
        _key(f"{family} {code}") for family in (_CJK_FAMILY, "Noto Sans") for code in _CJK_FACES.values()
    }
    middle = [key for key in _packaged() if key not in {main, *last, *cjk_keys}]
    if (key := _key(f"{_CJK_FAMILY} {cjk}")) in _packaged():
        middle.append(key)
    if first.path == _packaged()[_key(_PLAIN_EMOJI)][0].path:
        last.pop()
    faces = [first]
    for key in (main, *middle, *last):
        upright = min(_packaged()[key], key=lambda entry: entry.distance(weight, italic=False))
        faces.append(upright.face(weight))
    return FontStack(tuple(dict.fromkeys(faces)))


def _scan(directories: tuple[Path, ...]) -> dict[str, list[_Entry]]:
    """Return all fonts below some folders by family key; skip files that are not fonts."""
    families: dict[str, list[_Entry]] = {}
    for directory in filter(Path.is_dir, directories):
        for path in sorted(p for p in directory.rglob("*") if p.suffix.lower() in FONT_SUFFIXES):
            for entry in _entries_of(path):
                families.setdefault(_key(entry.family), []).append(entry)
    return dict(sorted(families.items()))


def _entries_of(path: Path, blob: hb.Blob | None = None) -> list[_Entry]:
    try:
        blob = blob or hb.Blob.from_file_path(str(path))
        faces = [hb.Face(blob, index) for index in range(hb.Face(blob, 0).count)]
    except (OSError, ValueError, hb.HarfBuzzError):
        return []
    entries = []
    for index, face in enumerate(faces):
        if not {"glyf", "CFF ", "CFF2"} & set(face.table_tags):
            continue
        font = hb.Font(face)
        axis = next((axis for axis in face.axis_infos if axis.tag == "wght"), None)
        weight = round(font.get_style_value(hb.StyleTag.WEIGHT))
        weights = (round(axis.min_value), round(axis.max_value)) if axis else (weight, weight)
        family = _without_style_words(face.get_name(16) or face.get_name(1) or path.stem)
        entries.append(_Entry(family, path, index, font.get_style_value(hb.StyleTag.ITALIC) > 0, weights))
    return entries


def _without_style_words(family: str) -> str:
    """Remove weights and slants from a family's own name, as in "Noto Sans Hebrew Light"."""
    words = family.split()
    while len(words) > 1 and words[-1].lower() in (*WEIGHTS, *_SLANTS):
        words.pop()
    return " ".join(words)


def _system_dirs() -> tuple[Path, ...]:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises for a user without one
    if sys.platform == "win32":
        return (Path("C:/Windows/Fonts"), home / "AppData/Local/Microsoft/Windows/Fonts")
    if sys.platform == "darwin":
        return (home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts"))
    return (
        home / ".local/share/fonts",
        home / ".fonts",
        Path("/usr/local/share/fonts"),
        Path("/usr/share/fonts"),
    )
