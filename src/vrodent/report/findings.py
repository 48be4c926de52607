"""The sections that show results: a figure, its words, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from vrodent.analysis import Result
from vrodent.report import figures, numbers
from vrodent.report.figures import DASHES, SYMBOLS, Figure, layer_colour
from vrodent.report.markup import embedded_json, numbers_behind, tag
from vrodent.report.words import layer_title, task_title

_DASH = {"solid": "none", "dash": "9 6", "dot": "2.5 4", "dashdot": "9 4 2 4", "longdash": "14 6"}
MARK = {
    "circle": '<circle r="5"/>',
    "square": '<rect x="-4.5" y="-4.5" width="9" height="9"/>',
    "diamond": '<path d="M0-6L6 0 0 6-6 0z"/>',
    "triangle-up": '<path d="M0-6L6 5H-6z"/>',
    "pentagon": '<path d="M0-6L6-1 4 5H-4L-6-1z"/>',
}
_TABLE_BELOW = "; the numbers are in the table below"


def panel(title: str, identity: str, figure: Figure, says: str, *, wide: bool = False) -> str:
    """A titled figure: its place, its description for those who do not see it, and its data."""
    height = f"height:{figure['layout']['height']}px"
    place = tag("div", "", id=identity, class_="plot", role="img", aria_label=says + _TABLE_BELOW, style=height)
    data = f'<script type="application/json" data-figure="{identity}">{embedded_json(figure)}</script>'
    save = "".join(
        tag("button", kind.upper(), type="button", class_="save", data_figure_save=kind, data_of=identity,
            aria_label=f"Save {title} as {kind.upper()}")
        for kind in ("svg", "csv")
    )  # fmt: skip
    head = tag("div", tag("h3", escape(title)) + tag("span", save), class_="head")
    return tag("div", head + place + data, class_="panel wide" if wide else "panel")


def panels(*content: str) -> str:
    """Panels beside each other where there is room."""
    return tag("div", "".join(content), class_="panels")


def key(layers: list[str], *, lines: bool, among: Sequence[str] = ()) -> str:
    """Which colour and mark is which layer; marks go by the place of a layer `among` all layers, if only some are shown."""
    items = []
    for layer in layers:
        i = list(among or layers).index(layer)
        colour = layer_colour(layer)
        dash, mark = _DASH[DASHES[i % len(DASHES)]], MARK[SYMBOLS[i % len(SYMBOLS)]]
        drawn = (
            f'<line x1="0" y1="7" x2="34" y2="7" style="stroke:{colour}" stroke-width="2.5" stroke-dasharray="{dash}"/>'
            if lines
            else f'<g transform="translate(17 7)" style="fill:{colour}">{mark}</g>'
        )
        items.append(tag("li", f'<svg viewBox="0 0 34 14" aria-hidden="true">{drawn}</svg>' + escape(layer_title(layer))))
    return tag("ul", "".join(items), class_="key", aria_label="Key: layers")


def left_out(result: Result) -> str:
    """What the analysis left out, and why; "" where nothing was."""
    listed = "".join(tag("li", escape(note)) for note in result.notes)
    return numbers_behind("What was left out, and why", tag("ul", listed)) if listed else ""


def timescales(result: Result) -> str:
    """Spectra and times of every layer."""
    tasks, layers = result["task"].tolist(), result["layer"].tolist()
    whole = len(tasks) - 1 if len(tasks) > 2 else 0  # one task alone needs no panel of all tasks
    order = [whole, *(i for i in range(len(tasks) - 1) if i != whole)]
    spectra = [
        panel(task_title(tasks[i]), f"spectrum-{tasks[i]}", figures.spectrum(result, i, tall=i == whole),
              f"Power spectra of the layers in {task_title(tasks[i])}", wide=i == whole)
        for i in order
    ]  # fmt: skip
    times = [
        panel(title, f"timescale-{name}", figures.by_task(result, name, axis), f"{title} of each layer in each task with intervals")
        for name, title, axis in (
            ("centroid", "Mean frequency", "spectral centroid (Hz)"),
            ("autocorrelation_time", "Memory", "autocorrelation time (s)"),
        )
    ]
    caption = (
        "Power spectra of units, each unit’s scaled to a total of 1, averaged over units and trials (segments of "
        f"{result.parameters['spectra.segment_s']:g} s). Bands and bars: 95 % bootstrap intervals over trials. Both axes of the spectra "
        "are logarithmic."
    )
    return (
        tag("p", "In the paper the core fluctuates over 1 to 10 s and the policy layers faster than 1 s.", class_="text")
        + key(layers, lines=True)
        + panels(*spectra)
        + key(layers, lines=False)
        + panels(*times)
        + tag("figcaption", escape(caption))
        + numbers_behind("Numbers behind these figures", numbers.timescales(result))
        + left_out(result)
    )


def similarities(result: Result) -> str:
    """Similarity of layers and feature sets."""
    tasks, layers = result["task"].tolist(), result["layer"].tolist()
    whole = len(tasks) - 1 if len(tasks) > 2 else 0
    finite = result["cka"][np.isfinite(result["cka"])]
    highest = max(0.05, float(finite.max())) if len(finite) else 1.0
    main = panel(task_title(tasks[whole]), "similarity", figures.similarity(result, whole),
                 "Similarity of each layer with each feature set", wide=True)  # fmt: skip
    cells = [
        panel(task_title(tasks[i]), f"heatmap-{tasks[i]}", figures.heatmap(result, i, highest),
              f"Similarity of layers and feature sets in {task_title(tasks[i])}")
        for i in range(len(tasks) - 1) if i != whole
    ]  # fmt: skip
    caption = (
        "Debiased linear CKA between a layer’s activity and a set of features over the same frames: 1 if both arrange the frames alike, 0 "
        "if they are unrelated. Bars: 95 % intervals, jackknife over trials. Grey ticks: what a twentieth of the shifted pairings exceed. "
        "Filled marks stand out of the null at p < 0.05, corrected for all layers and sets; open ones do not."
    )
    stars = tag("figcaption", "Cells: the same by task, on one colour scale; a star marks what stands out of the null.")
    intro = "In the paper policy layers reflect fast movement more, the core slow movement more, and no layer reflects forces strongly."
    return (
        tag("p", intro, class_="text")
        + key(layers, lines=False)
        + panels(main)
        + tag("figcaption", escape(caption))
        + (panels(*cells) + stars if cells else "")
        + numbers_behind("Numbers behind these figures", numbers.similarities(result))
        + left_out(result)
    )
