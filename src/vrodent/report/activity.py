"""The sections on activity in time: sequences around events, dynamics of the population, and the timing of taps."""

from __future__ import annotations

from html import escape

import numpy as np

from vrodent.analysis import Result
from vrodent.report import plots
from vrodent.report.contents import Page, Paragraphs
from vrodent.report.findings import key, left_out, panel, panels
from vrodent.report.markup import estimate, number, numbers_behind, p_value, table, tag
from vrodent.report.numbers import csv_button
from vrodent.report.tasks import group_key
from vrodent.report.words import layer_title, task_title

_TASK = "task:"
_SPEED = "frequency of the fastest rotation (Hz)"
_CONTROLS = (("units", "units shifted"), ("sequence", "other sequences"), ("entropy", "maximal entropy"))


def sequences(page: Page) -> str:
    """Activity around every kind of event, units sorted by their peak on other events."""
    result = page.results["sequences"]
    layers = result["layer"].tolist()
    names = [layer_title(layer) for layer in layers]
    shown = []
    for i, kind in enumerate(result["kind"].tolist()):
        average = [result["average"][i, j][:, np.isfinite(result["average"][i, j, 0])].T for j in range(len(layers))]
        ends = np.cumsum([len(part) for part in average])
        middle = [float(end - len(part) / 2 - 0.5) for end, part in zip(ends, average, strict=True)]
        figure = plots.image(np.concatenate(average), result["time"], height=420, titles=(f"time from the {kind} (s)", ""),
                             ticks=(middle, names), lines=[float(end) - 0.5 for end in ends[:-1]])  # fmt: skip
        title = f"{kind.capitalize()}: {int(result['num_events'][i, 0])} events in {int(result['num_trials'][i, 0])} trials"
        shown.append(panel(title, f"sequence-{kind}", figure, f"Activity of every unit around a {kind}, by layer"))
    rows = [kind.capitalize() for kind in result["kind"].tolist()]
    tiling = plots.dot_rows(rows, layers, *(result[name].T for name in ("tiling", "tiling_low", "tiling_high")), title="tiling of time",
                            null=result["null_tiling_high"].T, p=result["p_tiling"].T)  # fmt: skip
    return (
        tag("p", "In the paper units follow one another around a behaviour and tile its time, most of all in policy layers.", class_="text")
        + panels(*shown)
        + tag("figcaption", "Mean activity around the even events, every unit scaled by its range around the odd events and put in the "
                            "order of "
              "its peak there: a diagonal is a sequence that holds on events that took no part in the sorting. Pale: 0, dark: 1.")
        + key(layers, lines=False)
        + panels(panel("How far units tile time", "tiling", tiling, "Tiling of time around each event in each layer", wide=True))
        + tag("figcaption", "Scaled activity near a unit’s peak less that elsewhere, on held-out events; 0 without a sequence. Bars: 95 % "
              "intervals, jackknife over trials. Grey ticks: what a twentieth of random times exceed. Open marks: p of 0.05 or more.")
        + numbers_behind("Numbers behind these figures", _sequence_table(result)) + left_out(result)
    )  # fmt: skip


def _sequence_table(result: Result) -> str:
    rows = []
    for i, kind in enumerate(result["kind"].tolist()):
        for j, layer in enumerate(result["layer"].tolist()):
            tiling = estimate(*(float(result[name][i, j]) for name in ("tiling", "tiling_low", "tiling_high")))
            others = [(number(float(result[name][i, j])), number(float(result[f"null_{name}_mean"][i, j])), p_value(float(result[p][i, j])))
                      for name, p in (("ridge", "p_value"), ("sequentiality", "p_sequentiality"))]  # fmt: skip
            null = number(float(result["null_tiling_mean"][i, j]))
            rows.append((f"{kind}: {layer_title(layer)}", *tiling, null, p_value(float(result["p_tiling"][i, j])), *others[0], *others[1]))
    columns = ("event and layer", "tiling", "interval", "null", "p", "ridge over rest", "null", "p", "sequentiality", "null", "p")
    caption = "Sequences around events; null: mean at random times"
    return table(columns, rows, caption=caption, numeric=range(1, 11), id_="sequence-table") + csv_button("sequence-table")


def sequences_methods(page: Page) -> Paragraphs:
    """On events and sequences."""
    p = page.results["sequences"].parameters
    return [
        (
            "Events",
            f"Taps, gaps and orbs are the task’s own. A stride: the left hind paw, seen from the trunk, is farthest forward after "
            f"a way of {p['events.excursion']:g} m or more, at more than {p['events.stride_speed']:g} m/s forward. A turn: a peak "
            f"of the rate of turn above "
            f"{p['events.turn_rate']:g} rad/s, {p['events.separation']:g} s apart. A rear: the torso’s pitch passes "
            f"{p['events.rear_pitch']:g} "
            f"rad for {p['events.rear_duration']:g} s. A jump: the torso rises faster than {p['events.jump_speed']:g} m/s for "
            f"{p['events.jump_duration']:g} s, and the animal is not on its side.",
        ),
        (
            "Sequences",
            f"Windows of {p['sequences.before']:g} s before to {p['sequences.after']:g} s after an event; kinds with fewer than "
            f"{p['sequences.least_events']} whole windows are left out, and of more than {p['sequences.most_events']} so many are used, "
            f"evenly "
            f"spread. Units are sorted on odd events and judged on even ones; near a peak is within {p['sequences.width']:g} s. Null: "
            f"{p['sequences.num_null']} draws of random times in the same trials. Sequentiality: root of peak entropy times temporal "
            f"sparsity "
            "(Zhou et al. 2020); ridge over rest: Harvey et al. 2012.",
        ),
    ]


