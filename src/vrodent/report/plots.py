"""Shapes of figures that several sections share: dots in rows, matrices, clouds, paths, curves. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vrodent.report.figures import DASHES, SYMBOLS, Figure, _axis, _cell, _dots, _layout, _list, layer_colour
from vrodent.report.words import layer_title

HEAT = [[0, "var(--heat-low)"], [0.5, "var(--heat-middle)"], [1, "var(--heat-high)"]]


def group_colour(index: int) -> str:
    """CSS variable of a group's (task's, behaviour's) colour."""
    return f"var(--group{index % 6})"


def dot_rows(
    rows: Sequence[str], layers: Sequence[str], value: np.ndarray, low: np.ndarray, high: np.ndarray, *, title: str, unit: str = "1",
    null: np.ndarray | None = None, p: np.ndarray | None = None,
) -> Figure:  # fmt: skip
    """One number of every layer in every row, with intervals; open marks do not stand out of the null, grey ticks are its upper end.

    Args:
        rows: names, down the page.
        layers: in their colours and symbols.
        value, low, high: (layer, row).
        title: of the axis.
        unit: of the values.
        null: (layer, row) where the null's upper twentieth begins.
        p: (layer, row); where it is 0.05 or more the mark is open.
    """
    data: list[dict[str, Any]] = []
    for j, layer in enumerate(layers):
        y = np.arange(len(rows)) + (j - (len(layers) - 1) / 2) * 0.17
        dots = _dots(value[j], low[j], high[j], y, layer, j, unit=unit)
        if p is not None:
            symbol = SYMBOLS[j % len(SYMBOLS)]
            dots["marker"]["symbol"] = [symbol if one < 0.05 else f"{symbol}-open" for one in p[j].tolist()]
        if null is not None:
            data.append({
                "type": "scatter", "mode": "markers", "x": _list(null[j]), "y": _list(y), "hoverinfo": "skip", "name": "null, upper end",
                "marker": {"symbol": "line-ns-open", "size": 9, "color": "var(--null)", "line": {"width": 1.5}},
            })  # fmt: skip
        data.append(dots)
    y_axis = _axis("", tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.5, -0.5], showgrid=False, ticks="")
    return {"data": data, "layout": _layout(80 + 44 * len(rows), _axis(title, rangemode="tozero"), y_axis)}


def matrix(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, limits: tuple[float, float], written: bool = True,
    titles: tuple[str, str] = ("", ""),
) -> Figure:  # fmt: skip
    """A matrix as colours, with its numbers where they can be read.

    Args:
        values: (row, column).
        rows, columns: names.
        limits: values of the lowest and highest colour.
        written: write the numbers into the cells.
        titles: of the columns and the rows.
    """
    trace: dict[str, Any] = {
        "type": "heatmap", "z": [_list(row, 3) for row in values], "x": list(columns), "y": list(rows), "zmin": limits[0],
        "zmax": limits[1], "showscale": False, "xgap": 1, "ygap": 1, "colorscale": HEAT, "hovertemplate": "%{y}, %{x}: "
                                                                                                          "%{z:.3g}<extra></extra>",
    }  # fmt: skip
    if written:
        trace |= {"text": [[_cell(value, 1.0) for value in row] for row in values.tolist()], "texttemplate": "%{text}"}
    x = _axis(titles[0], side="top", showgrid=False, ticks="", type="category")
    y = _axis(titles[1], autorange="reversed", showgrid=False, ticks="", type="category")
    return {"data": [trace], "layout": _layout(90 + 34 * len(rows), x, y)}


def image(
    values: np.ndarray, x: np.ndarray, *, height: int, titles: tuple[str, str], ticks: tuple[list[float], list[str]] = ([], []),
    limits: tuple[float, float] = (0.0, 1.0), lines: Sequence[float] = (),
) -> Figure:  # fmt: skip
    """A large matrix as a picture.

    Args:
        values: (row, column).
        x: (column,) places of the columns.
        height: pixels.
        titles: of the axes.
        ticks: places and names along the rows.
        limits: values of the lowest and highest colour.
        lines: rows between which a line is drawn.
    """
    trace = {
        "type": "heatmap", "z": [_list(row, 2) for row in values], "x": _list(x), "zmin": limits[0], "zmax": limits[1], "showscale": False,
        "colorscale": HEAT, "hovertemplate": "%{x:.2f}: %{z:.2f}<extra></extra>",
    }  # fmt: skip
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "line": {"color": "var(--ink)", "width": 1}} for at in lines
    ]
    y_axis = _axis(titles[1], autorange="reversed", showgrid=False, tickvals=ticks[0], ticktext=ticks[1], ticks="")
    return {"data": [trace], "layout": _layout(height, _axis(titles[0], showgrid=False), y_axis, shapes=shapes)}


def cloud(points: Sequence[np.ndarray], names: Sequence[str], titles: tuple[str, str], *, size: int = 4, height: int = 300) -> Figure:
    """Points of several groups in a plane, each (point, 2), by colour and symbol."""
    data = []
    for i, (part, name) in enumerate(zip(points, names, strict=True)):
        kept = part[np.isfinite(part).all(axis=1)]
        data.append({
            "type": "scatter", "mode": "markers", "x": _list(kept[:, 0], 4), "y": _list(kept[:, 1], 4), "name": name,
            "marker": {"color": group_colour(i), "size": size, "symbol": SYMBOLS[i % len(SYMBOLS)], "opacity": 0.75},
            "hovertemplate": f"{name}<extra></extra>",
        })  # fmt: skip
    return {"data": data, "layout": _layout(height, _axis(titles[0]), _axis(titles[1]))}


