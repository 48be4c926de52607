"""The sections that compare tasks: what the body does in them, and what layers share across them."""

from __future__ import annotations

from html import escape

import numpy as np

from vrodent.analysis import Result
from vrodent.report import plots
from vrodent.report.contents import Page, Paragraphs
from vrodent.report.figures import SYMBOLS, layer_colour
from vrodent.report.findings import MARK, key, left_out, panel, panels
from vrodent.report.markup import estimate, number, numbers_behind, p_value, table, tag
from vrodent.report.numbers import csv_button
from vrodent.report.words import layer_title, set_title, task_title

CARRIED = ("movement", "joint_velocities", "pose")
"""Feature sets whose decoding across tasks is drawn; the table has all."""


def group_key(names: list[str]) -> str:
    """Which colour and mark is which task or behaviour."""
    items = []
    for i, name in enumerate(names):
        mark = f'<g transform="translate(17 7)" style="fill:{plots.group_colour(i)}">{MARK[SYMBOLS[i % len(SYMBOLS)]]}</g>'
        items.append(tag("li", f'<svg viewBox="0 0 34 14" aria-hidden="true">{mark}</svg>' + escape(name)))
    return tag("ul", "".join(items), class_="key", aria_label="Key")


def overlap(page: Page) -> str:
    """Overlap of tasks by feature set, clouds of frames and maps of trials."""
    result = page.results["overlap"]
    tasks, sets = [task_title(t) for t in result["task"].tolist()], result["set"].tolist()
    titles = [set_title(name) for name in sets]
    figure = plots.dot_rows(titles, ["core"], *(result[f"overlap{part}"][None] for part in ("", "_low", "_high")), title="overlap of tasks")
    for trace in figure["data"]:
        trace |= {"name": "overlap", "hovertemplate": "%{x:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>"}
        trace["marker"] |= {"color": "var(--accent)", "line": {"width": 0}}
        trace["error_x"]["color"] = "var(--accent)"
    ticks = {"type": "scatter", "mode": "markers", "x": [float(f"{v:.4g}") for v in result["overlap_null_low"].tolist()],
             "y": list(range(len(sets))), "hoverinfo": "skip", "name": "null, lower end",
             "marker": {"symbol": "line-ns-open", "size": 9, "color": "var(--null)", "line": {"width": 1.5}}}  # fmt: skip
    figure["data"].append(ticks)
    clouds = [
        panel(title, f"cloud-{name}", plots.cloud(list(result["cloud"][i]), tasks, _pcs(result["cloud_share"][i])),
              f"Frames of every task in the first two principal components of {title}")
        for i, (name, title) in enumerate(zip(sets, titles, strict=True))
    ]  # fmt: skip
    groups = result["trial_task"]
    maps = [
        panel(title, f"map-{name}",
              plots.cloud([result["map"][i][groups == t] for t in range(len(tasks))], tasks, ("first axis", "second axis"), size=8),
              f"Map of trials by what they hold of {title}")
        for i, (name, title) in enumerate(zip(sets, titles, strict=True))
    ]  # fmt: skip
    return (
        tag("p", "In the paper, low-level features (joint speeds, forces) overlap across tasks and slow kinematics separate "
                 "them.", class_="text")
        + panels(panel("Overlap of tasks", "overlap", figure, "Overlap of tasks by feature set, with intervals", wide=True))
        + tag("figcaption", "How often the task of a single held-out frame is misread, over how often it would be by chance: 1 where "
                            "the tasks "
              "are alike, 0 where they lie apart. Every set is reduced to as many principal components. Bars: 95 % intervals over trials. "
              "Grey ticks: below them lies a twentieth of the values with tasks exchanged between trials.")
        + group_key(tasks) + panels(*clouds)
        + tag("figcaption", "Frames, evenly many of each task, in each set’s first two principal components over all tasks.")
        + panels(*maps)
        + tag("figcaption", "Every mark a trial; trials with alike frames lie together (classical scaling of the root of the energy "
                            "distance).")
        + numbers_behind("Numbers behind these figures", _overlap_table(result)) + left_out(result)
    )  # fmt: skip


def _pcs(share: np.ndarray) -> tuple[str, str]:
    first, second = (f"component {i + 1} ({100 * value:.0f} %)" for i, value in enumerate(share[:2].tolist()))
    return first, second