def dynamics(page: Page) -> str:
    """Rotations, trajectories, flow, and variance between tasks."""
    result = page.results["dynamics"]
    layers = result["layer"].tolist()
    rows = [_row(name) for name in result["row"].tolist()]
    speed = plots.dot_rows(rows, layers, *(result[f"frequency{part}"].T for part in ("", "_low", "_high")), title=_SPEED, unit="Hz")
    share = plots.dot_rows(rows, layers, *(result[f"r2_skew{part}"].T for part in ("", "_low", "_high")),
                           title="share of velocities explained by "
                                 "rotation", null=result["null_high"].T, p=result["p_value"].T)  # fmt: skip
    return (
        tag("p", "In the paper each behaviour has a rotation of its own, at its own speed; the core moves with the task, policy layers "
                 "with the "
            "behaviour.", class_="text")
        + key(layers, lines=False)
        + panels(panel("Speed of rotation", "rotation-speed", speed, "Frequency of the fastest rotation by behaviour and task in each "
                                                                     "layer"),
                 panel("How much is rotation", "rotation-share", share, "Share of velocities explained by rotation, with controls"))
        + tag("figcaption", "Linear dynamics without growth (jPCA) fitted to activity around events, one average a trial, and to "
                            "windows of each "
              "task. Bars: 95 % intervals, jackknife over trials or windows. Grey ticks: what a twentieth of the draws of the strictest "
              "of three "
              "controls exceed; open marks do not stand out of all three.")
        + _trajectories(result, layers) + _flows(result, layers) + _task_share(result, layers)
        + numbers_behind("Numbers behind these figures", _rotation_table(result)) + left_out(result)
    )  # fmt: skip


def _row(name: str) -> str:
    return task_title(name.removeprefix(_TASK)) + ", any time" if name.startswith(_TASK) else name.capitalize()


def _trajectories(result: Result, layers: list[str]) -> str:
    names = [name.capitalize() for name in result["behaviour"].tolist()]
    if not names:
        return ""
    start = int((result["path"].shape[2] - 1) / 2)
    shown = [
        panel(layer_title(layer), f"path-{layer}",
              plots.paths([path[:, :2] for path in result["path"][j]], names, _components(result, j), marked=start),
              f"Mean trajectory of each behaviour in the first two components of {layer_title(layer)}")
        for j, layer in enumerate(layers)
    ]  # fmt: skip
    return group_key(names) + panels(*shown) + tag(
        "figcaption", "Mean activity around each kind of event in the layer’s first two principal components over all frames. Open: the "
                      "start; "
        "filled: the middle of the window.")  # fmt: skip


def _components(result: Result, layer: int) -> tuple[str, str]:
    first, second = (f"component {i + 1} ({100 * value:.0f} %)" for i, value in enumerate(result["component_share"][layer, :2].tolist()))
    return first, second


def _flows(result: Result, layers: list[str]) -> str:
    shown = [
        panel(layer_title(layer), f"flow-{layer}",
              plots.arrows(result["flow"][j], result["flow_edge"][j], layer, _components(result, j)),
              f"Where activity of {layer_title(layer)} goes from each place")
        for j, layer in enumerate(layers)
    ]  # fmt: skip
    return panels(*shown) + tag(
        "figcaption", "Flow over all tasks: from each place in the plane (dot) the mean way that activity takes; the longest stroke in "
                      "a panel "
        "is the fastest.")  # fmt: skip


def _task_share(result: Result, layers: list[str]) -> str:
    if not np.isfinite(result["task_share"]).any():
        return ""
    figure = plots.dot_rows(["variance between tasks"], layers, *(result[f"task_share{part}"][:, None] for part in ("", "_low", "_high")),
                            title="share above chance")  # fmt: skip
    return key(layers, lines=False) + panels(panel("Variance between tasks", "task-share", figure, "Share of variance between tasks by "
                                                                                                   "layer",
                                                   wide=True)) + tag(
        "figcaption", "Share of units’ variance that lies between the tasks’ means, less that with tasks exchanged between "
                      "trials.")  # fmt: skip


