"""The section on layers left to themselves: their fixed points, and how they move near them."""

from __future__ import annotations

from html import escape

import numpy as np

from vrodent.analysis import Result
from vrodent.report import plots
from vrodent.report.contents import Page, Paragraphs
from vrodent.report.figures import Figure
from vrodent.report.findings import key, left_out, panel, panels
from vrodent.report.markup import number, numbers_behind, table, tag
from vrodent.report.numbers import csv_button
from vrodent.report.tasks import group_key
from vrodent.report.words import layer_title, task_title

_TASK = "task:"
_TICKS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200]
_SLOWEST = "slowest time constant (s)"


def rest(page: Page) -> str:
    """Fixed points of every layer by task and behaviour."""
    result = page.results["fixed_points"]
    layers, rows = result["layer"].tolist(), [_row(name) for name in result["row"].tolist()]
    value = result["time_constant"]
    none = np.full(value.shape, np.nan)
    slow = plots.dot_rows(rows, layers, value, none, none, title=_SLOWEST, unit="s")
    return (
        tag("p", escape(_summary(result)), class_="text")
        + key(layers, lines=False)
        + panels(panel("How slowly each layer settles", "rest-time", _logarithmic(slow), "Slowest time constant of each layer at rest",
                       wide=True))
        + tag("figcaption", "Each layer with its input held at its mean in a task or behaviour: time in which the slowest deviation that "
                            "shows in the outputs fades to 1/e, at the stable fixed point nearest to the mean recorded state. A missing "
                            "mark: no stable fixed point was found. The axis is logarithmic.")
        + _modes(result, layers)
        + numbers_behind("Numbers behind these figures", _table(result, layers)) + left_out(result)
    )  # fmt: skip


def _row(name: str) -> str:
    return task_title(name.removeprefix(_TASK)) if name.startswith(_TASK) else name.replace("_", " ").capitalize()


def _summary(result: Result) -> str:
    """In how many layers and conditions there is something to rest at."""
    total, found, stable = (int(x) for x in (result["num_points"].size, (result["num_points"] > 0).sum(), (result["num_stable"] > 0).sum()))
    return (
        "What would a layer do if nothing new came in? With its input held, each layer is a map of its own memory, and its fixed points "
        f"and their eigenvalues follow from the weights. Of {total} pairs of a layer and a condition, {found} have a fixed point that was "
        f"found, {stable} a stable one."
    )


def _logarithmic(figure: Figure, axis: str = "xaxis") -> Figure:
    figure["layout"][axis] |= {"type": "log", "rangemode": "normal", "tickvals": _TICKS, "ticktext": [f"{tick:g}" for tick in _TICKS]}
    return figure


def _modes(result: Result, layers: list[str]) -> str:
    tasks = [j for j, name in enumerate(result["row"].tolist()) if name.startswith(_TASK)]
    names = [_row(str(result["row"][j])) for j in tasks]
    titles = ("time to fade (s)", "frequency (Hz)")
    shown = []
    for i, layer in enumerate(layers):
        points = [np.stack([result["mode_time"][i, j], result["mode_frequency"][i, j]], axis=1) for j in tasks]
        figure = _logarithmic(plots.cloud(points, names, titles))
        shown.append(panel(layer_title(layer), f"modes-{layer}", figure, f"Modes of {layer_title(layer)} around rest"))
    return group_key(names) + panels(*shown) + tag(
        "figcaption", "Every mode that shows in the outputs and outlasts a control step of 0.02 s, around the same fixed points: how "
                      "long it lasts, and how fast it turns (0: it fades without turning).")  # fmt: skip


def _table(result: Result, layers: list[str]) -> str:
    rows = []
    for j, name in enumerate(result["row"].tolist()):
        for i, layer in enumerate(layers):
            cells = [str(int(result[key_][i, j])) for key_ in ("num_points", "num_stable")]
            numbers = [number(float(result[key_][i, j])) for key_ in ("time_constant", "rotation", "rotation_time", "distance")]
            ends = [number(100 * float(result["settled"][i, j]), 2) + " %", number(float(result["least_speed"][i, j]), 1)]
            rows.append((f"{_row(name)}: {layer_title(layer)}", *cells, *numbers, *ends))
    columns = ("condition and layer", "fixed points found", "stable", "slowest (s)", "slowest that turns (Hz)", "it fades in (s)",
               "distance from the mean state", "came to rest", "slowest search")  # fmt: skip
    caption = "Fixed points; distance in root mean square deviations of what was recorded; came to rest: of recorded starts"
    return table(columns, rows, caption=caption, numeric=range(1, 9), id_="rest-table") + csv_button("rest-table")


def rest_methods(page: Page) -> Paragraphs:
    """On fixed points."""
    p = page.results["fixed_points"].parameters
    return [(
        "Layers left to themselves",
        "Weights are the agent’s. What each layer’s input and bias contribute to its gates was computed anew from what was felt and seen "
        "in recorded frames, and checked: with it one step from each frame’s memory gives the recorded next one. It is held at its mean "
        f"over a task or a behaviour. From {p['fixed_points.starts']} recorded states, and from where the layer goes from them by itself "
        f"within {p['fixed_points.longest']:g} s, the squared change of output and cell state in a step is made smallest by damped "
        "Gauss-Newton steps (after Sussillo & Barak 2013) with the analytic Jacobian; a point counts if no value changes by more than "
        f"{p['fixed_points.search.tolerance']:g} a step. Modes are the eigenvectors of the Jacobian there; those with less than "
        f"a share {p['fixed_points.shown']:g} of their length in the outputs (cells so full that the output no longer follows) are left "
        "out of the time constants, but count for stability. A layer has come to rest if no output changes by more than "
        f"{p['fixed_points.settled']:g} a step after {p['fixed_points.seconds']:g} s. Null of the claim: recurrent weights of both layers "
        f"shuffled within each gate ({p['fixed_points.num_null']} draws).",
    )]  # fmt: skip
