"""Results as Plotly figures: plain dictionaries of data and layout, colours named as the page's CSS variables. Nothing is computed here."""

from __future__ import annotations

from typing import Any

import numpy as np

from vrodent.analysis.result import Result
from vrodent.report.words import layer_title, set_title, task_title

Figure = dict[str, Any]

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_TOOLS = 26  # pixels above the axes, for the buttons that would lie on the data
_TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
_FONT = {"family": "Inter, Helvetica Neue, Segoe UI, Liberation Sans, Arial, sans-serif", "size": 13, "color": "var(--ink)"}


def layer_colour(layer: str) -> str:
    """CSS variable of a layer's colour."""
    return f"var(--{layer})" if layer in ("core", "policy0", "policy1", "policy2", "policy3") else "var(--accent)"


def _axis(title: str, **extra: Any) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}}, "tickfont": {"size": 12},
        "gridcolor": "var(--grid)", "linecolor": "var(--rule)", "zeroline": False,
        "tickcolor": "var(--rule)", "ticks": "outside", "ticklen": 4, "automargin": True, "fixedrange": False, **extra,
    }  # fmt: skip


def _layout(height: int, x: dict[str, Any], y: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {
        "height": height + _TOOLS - 10, "margin": {"l": 8, "r": 10, "t": _TOOLS, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": _FONT, "showlegend": False, "xaxis": x, "yaxis": y, "dragmode": False,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "var(--null)", "activecolor": "var(--ink)"},
        "hoverlabel": {"bgcolor": "var(--raised)", "bordercolor": "var(--rule)", "font": _FONT}, **extra,
    }  # fmt: skip


def _list(values: np.ndarray, digits: int = 5) -> list[float | None]:
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in np.ravel(values).tolist()]


def spectrum(result: Result, task: int, *, tall: bool = False) -> Figure:
    """Mean spectrum of every layer in one task, with its interval as a band."""
    frequency = _list(result["frequency"])
    data: list[dict[str, Any]] = []
    for i, layer in enumerate(result["layer"].tolist()):
        low, high, mean = (_list(result[f"power{suffix}"][task, i]) for suffix in ("_low", "_high", ""))
        shared = {"x": frequency, "type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
        band = f"var(--{layer}-band)" if layer_colour(layer) != "var(--accent)" else "var(--accent-soft)"
        data += [
            {**shared, "y": low},
            {**shared, "y": high, "fill": "tonexty", "fillcolor": band},
            {"x": frequency, "y": mean, "type": "scatter", "mode": "lines", "name": layer_title(layer),
             "line": {"color": layer_colour(layer), "width": 2.25, "dash": DASHES[i % len(DASHES)]},
             "hovertemplate": "%{x:.2f} Hz: %{y:.3g} per Hz<extra>" + layer_title(layer) + "</extra>"},
        ]  # fmt: skip
    x = _axis("frequency (Hz)", type="log", tickvals=_TICKS, ticktext=[f"{t:g}" for t in _TICKS])
    shown = np.concatenate([result["power_low"].ravel(), result["power_high"].ravel()])
    shown = np.log10(shown[np.isfinite(shown) & (shown > 0)])
    limits = [float(shown.min()) - 0.1, float(shown.max()) + 0.1] if len(shown) else [-3.0, 1.0]  # one range, so that tasks compare
    y = _axis("share of power (1/Hz)", type="log", dtick=1, exponentformat="power", range=limits)
    return {"data": data, "layout": _layout(400 if tall else 300, x, y)}


def by_task(result: Result, name: str, title: str) -> Figure:
    """One number of every layer in every task, with intervals: tasks down the page, layers by colour and symbol."""
    tasks, layers = result["task"].tolist(), result["layer"].tolist()
    data = []
    for j, layer in enumerate(layers):
        offset = (j - (len(layers) - 1) / 2) * 0.16
        value, low, high = (result[name + suffix][:, j] for suffix in ("", "_low", "_high"))
        data.append(_dots(value, low, high, np.arange(len(tasks)) + offset, layer, j, unit=result.arrays[name].unit))
    y = _axis("", tickvals=list(range(len(tasks))), ticktext=[task_title(t) for t in tasks], autorange="reversed", showgrid=False, ticks="")
    return {"data": data, "layout": _layout(64 + 52 * len(tasks), _axis(title, rangemode="tozero"), y)}


def _dots(value: np.ndarray, low: np.ndarray, high: np.ndarray, y: np.ndarray, layer: str, index: int, unit: str = "") -> dict[str, Any]:
    colour = layer_colour(layer)
    return {
        "type": "scatter", "mode": "markers", "x": _list(value), "y": _list(y), "name": layer_title(layer),
        "error_x": {"type": "data", "symmetric": False, "array": _list(high - value), "arrayminus": _list(value - low), "color": colour,
                    "thickness": 1.5, "width": 0},
        "marker": {"color": colour, "size": 8, "symbol": SYMBOLS[index % len(SYMBOLS)], "line": {"color": colour, "width": 1.5}},
        "customdata": [[a, b] for a, b in zip(_list(low), _list(high), strict=True)],
        "hovertemplate": "%{x:.3g} " + ("" if unit == "1" else unit) + " (%{customdata[0]:.3g} to %{customdata[1]:.3g})<extra>"
        + layer_title(layer) + "</extra>",
    }  # fmt: skip


def similarity(result: Result, task: int) -> Figure:
    """CKA of every layer with every feature set, with intervals; open marks do not stand out of the null, grey ticks are its upper end."""
    sets, layers = result["set"].tolist(), result["layer"].tolist()
    data: list[dict[str, Any]] = []
    for j, layer in enumerate(layers):
        y = np.arange(len(sets)) + (j - (len(layers) - 1) / 2) * 0.17
        dots = _dots(result["cka"][task, j], result["low"][task, j], result["high"][task, j], y, layer, j, unit="1")
        p = result["p_corrected"][task, j]
        symbol = SYMBOLS[j % len(SYMBOLS)]
        dots["marker"]["symbol"] = [symbol if value < 0.05 else f"{symbol}-open" for value in p.tolist()]
        null = {
            "type": "scatter", "mode": "markers", "x": _list(result["null_high"][task, j]), "y": _list(y), "hoverinfo": "skip",
            "marker": {"symbol": "line-ns-open", "size": 9, "color": "var(--null)", "line": {"width": 1.5}},
        }  # fmt: skip
        data += [null, dots]
    y_axis = _axis(
        "", tickvals=list(range(len(sets))), ticktext=[set_title(s) for s in sets], autorange="reversed", showgrid=False, ticks=""
    )
    x_axis = _axis("debiased linear CKA", rangemode="tozero")
    return {"data": data, "layout": _layout(70 + 40 * len(sets), x_axis, y_axis)}


def heatmap(result: Result, task: int, highest: float) -> Figure:
    """CKA of every layer with every feature set in one task; a star where it stands out of the null."""
    sets, layers = result["set"].tolist(), result["layer"].tolist()
    cka, p = result["cka"][task], result["p_corrected"][task]
    cells = [[_cell(cka[j, i], p[j, i]) for j in range(len(layers))] for i in range(len(sets))]
    data = [{
        "type": "heatmap", "z": [_list(row, 4) for row in cka.T], "x": [layer_title(x) for x in layers], "y": [set_title(s) for s in sets],
        "text": cells, "texttemplate": "%{text}", "zmin": 0, "zmax": highest, "showscale": False, "xgap": 2, "ygap": 2,
        "colorscale": [[0, "var(--heat-low)"], [0.5, "var(--heat-middle)"], [1, "var(--heat-high)"]],
        "hovertemplate": "%{y}, %{x}: %{z:.3f}<extra></extra>",
    }]  # fmt: skip
    x = _axis("", side="top", showgrid=False, ticks="")
    y = _axis("", autorange="reversed", showgrid=False, ticks="")
    return {"data": data, "layout": _layout(50 + 25 * len(sets), x, y, font={**_FONT, "size": 12})}


def _cell(value: float, p: float) -> str:
    written = "" if not np.isfinite(value) else "0.00" if abs(value) < 0.005 else f"{value:.2f}".replace("-", "\u2212")
    return written + ("*" if p < 0.05 else "")
