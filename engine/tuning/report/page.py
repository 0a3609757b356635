"""The report as one HTML page that needs no other file and asks nobody for one."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.tuning.answers import Answer
from video_pipeline.engine.tuning.curves import Delta
from video_pipeline.engine.tuning.report.content import Report
from video_pipeline.engine.tuning.report.plotting import (
    QUALITIES,
    coloured_curves,
    cost_plot,
    curve_text,
    quality_plot,
)
from video_pipeline.engine.tuning.report.tables import COLUMNS
from video_pipeline.engine.tuning.report.words import (
    answer_lines,
    query_text,
    range_text,
    settings_text,
    signed,
    trial_text,
)
from video_pipeline.engine.tuning.summaries import Summary

if TYPE_CHECKING:
    from video_pipeline.engine.tuning.report.crops import Crop

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing but what is in it."""


def page_html(
    report: Report, *, crops: Sequence[Crop] = (), no_crops: str = "", commands: Sequence[str] = ()
) -> str:
    """Return the page. `no_crops` says why there are no pictures; `commands` make the report again."""
    run = report.data.run
    title = f"Tuning run {run.id}"
    sections = [
        ("answer", "Answer", _answer_html(report)),
        ("cost", "Cost at equal quality", _cost(report)),
        ("quality", "Rate and quality", _quality_plots(report)),
        ("deltas", "Bjøntegaard deltas", _delta_table(report)),
        ("clips", "Clip by clip", _clips(report)),
        ("frames", "Worst frames", _crop_pictures(crops, no_crops)),
        ("table", "All trials", _trials(report)),
        ("noise", "Noise, and what was left out", _noise(report)),
        ("machine", "Machine, material, commands", _machine_html(report, commands)),
    ]
    links = "".join(f'<a href="#{name}">{escape(words)}</a>' for name, words, _ in sections)
    body = "\n".join(
        f'<section><h2 id="{name}">{escape(words)}</h2>\n{html}</section>' for name, words, html in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{_resource("page.css")}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="soft">{escape(_about(report))}</p>
<nav>{links}</nav>
{body}
</main>
<script>
{_resource("page.js")}</script>
</body>
</html>
"""


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _about(report: Report) -> str:
    run, samples = report.data.run, report.analysis.samples
    seconds = float(np.sum(samples.seconds))
    return (
        f"{run.created}, {run.machine.get('cpu', 'unknown processor')}: "
        f"{count_text(len(samples.trials), 'trial')} on {count_text(len(samples.clips), 'clip')}, {seconds:.0f} s together"
        + (f"; {count_text(len(report.held_out), 'trial')} on held-out clips" if report.held_out else "")
    )


def _paragraphs_html(lines: Iterable[str]) -> str:
    return "\n".join(f"<p>{escape(line)}</p>" for line in lines)


def _answer_html(report: Report) -> str:
    if report.answer is None:
        lines = [f"{query_text(report.query)}: nothing.", f"{report.unanswered}."]
        return f'<div class="answer none">{_paragraphs_html(lines)}</div>'
    return f'{_tiles(report.answer)}<div class="answer">{_paragraphs_html(answer_lines(report.answer))}</div>'


def _tiles(answer: Answer) -> str:
    """Return the answer's figures at a glance."""
    chosen, against = answer.chosen, answer.against
    tiles = [
        (f"{chosen.cpu_s_per_minute:.1f} s", "CPU time for a minute"),
        (f"{chosen.mbit_s:.2f}", "Mbit/s"),
    ]
    if chosen.vmaf is not None:
        tiles.append((f"{chosen.vmaf:.2f}", "VMAF"))
    if chosen.xpsnr_y is not None:
        tiles.append((f"{chosen.xpsnr_y:.1f} dB", "XPSNR"))
    if against is not None and against.reference.trial != chosen.trial:
        tiles.insert(0, (f"{against.speedup.value:.1f} x", "as fast as the reference"))
        tiles.insert(1, (f"{against.bits.value:.2f} x", "the reference's bytes"))
    if answer.density is not None and answer.density.streams is not None:
        tiles.append((f"{answer.density.streams:.0f}", "streams of 30 frames/s on this machine"))
    boxes = (f"<div><b>{escape(figure)}</b><span>{escape(words)}</span></div>" for figure, words in tiles)
    return f'<div class="tiles">{"".join(boxes)}</div>'


def _panels(panels: Sequence[tuple[str, str]], *, first: int = 0) -> str:
    """Return panels of which the page's script shows one at a time; each has a name for its tab."""
    tabs = "".join(f'<button type="button" role="tab">{escape(name)}</button>' for name, _ in panels)
    boxes = "\n".join(
        f'<div class="panel" role="tabpanel" aria-label="{escape(name)}">{html}</div>'
        for name, html in panels
    )
    return f'<div class="panels" data-first="{first}"><div class="tabs" role="tablist" hidden>{tabs}</div>{boxes}</div>'


def _cost(report: Report) -> str:
    if not report.levels:
        return "<p>The run has not measured VMAF.</p>"
    panels = [
        (
            f"VMAF {level:g}" if level != report.level else f"VMAF {level:.2f}, asked for",
            cost_plot(report, level),
        )
        for level in report.levels
    ]
    first = report.levels.index(report.level) if report.level in report.levels else len(panels) // 2
    return (
        '<p class="about">Towards the lower left is better. Filled: interpolated between two trials of the same '
        "settings at exactly this quality. Hollow: a trial with at least this quality. The line is the Pareto "
        "front.</p>"
        + _panels(panels, first=first)
        + '<ul class="legend"><li class="l-accent">on the front, or chosen (large)</li>'
        '<li class="l-reference">reference</li><li>interpolated</li><li class="l-hollow">one trial</li></ul>'
    )


def _quality_plots(report: Report) -> str:
    named = coloured_curves(report)
    panels = [
        (tab, plot)
        for field, tab, axis in QUALITIES
        if (plot := quality_plot(report, field, axis, named)) is not None
    ]
    if not panels:
        return "<p>The run has measured no quality.</p>"
    legend = "".join(f'<li class="c{at}">{escape(curve_text(curve))}</li>' for at, curve in enumerate(named))
    return (
        '<p class="about">Towards the upper left is better. A line joins trials that differ in the rate alone.</p>'
        + _panels(panels)
        + f'<ul class="legend">{legend}</ul>'
    )


def _table_row(cells: Iterable[str], *, text: int = 1, tag: str = "td", wide: int | None = None) -> str:
    """Return a table's row of escaped cells, the first `text` aligned as words."""

    def kind(at: int) -> str:
        words = [*(["text"] if at < text or at == wide else []), *(["wide"] if at == wide else [])]
        return f' class="{" ".join(words)}"' if words else ""

    return "<tr>" + "".join(f"<{tag}{kind(at)}>{cell}</{tag}>" for at, cell in enumerate(cells)) + "</tr>"


def _table(header: Sequence[str], rows: Iterable[str], *, text: int = 1, wide: int | None = None) -> str:
    head = _table_row(map(escape, header), text=text, tag="th", wide=wide)
    return (
        f'<div class="scroll tall"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _delta_table(report: Report) -> str:
    if report.anchor is None:
        return f"<p>{escape(report.no_deltas)}</p>"
    rows = (
        _table_row(
            [
                escape(curve_text(each.curve)),
                str(len(each.curve)),
                _delta_text(each.rate),
                _delta_text(each.time),
                escape("; ".join(dict.fromkeys([*_delta_notes(each.rate), *_delta_notes(each.time)]))),
            ],
            wide=4,
        )
        for each in report.deltas
    )
    return (
        '<p class="about">Mean difference at equal VMAF from '
        f"<b>{escape(curve_text(report.anchor))}</b> ({len(report.anchor)} points): bit rate and CPU time, the mean "
        "over clips with the bounds of 95 % of resamples of the clips. Less is better.</p>"
        + _table(["settings", "points", "BD-rate", "BD-time", "notes"], rows, wide=4)
    )


def _delta_text(delta: Delta) -> str:
    if delta.percent is None:
        return "none"
    return f"{signed(delta.percent.value, 1)} %{range_text(delta.percent, lambda value: signed(value, 1))}"


def _delta_notes(delta: Delta) -> list[str]:
    if delta.percent is None:
        return [delta.reason]
    left_out = [f"without {clip}: {reason}" for clip, reason in delta.without.items()]
    return [*delta.notes, *left_out]


def _clips(report: Report) -> str:
    if report.answer is None:
        return "<p>No settings were chosen.</p>"
    samples, chosen = report.analysis.samples, report.answer.chosen.trial
    at = samples.position(chosen.number)
    other = None if report.reference in (None, chosen.number) else samples.position(report.reference or 0)
    cpu_s = np.nanmedian(samples.cpu_s, axis=2) / samples.seconds * 60
    mbit = samples.bytes * 8 / 1e6 / samples.seconds
    header = ["clip", "seconds", "CPU s/min", "Mbit/s", "VMAF", "VMAF 1 %", "XPSNR"]
    if other is not None:
        header += ["times as fast", "times the bytes", "VMAF by", "VMAF 1 % by", "XPSNR by"]
    rows = []
    for column, clip in enumerate(samples.clips):
        quality = {name: values[:, column] for name, values in samples.quality.items()}
        cells = [
            escape(clip),
            f"{samples.seconds[column]:.1f}",
            f"{cpu_s[at, column]:.1f}",
            f"{mbit[at, column]:.2f}",
            *(
                _known(f"{quality[name][at]:.2f}", quality[name][at])
                for name in ("vmaf", "vmaf_p1", "xpsnr_y")
            ),
        ]
        if other is not None:
            cells += [
                f"{cpu_s[other, column] / cpu_s[at, column]:.2f}",
                f"{mbit[at, column] / mbit[other, column]:.2f}",
                *(
                    _known(signed(change), change)
                    for name in ("vmaf", "vmaf_p1", "xpsnr_y")
                    for change in [float(quality[name][at] - quality[name][other])]
                ),
            ]
        rows.append(_table_row(cells))
    beside = (
        "" if other is None else f"; the last five columns beside {escape(trial_text(samples.trials[other]))}"
    )
    return f'<p class="about">{escape(trial_text(chosen))}{beside}.</p>' + _table(header, rows)


def _known(text: str, value: float) -> str:
    return text if np.isfinite(value) else ""


def _crop_pictures(crops: Sequence[Crop], reason: str) -> str:
    if not crops:
        return f"<p>{escape(reason or 'No pictures were asked for.')}</p>"
    parts = [
        '<p class="about">Where the chosen settings differ most from the drawn frame, on the clips with the lowest '
        "VMAF; pixel by pixel, enlarged by the browser.</p>"
    ]
    for crop in crops:
        where = f"{crop.width_px}x{crop.height_px} pixels at {crop.left_px}, {crop.top_px}"
        parts.append(
            f"<h3>{escape(crop.place.clip)}, frame {crop.place.frame}</h3>"
            f'<p class="about">The clip\'s VMAF with the chosen settings is {crop.place.vmaf:.2f}; {where}.</p>'
        )
        pictures = [("drawn", crop.drawn), *((trial_text(trial), png) for trial, png in crop.encoded)]
        pictures.append(
            (f"luma of trial {crop.encoded[0][0].number} less the drawn one, 8 times", crop.difference)
        )
        figures = "".join(
            f'<figure><img alt="{escape(name)}" width="{crop.width_px}" height="{crop.height_px}" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode()}"><figcaption>{escape(name)}</figcaption></figure>'
            for name, png in pictures
        )
        parts.append(f'<div class="crops">{figures}</div>')
    return "\n".join(parts)


def _trials(report: Report) -> str:
    heads = [
        ("trial", "trial", "the number of the trial"),
        ("settings", "settings", "the encoder and the keys of video"),
        *((column.name, column.title, column.about) for column in COLUMNS),
    ]
    head = "".join(
        f'<th scope="col"{_cell_class(name)} data-name="{name}" title="{escape(about)}"><button type="button">{escape(words)}'
        "</button></th>"
        for name, words, about in heads
    )
    rows = "\n".join(_trial_row(report, each) for each in report.summaries)
    names = ", ".join(f"<code>{column.name}</code>" for column in COLUMNS)
    return f"""<div class="tools">
<input type="search" id="filter" placeholder="superfast vmaf&gt;=97 mbit_s&lt;6 crf&lt;22" aria-label="Filter">
<label><input type="checkbox" id="front"> only the Pareto front of speed, size and VMAF</label>
<span id="count" class="soft"></span>
</div>
<p class="about">Words must be in the row; comparisons take the names of settings and of columns: {names}.</p>
<div class="scroll tall"><table id="trials"><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table></div>"""


def _cell_class(name: str) -> str:
    return ' class="text"' if name == "settings" else ""


def _trial_row(report: Report, summary: Summary) -> str:
    number = summary.trial.number
    kinds = []
    if report.answer is not None and number == report.answer.chosen.trial.number:
        kinds.append("chosen")
    if number == report.reference:
        kinds.append("reference")
    words = escape(settings_text(summary.trial.encoder, summary.trial.settings))
    cells = [f"<td>{number}</td>", f'<td class="text settings">{words}</td>']
    for column in COLUMNS:
        value = column.read(summary)
        exact = "" if value is None else f"{value:.10g}"
        cells.append(f'<td data-v="{exact}">{column.text(summary)}</td>')
    settings = escape(json.dumps({"encoder": summary.trial.encoder, **summary.trial.settings}))
    front = ' data-front="1"' if number in report.front else ""
    return (
        f'<tr class="{" ".join(kinds)}" data-trial="{number}"{front} data-settings="{settings}">'
        f"{''.join(cells)}</tr>"
    )


def _noise(report: Report) -> str:
    samples = report.analysis.samples
    spread = (
        "Every clip was encoded once, so the spread of times is not known."
        if report.spread is None
        else f"The CPU times of a clip's repeats spread by {100 * report.spread:.1f} %: (longest - shortest) / median, the "
        "median over trials and clips."
    )
    parts = [f"<p>{escape(spread)}</p>"]
    if report.outliers:
        rows = (
            _table_row(
                [
                    escape(each.clip),
                    str(each.trial),
                    str(each.repeat),
                    f"{each.cpu_s:.3f}",
                    f"{each.median_s:.3f}",
                    f"{signed(100 * each.deviation, 1)} %",
                ]
            )
            for each in report.outliers
        )
        parts.append(
            f"<p>Outliers by the median absolute deviation ({len(report.outliers)}; medians are not moved by them):</p>"
            + _table(["clip", "trial", "repeat", "CPU s", "median", "off by"], rows)
        )
    else:
        parts.append("<p>No time stands out.</p>")
    if report.unequal:
        places = ", ".join(f"trial {number} on {clip}" for number, clip in report.unequal)
        parts.append(f"<p>Repeats gave different bytes, which must not happen: {escape(places)}.</p>")
    if samples.left_out:
        rows = (
            _table_row(
                [
                    str(each.trial.number),
                    escape(settings_text(each.trial.encoder, each.trial.settings)),
                    escape(each.reason),
                ],
                text=2,
                wide=2,
            )
            for each in samples.left_out
        )
        parts.append(
            "<p>Trials that are in no answer:</p>"
            + _table(["trial", "settings", "why"], rows, text=2, wide=2)
        )
    return "\n".join(parts)


def _definition_list(values: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{key}: {shown(each)}" for key, each in value.items())
        if isinstance(value, list | tuple):
            return ", ".join(map(shown, value))
        return "none" if value is None else f"{value}"

    items = (f"<dt>{escape(key)}</dt><dd>{escape(shown(value))}</dd>" for key, value in values.items())
    return f"<dl>{''.join(items)}</dl>"


def _machine_html(report: Report, commands: Sequence[str]) -> str:
    run = report.data.run
    clips = [clip for clip in run.material.get("clips", ()) if isinstance(clip, Mapping)]
    rows = (
        _table_row(
            [
                escape(str(clip.get("name"))),
                escape(str(clip.get("part"))),
                escape(str(clip.get("source"))),
                f"{clip.get('width_px')}x{clip.get('height_px')}",
                escape(str(clip.get("fps"))),
                escape(str(clip.get("frames"))),
                f"<code>{escape(str(clip.get('sha256'))[:16])}</code>",
            ],
            text=3,
        )
        for clip in clips
    )
    shell = [shlex.join(run.command)] if run.command else []
    lines = "\n".join([*shell, *commands])
    return "\n".join(
        [
            "<h3>Machine</h3>",
            _definition_list(run.machine),
            "<h3>Versions</h3>",
            _definition_list(run.versions),
            "<h3>Search</h3>",
            _definition_list({**run.objective, "space": run.space}),
            "<h3>Material</h3>",
            _table(["clip", "part", "source", "size", "frames/s", "frames", "SHA-256"], rows, text=3),
            "<h3>Commands</h3>",
            f"<pre>{escape(lines)}</pre>",
        ]
    )