def _overlap_table(result: Result) -> str:
    rows = []
    for i, name in enumerate(result["set"].tolist()):
        value = estimate(*(float(result[f"overlap{part}"][i]) for part in ("", "_low", "_high")))
        null = (number(float(result[f"overlap_null{part}"][i]), 2) for part in ("", "_low"))
        rows.append((set_title(name), *value, *null, p_value(float(result["overlap_p"][i]))))
    columns = ("feature set", "overlap", "interval", "null mean", "null 5 %", "p")
    return table(columns, rows, caption="Overlap of tasks", numeric=range(1, 6), id_="overlap-table") + csv_button("overlap-table")


def sharing(page: Page) -> str:
    """Likeness of tasks in every layer, the task read from every layer, and maps carried from task to task."""
    result = page.results["sharing"]
    layers, tasks = result["layer"].tolist(), [task_title(t) for t in result["task"].tolist()]
    titles = [layer_title(layer) for layer in layers]
    likeness = _by_layer(result, "likeness", titles, "likeness of tasks")
    accuracy = _by_layer(result, "task_accuracy", titles, "frames whose task is read rightly")
    grids = [
        panel(title, f"likeness-{layer}", plots.matrix(result["likeness_matrix"][i], tasks, tasks, limits=(0.0, 1.0)),
              f"Likeness of pairs of tasks in {title}")
        for i, (layer, title) in enumerate(zip(layers, titles, strict=True))
    ]  # fmt: skip
    confusion = [
        panel(title, f"confusion-{layer}", plots.matrix(result["confusion"][i], tasks, tasks, limits=(0.0, 1.0), titles=("read as", "")),
              f"Which task is read from {title}")
        for i, (layer, title) in enumerate(zip(layers, titles, strict=True))
    ]  # fmt: skip
    return (
        tag("p", "In the paper the core is specific to tasks and policy layers are shared across them.", class_="text")
        + panels(panel("Likeness of tasks", "likeness", likeness, "Likeness of tasks in each layer, with intervals")
                 if np.isfinite(result["likeness"]).any() else tag("p", "Too few clusters of behaviour are visited in all tasks for a "
                                                                   "mean likeness of tasks.", class_="text"),
                 panel("Reading the task", "task-accuracy", accuracy, "How well the task is read from each layer"))
        + tag("figcaption", f"First: debiased CKA between tasks of the mean activity in clusters of "
                            f"{set_title(str(result['cluster_set'][0]))} "
              "that both tasks visit, mean over pairs of tasks. Second: share of held-out frames whose task linear discriminants call "
              "rightly; "
              f"chance is {1 / len(tasks):.2f}. Bars: 95 % intervals over trials. Grey ticks: what a twentieth of the null exceeds "
              f"(clusters, "
              "or the tasks of trials, exchanged).")
        + panels(*grids) + tag("figcaption", "Likeness by pair of tasks.") + _layer_map(result, layers, tasks)
        + panels(*confusion) + tag("figcaption", "Rows: the task of held-out frames; columns: the task they are read as.")
        + (_carried(page.results["decoding"]) if "decoding" in page.results and page.results["decoding"].present else "")
        + numbers_behind("Numbers behind these figures", _sharing_table(result)) + left_out(result)
    )  # fmt: skip


def _by_layer(result: Result, name: str, titles: list[str], title: str) -> dict:
    numbers = (result[f"{name}{part}"][None] for part in ("", "_low", "_high"))
    figure = plots.dot_rows(titles, ["core"], *numbers, title=title, null=result[f"{name}_null_high"][None])
    for trace in figure["data"]:
        if "error_x" in trace:
            colours = [layer_colour(layer) for layer in result["layer"].tolist()]
            trace["marker"] |= {"color": colours, "line": {"width": 0}}
            trace["error_x"]["color"] = "var(--quiet)"
            trace["hovertemplate"] = "%{x:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>"
    return figure