def _rotation_table(result: Result) -> str:
    rows = []
    for i, name in enumerate(result["row"].tolist()):
        for j, layer in enumerate(result["layer"].tolist()):
            cells = [f"{_row(name)}: {layer_title(layer)}"]
            for value in ("frequency", "r2_skew", "ratio"):
                cells += estimate(*(float(result[value + part][i, j]) for part in ("", "_low", "_high")))
            for control, _ in _CONTROLS:
                cells += [number(float(result[f"null_{control}"][i, j]), 2), p_value(float(result[f"p_{control}"][i, j]))]
            rows.append(cells)
    columns = ("behaviour or task", "fastest (Hz)", "interval", "explained by rotation", "interval", "rotation over any linear", "interval",
               *(part for _, title in _CONTROLS for part in (f"{title}: null", "p")))  # fmt: skip
    caption = "Rotations; nulls are means of the share explained by rotation"
    return table(columns, rows, caption=caption, numeric=range(1, 13), id_="rotation-table") + csv_button("rotation-table")


def dynamics_methods(page: Page) -> Paragraphs:
    """On rotations, flow and variance between tasks."""
    p = page.results["dynamics"].parameters
    return [(
        "Dynamics",
        f"jPCA (Churchland et al. 2012) in {p['dynamics.num_components']} principal components; conditions are averages over a trial’s "
        f"events, or "
        f"windows of a task, at most {p['dynamics.most_conditions']}; only the mean over all conditions and times is removed. Controls, "
        f"{p['dynamics.num_null']} draws each: every unit’s time course shifted by an amount of its own in each condition; shifted "
        f"alike in all "
        "conditions, which keeps a sequence but another one (Lebedev et al. 2019); and draws of maximal entropy with the same means and "
        f"covariances across conditions, times and units (Elsayed & Cunningham 2017). Flow: mean velocity in {p['dynamics.grid']} × "
        f"{p['dynamics.grid']} cells visited by {p['dynamics.least_visits']} frames or more.",
    )]  # fmt: skip


def mean_interval(mean: float, low: float, high: float) -> str:
    """A sentence on the mean interval between taps, s; none where there was no second tap, NaN as the interval where trials are too few."""
    if not np.isfinite(mean):
        return ""
    value, interval = estimate(mean, low, high)
    known = f"{interval} s (95 %, jackknife over trials)" if np.isfinite(high - low) else "in too few trials for an interval"
    return f"Mean interval between taps: {value} s, {known}."


def timing(page: Page) -> str:
    """Intervals between taps, and what foretells them."""
    result = page.results["timing"]
    outcomes = sorted(set(result["outcome"].tolist()))
    waits = [result["wait"][result["outcome"] == name] for name in outcomes]
    figure = plots.strip(waits, outcomes, "from the first tap (s)", span=(0.7, 0.9))
    says = mean_interval(*(float(x) for x in result["interval_mean"]))
    parts = [panel("What followed a first tap, and when", "taps", figure, "Every wait after a first tap, by how it ended", wide=True)]
    foretold = ""
    if np.isfinite(result["foretold"]).any():
        layers = result["layer"].tolist()
        value, low, high = (result[f"foretold{part}"] for part in ("", "_low", "_high"))
        axes = ("time after the first tap (s)", "held-out variance explained")
        curves = plots.bands(result["lag"], layers, value, low, high, axes, null=result["foretold_null_high"])
        foretold = key(layers, lines=True) + panels(
            panel("What foretells the second tap", "foretold", curves, "How well each layer foretells the interval at each time", wide=True)
        ) + tag("figcaption", "Share of the intervals’ variance, in trials that took no part in the fit, that the layer’s activity at "
                              "one time "
                "explains. Bars: 95 % bootstrap intervals over trials. Dotted: what a twentieth of exchanged intervals "
                "exceed.")  # fmt: skip
    return (
        tag("p", escape(f"The task asks for a second tap 0.7 to 0.9 s after the first (shaded). {says}"), class_="text")
        + panels(*parts) + foretold + numbers_behind("Numbers behind these figures", _timing_table(result)) + left_out(result)
    )  # fmt: skip


def _timing_table(result: Result) -> str:
    rows = []
    for k, lag in enumerate(result["lag"].tolist()):
        for j, layer in enumerate(result["layer"].tolist()):
            value = estimate(*(float(result[f"foretold{part}"][j, k]) for part in ("", "_low", "_high")))
            null = number(float(result["foretold_null"][j, k]), 2)
            rows.append(
                (
                    f"{lag:.2f} s: {layer_title(layer)}",
                    *value,
                    null,
                    p_value(float(result["foretold_p"][j, k])),
                    str(int(result["pairs"][k])),
                )
            )
    columns = ("time and layer", "variance explained", "interval", "null", "p", "pairs of taps")
    return table(columns, rows, caption="What foretells the second tap", numeric=range(1, 6), id_="timing-table") + csv_button(
        "timing-table"
    )


def timing_methods(page: Page) -> Paragraphs:
    """On foretelling taps."""
    p = page.results["timing"].parameters
    return [(
        "Two-tap timing",
        f"Ridge regression (penalty {p['timing.ridge']:g}) of the interval to the second tap on the leading "
        f"{p['timing.num_components']} principal "
        f"components of a layer at one time after the first tap, in {p['timing.folds']} folds of trials; pairs of taps closer than that "
        f"time "
        f"take no part. Null: intervals exchanged between pairs, {p['timing.num_null']} times.",
    )]  # fmt: skip