def paths(curves: Sequence[np.ndarray], names: Sequence[str], titles: tuple[str, str], *, marked: int, height: int = 320) -> Figure:
    """Curves (time, 2) in a plane by colour and dash, a mark at sample `marked` of each, an open one at its start."""
    data: list[dict[str, Any]] = []
    for i, (curve, name) in enumerate(zip(curves, names, strict=True)):
        colour = group_colour(i)
        data.append({
            "type": "scatter", "mode": "lines+markers", "x": _list(curve[:, 0], 4), "y": _list(curve[:, 1], 4), "name": name,
            "line": {"color": colour, "width": 2, "dash": DASHES[i % len(DASHES)]},
            "marker": {"color": colour, "symbol": ["circle" if k == marked else "circle-open" for k in range(len(curve))],
                       "size": [9 if k == marked else 8 if k == 0 else 0 for k in range(len(curve))]},
            "hovertemplate": f"{name}<extra></extra>",
        })  # fmt: skip
    return {"data": data, "layout": _layout(height, _axis(titles[0]), _axis(titles[1]))}


def arrows(field: np.ndarray, edges: np.ndarray, layer: str, titles: tuple[str, str], *, height: int = 320) -> Figure:
    """A flow field (x, y, 2) as strokes from dots: a stroke as long as a cell is the fastest."""
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    x, y = np.meshgrid(middle[0], middle[1], indexing="ij")
    seen = np.isfinite(field[..., 0])
    step = edges[:, 1] - edges[:, 0]
    fastest = float(np.max(np.abs(field[seen] / step))) if seen.any() else 1.0
    tip = field[seen] / max(fastest, 1e-12)
    start = np.stack([x[seen], y[seen]], axis=1)
    gap = np.full(len(start), np.nan)
    lines = {
        "type": "scatter", "mode": "lines", "x": _list(np.stack([start[:, 0], start[:, 0] + tip[:, 0], gap], axis=1), 4),
        "y": _list(np.stack([start[:, 1], start[:, 1] + tip[:, 1], gap], axis=1), 4), "name": layer_title(layer),
        "line": {"color": layer_colour(layer), "width": 1.5}, "hoverinfo": "skip",
    }  # fmt: skip
    dots = {
        "type": "scatter", "mode": "markers", "x": _list(start[:, 0], 4), "y": _list(start[:, 1], 4), "name": "start",
        "marker": {"color": layer_colour(layer), "size": 3}, "hoverinfo": "skip",
    }  # fmt: skip
    return {"data": [lines, dots], "layout": _layout(height, _axis(titles[0]), _axis(titles[1]))}


def bands(
    x: np.ndarray, layers: Sequence[str], value: np.ndarray, low: np.ndarray, high: np.ndarray, titles: tuple[str, str], *,
    null: np.ndarray | None = None, height: int = 320,
) -> Figure:  # fmt: skip
    """Curves of layers (layer, x) with intervals as bars; dotted grey: where the null's upper twentieth begins."""
    data: list[dict[str, Any]] = []
    for j, layer in enumerate(layers):
        colour = layer_colour(layer)
        if null is not None:
            data.append({"type": "scatter", "mode": "lines", "x": _list(x), "y": _list(null[j]), "hoverinfo": "skip",
                         "name": "null, upper end", "line": {"color": "var(--null)", "width": 1, "dash": "dot"}})  # fmt: skip
        data.append({
            "type": "scatter", "mode": "lines+markers", "x": _list(x), "y": _list(value[j]), "name": layer_title(layer),
            "line": {"color": colour, "width": 2, "dash": DASHES[j % len(DASHES)]},
            "marker": {"color": colour, "size": 7, "symbol": SYMBOLS[j % len(SYMBOLS)]},
            "error_y": {"type": "data", "symmetric": False, "array": _list(high[j] - value[j]), "arrayminus": _list(value[j] - low[j]),
                        "color": colour, "thickness": 1.2, "width": 0},
            "hovertemplate": "%{x:.2f}: %{y:.3g}<extra>" + layer_title(layer) + "</extra>",
        })  # fmt: skip
    return {"data": data, "layout": _layout(height, _axis(titles[0]), _axis(titles[1]))}


def strip(groups: Sequence[np.ndarray], names: Sequence[str], title: str, *, span: tuple[float, float] | None = None) -> Figure:
    """Every value of several groups as a tick in the group's row; `span` is shaded."""
    data = []
    for i, (values, name) in enumerate(zip(groups, names, strict=True)):
        data.append({
            "type": "scatter", "mode": "markers", "x": _list(values, 4), "y": [i] * len(values), "name": name,
            "marker": {"symbol": "line-ns-open", "size": 18, "color": group_colour(i), "line": {"width": 1.5}},
            "hovertemplate": "%{x:.2f}<extra>" + name + "</extra>",
        })  # fmt: skip
    shapes = [{"type": "rect", "x0": span[0], "x1": span[1], "yref": "paper", "y0": 0, "y1": 1, "fillcolor": "var(--accent-soft)",
               "line": {"width": 0}, "layer": "below"}] if span else []  # fmt: skip
    y = _axis("", tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.5, -0.5], showgrid=False, ticks="")
    return {"data": data, "layout": _layout(90 + 44 * len(names), _axis(title, rangemode="tozero"), y, shapes=shapes)}