def _layer_map(result: Result, layers: list[str], tasks: list[str]) -> str:
    figure = plots.cloud(list(result["map"]), [layer_title(layer) for layer in layers], ("first axis", "second axis"), size=11, height=360)
    for trace, layer in zip(figure["data"], layers, strict=True):
        trace["marker"] |= {"color": layer_colour(layer), "symbol": [SYMBOLS[t % len(SYMBOLS)] for t in range(len(tasks))], "opacity": 1}
        trace |= {"mode": "markers+text", "text": tasks, "textposition": "top center", "textfont": {"color": "var(--quiet)", "size": 11},
                  "hovertemplate": "%{text}<extra>" + layer_title(layer) + "</extra>"}  # fmt: skip
    return key(layers, lines=False) + panels(panel("Layers and tasks", "layer-map", figure, "Map of every layer in every "
                                                                                            "task", wide=True)) + tag(
        "figcaption", "Every mark is a layer in a task; marks lie together where behaviours are arranged alike (root of 1 − CKA, scaled "
                      "to a "
        "plane). Colour: layer, as in the key; mark and name: task." + (
            "" if np.isfinite(result["likeness_matrix"]).all() else " Tasks that share too few clusters of behaviour to be compared (blank "
            "above) stand as far apart as if they were unlike."))  # fmt: skip


def _carried(decoding: Result) -> str:
    sets, tasks = decoding["set"].tolist(), [task_title(t) for t in decoding["train"].tolist()]
    if len(tasks) < 2:
        return ""
    shown = []
    for name in [name for name in CARRIED if name in sets]:
        for i, layer in enumerate(decoding["layer"].tolist()):
            values = np.maximum(decoding["transfer"][i, :, :, sets.index(name)], -1.0)
            title = f"{set_title(name)}, {layer_title(layer)}"
            figure = plots.matrix(values, tasks, tasks, limits=(0.0, 1.0), titles=("tried in", ""))
            shown.append(panel(title, f"carried-{name}-{layer}", figure, f"Decoding across tasks: {title}"))
    return panels(*shown) + tag(
        "figcaption",
        "Behaviour read across tasks: rows, the task in which a linear map from the layer was fitted; columns, the task in which "
        "it is tried; a constant offset is forgiven, and values below −1 are drawn as −1. On the diagonal: held-out trials of the same "
        "task.",
    )


def _sharing_table(result: Result) -> str:
    rows = []
    for i, layer in enumerate(result["layer"].tolist()):
        likeness = estimate(*(float(result[f"likeness{part}"][i]) for part in ("", "_low", "_high")))
        accuracy = estimate(*(float(result[f"task_accuracy{part}"][i]) for part in ("", "_low", "_high")))
        rows.append((
            layer_title(layer), *likeness, number(float(result["likeness_null_high"][i]), 2), p_value(float(result["likeness_p"][i])),
            *accuracy, number(float(result["task_accuracy_null_high"][i]), 2), p_value(float(result["task_accuracy_p"][i])),
        ))  # fmt: skip
    columns = ("layer", "likeness", "interval", "null 95 %", "p", "task read", "interval", "null 95 %", "p")
    return table(columns, rows, caption="Sharing across tasks", numeric=range(1, 9), id_="sharing-table") + csv_button("sharing-table")


def overlap_methods(page: Page) -> Paragraphs:
    """On overlap."""
    p = page.results["overlap"].parameters
    return [(
        "Overlap of tasks",
        f"Each feature set, reduced to its leading {p['overlap.num_components']} principal components over all tasks; "
        f"{p['overlap.frames']} "
        f"frames of each trial; linear discriminants with equal priors, fitted in {p['overlap.folds']} folds of whole trials, read the "
        f"task. "
        f"Joint speed is the size of the joints’ velocities. Null: tasks exchanged between whole trials, {p['overlap.num_null']} times.",
    )]  # fmt: skip


def sharing_methods(page: Page) -> Paragraphs:
    """On sharing."""
    p = page.results["sharing"].parameters
    return [(
        "Sharing",
        "Mean activity of a layer in clusters of behaviour (as under similarity over clusters) in each task; debiased CKA between tasks "
        "over "
        f"clusters that both visit. Nulls: clusters exchanged within tasks, and, between layers, units exchanged, "
        f"{p['sharing.num_null']} times "
        f"each. The task is read from the leading {p['sharing.num_components']} principal components of a layer, {p['sharing.frames']} "
        f"frames of "
        "each trial, as under overlap; layers are compared by flipping the signs of the trials’ differences.",
    )]  # fmt: skip
