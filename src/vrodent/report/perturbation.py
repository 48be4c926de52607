"""The section on perturbations: success and movement against the number of units perturbed, layer by layer, beside the intact animal."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from vrodent.analysis import Result
from vrodent.report.clips import video_address
from vrodent.report.contents import Page, Paragraphs
from vrodent.report.figures import DASHES, SYMBOLS, Figure, _axis, _layout, _list, layer_colour
from vrodent.report.findings import key, left_out, panel, panels
from vrodent.report.markup import estimate, number, numbers_behind, p_value, table, tag
from vrodent.report.numbers import csv_button
from vrodent.report.words import layer_title, measure_title, task_title

KIND = "perturbation_experiment"
_SELECTIONS = ("top", "bottom", "random")
_SELECTED = {"top": "most modulated", "bottom": "least modulated", "random": "random", "none": "none"}


def experiments(page: Page) -> list[Result]:
    """The experiments of a page, by name."""
    return [result for _, result in sorted(page.results.items()) if result.kind == KIND]


def perturbations(page: Page) -> str:
    """Every experiment: curves, films, numbers; or how to make one."""
    found = experiments(page)
    if not found:
        return _how_to(page)
    intro = (
        "Units were held at a value, or driven, while the animal behaved; each trial has its like with the animal intact, in the same "
        "arena and with the same noise. In the paper, clamping the last policy layer breaks a movement, clamping the core leaves the "
        "movement but misdirects it, and driving units elicits a movement best near the motor output."
    )
    return tag("p", escape(intro), class_="text") + "".join(_experiment(page, result) for result in found)


def _how_to(page: Page) -> str:
    """Words for a study without experiments: they take longer than the rest, so they are made on demand."""
    task = "forage" if "forage" in page.results["sessions"]["task"].tolist() else str(page.results["sessions"]["task"][0])
    command = f"vrodent perturb {page.agent} --task {task} --study FOLDER"
    return (
        tag("p", "No units were perturbed in this study. In the paper, clamping the last policy layer breaks a movement, clamping the core "
                 "leaves the movement but misdirects it, and driving units elicits a movement best near the motor output.", class_="text")
        + tag("p", "To try it on this animal, with FOLDER the folder that this page lies in:", class_="text")
        + tag("pre", escape(command), tabindex="0")
        + tag("p", "It ranks units by how much a behaviour modulates them, silences them in new trials, and adds curves and verdicts to "
                   "this page. --trials 3 --ks 16 128 keeps it to minutes; --mode activate drives units instead; --films adds films.",
              class_="text")
    )  # fmt: skip


def _experiment(page: Page, result: Result) -> str:
    layers = [layer for layer in result["agent_layer"].tolist() if layer in result["condition_layer"]]
    activation = result.parameters["mode"] == "activate"
    share = "elicited_share" if activation else "success_share"
    what = f"Drives that elicit {_behaviour(result)}" if activation else f"Trials that succeed ({_success(result)})"
    name = result.name
    main = panels(
        panel(what, f"{name}-share", curves(result, share, layers, ("top",)), f"{what} by layer and number of units", wide=True),
        panel("Speed on the feet", f"{name}-speed", curves(result, "upright_speed", layers, ("top",)),
              "Mean horizontal speed while on the feet, by layer and number of units", wide=True),
    )  # fmt: skip
    by_layer = [
        panel(f"{layer_title(layer)}: which units", f"{name}-{layer}", curves(result, share, [layer], _SELECTIONS),
              f"{what} for the most modulated, the least modulated and random units of {layer_title(layer)}")
        for layer in layers if len(_selections(result, layer)) > 1
    ]  # fmt: skip
    caption = (
        "Points: means over trials, or shares; bars: 95 % intervals (Wilson’s for shares, bootstrap over trials for means). Grey: the "
        "intact animal with its interval. The number of units is on a logarithmic scale. Commands and sessions count layers from 0: "
        f"{layer_title('policy0')} is policy0 there."
    )
    dashes = (
        "Circles, solid: the most modulated units; squares, dashed: the least; diamonds, dotted: random ones, others in every trial."
    )
    return (
        tag("h3", escape(_title(result)))
        + tag("p", escape(_sentence(result)), class_="text")
        + key(layers, lines=False, among=result["agent_layer"].tolist())
        + main
        + tag("figcaption", escape(caption))
        + (panels(*by_layer) + tag("figcaption", escape(dashes)) if by_layer else "")
        + _films(page, result)
        + numbers_behind("Numbers behind these figures", _numbers(result, share, what))
        + left_out(result)
    )


def _selections(result: Result, layer: str) -> set[str]:
    return set(result["condition_selection"][result["condition_layer"] == layer].tolist())


def _behaviour(result: Result) -> str:
    return str(result.parameters["ranked_by"]).replace("_", " ")


def _success(result: Result) -> str:
    return f"{measure_title(str(result.parameters['success_measure']))}: at least {float(str(result.parameters['success_at'])):g}"


def _title(result: Result) -> str:
    task = task_title(str(result.parameters["task"]))
    return f"{task}: units driven" if result.parameters["mode"] == "activate" else f"{task}: units silenced"


def _sentence(result: Result) -> str:
    p = result.parameters
    held = {"mean": "held at their mean", "zero": "held at zero", "noise": "given noise"}[str(p["to"])]
    if p["mode"] == "activate":
        held = f"driven with their average time course in {_behaviour(result)}"
    of = "output" if p["variable"] == "h" else "cell state"
    when = "in the whole trial" if p["window.after"] is None and p["window.duration"] is None else (
        f"for {p['window.duration']} s" if p["window.duration"] is not None else "until the end of the trial"
    )  # fmt: skip
    if p["window.after"] is not None:
        when += f" after {str(p['window.after']).replace('_', ' ')}"
    trials = result["value"].shape[1]
    return (
        f"The {of} of units of one layer at a time was {held}, {when}. Units were ranked by {_behaviour(result)}, which happened "
        f"{p['ranked_by_times']} times in the session. {trials} trial{'' if trials == 1 else 's'} of every condition."
    )


def _numbers_of(result: Result, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if name in result["measure"]:
        at = result["measure"].tolist().index(name)
        return result["mean"][:, at], result["mean_low"][:, at], result["mean_high"][:, at]
    return result[name], result[f"{name}_low"], result[f"{name}_high"]


def curves(result: Result, name: str, layers: list[str], selections: tuple[str, ...]) -> Figure:
    """A share, or a measure's mean, against the number of units; the intact animal as a band."""
    value, low, high = _numbers_of(result, name)
    ks = result["condition_k"]
    ends = [0.8 * float(ks[1:].min()), float(ks.max()) * 1.25]
    intact = [{"x": ends, "y": [_one(edge[0])] * 2, "type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
              for edge in (low, high)]  # fmt: skip
    intact[1] |= {"fill": "tonexty", "fillcolor": "var(--grid)"}
    data: list[dict[str, Any]] = [*intact, {
        "x": ends, "y": [_one(value[0])] * 2, "type": "scatter", "mode": "lines", "name": "intact",
        "line": {"color": "var(--null)", "width": 1.5}, "hovertemplate": "intact: %{y:.3g}<extra></extra>",
    }]  # fmt: skip
    order = result["agent_layer"].tolist()
    for i, selection in enumerate(selections):  # told apart by place and symbol, as layers are where there is one selection
        for layer in layers:
            # All units are one condition, whichever come first: it ends every curve.
            here = (result["condition_layer"] == layer) & ((result["condition_selection"] == selection) | (ks == _most(result, layer)))
            at = np.flatnonzero(here)[np.argsort(ks[here])]
            if len(at) and (selection in _selections(result, layer)):
                place, places = (i, len(selections)) if len(selections) > 1 else (order.index(layer), len(order))
                data.append(_curve(ks[at] * _apart(place, places), value[at], low[at], high[at], layer, selection, place, i))
    x = _axis("units", type="log", tickvals=sorted(set(ks[1:].tolist())), ticktext=[str(k) for k in sorted(set(ks[1:].tolist()))])
    is_share = name.endswith("_share")
    y = _axis("share" if is_share else "m/s", rangemode="tozero", **({"range": [-0.03, 1.03]} if is_share else {}))
    return {"data": data, "layout": _layout(340 if len(layers) > 1 else 280, x, y)}


def _most(result: Result, layer: str) -> int:
    return int(result["condition_k"][result["condition_layer"] == layer].max())


def _apart(index: int, count: int) -> float:
    """A factor that keeps bars from hiding each other."""
    return 1.05 ** (index - (count - 1) / 2)


def _one(value: float) -> float | None:
    return _list(np.array([value]))[0]


def _curve(
    x: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, layer: str, selection: str, symbol: int, dash: int
) -> dict[str, Any]:  # fmt: skip
    colour = layer_colour(layer)
    title = f"{layer_title(layer)}, {_SELECTED[selection]}"
    return {
        "type": "scatter", "mode": "lines+markers", "x": _list(x), "y": _list(value), "name": title,
        "line": {"color": colour, "width": 2, "dash": DASHES[dash % len(DASHES)]},
        "marker": {"color": colour, "size": 8, "symbol": SYMBOLS[symbol % len(SYMBOLS)]},
        "error_y": {"type": "data", "symmetric": False, "array": _list(high - value), "arrayminus": _list(value - low), "color": colour,
                    "thickness": 1.5, "width": 0},
        "hovertemplate": "%{x:.0f} units: %{y:.3g}<extra>" + title + "</extra>",
    }  # fmt: skip


def _films(page: Page, result: Result) -> str:
    """Films of the first trial, intact on the left and perturbed on the right."""
    shown = []
    for i, film in enumerate(result["condition_film"].tolist()):
        path = page.sessions.parent / "results" / film
        if film and path.is_file():
            says = f"{layer_title(str(result['condition_layer'][i]))}, {int(result['condition_k'][i])} units"
            address = video_address(path, page.clips, 2 * page.clips.film_width)
            video = f'<video controls muted playsinline loop preload="metadata" aria-label="{escape(says)}" src="{address}"></video>'
            shown.append(tag("figure", video + tag("figcaption", escape(f"{says}: the intact animal left, the perturbed one right."))))
    return "".join(shown)


def _numbers(result: Result, share: str, what: str) -> str:
    measures = ("success", "upright_speed", "speed", "upright", "joint_speed", "event_rate")
    titles = (_success(result).split(":")[0], "speed on the feet (m/s)", "speed (m/s)", "uprightness", "joint speed (rad/s)",
              f"{_behaviour(result)} per second")  # fmt: skip
    rows = []
    for i, k in enumerate(result["condition_k"].tolist()):
        layer = str(result["condition_layer"][i])
        part = " to ".join(number(float(result[f"{share}_{end}"][i]), 2) for end in ("low", "high"))
        cells = [layer_title(layer) if layer else "intact", _SELECTED[str(result["condition_selection"][i])], str(k),
                 number(float(result[share][i]), 2), part]  # fmt: skip
        for measure in measures:
            at = result["measure"].tolist().index(measure)
            mean, interval = estimate(*(float(result[f"mean{end}"][i, at]) for end in ("", "_low", "_high")))
            cells.append(f"{mean} ({interval})" if interval != "—" else mean)
        cells.append(p_value(float(result["q_value"][i, result["measure"].tolist().index("upright_speed")])))
        rows.append(cells)
    columns = ("layer", "which units", "units", what, "interval", *titles, "speed on the feet, q against intact")
    name = f"{result.name}-table"
    caption = f"{_title(result)}: every condition, mean and 95 % interval over trials"
    return table(columns, rows, caption=caption, numeric=tuple(range(2, len(columns))), id_=name) + csv_button(name)


def perturbation_methods(page: Page) -> Paragraphs:
    """On ranking, trials and intervals."""
    if not experiments(page):
        return []
    paragraphs = [
        ("Perturbation", "Units were ranked by the difference of their mean activity inside an event’s window or a behaviour’s bouts "
         "against outside, in standard deviations, with windows shifted in time as the null. They were then overwritten at every step, "
         "layer by layer, before anything downstream and the action were computed. Trial i of every condition has the same arena, the same "
         "start and the same noise in the actions, in one simulation of parallel worlds; differences from the intact animal are paired by "
         "trial (signs flipped, corrected for the number of conditions by Benjamini & Hochberg). Windows that open several times in a "
         "trial count as independent in Wilson’s interval, which is then too narrow."),
    ]  # fmt: skip
    for result in experiments(page):
        p = result.parameters
        paragraphs.append((
            _title(result),
            f"Layers {', '.join(result['agent_layer'].tolist())}; seed {p['seed']}; {p['physics']} physics; up to {p['time_limit']} s a "
            f"trial; success is {_success(result)}; {p['num_null']} shifts; {p['num_bootstrap']} resamples; session {p['session']}.",
        ))  # fmt: skip
    return paragraphs
