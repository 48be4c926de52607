"""The sections on what layers encode beyond frames: similarity over clusters of behaviour, and linear decoding."""

from __future__ import annotations

from html import escape

import numpy as np

from vrodent.analysis import Result
from vrodent.report import plots
from vrodent.report.contents import Page, Paragraphs
from vrodent.report.findings import key, left_out, panel, panels
from vrodent.report.markup import estimate, number, numbers_behind, p_value, table, tag
from vrodent.report.numbers import csv_button
from vrodent.report.words import layer_title, set_title, task_title


def whole(tasks: list[str]) -> int:
    """Index of the row that joins all tasks, or of the only task."""
    return len(tasks) - 1 if len(tasks) > 2 else 0


def clusters_and_decoding(page: Page) -> str:
    """Similarity over clusters beside linear decoding."""
    rsa, decoding = page.results["rsa"], page.results["decoding"]
    tasks, layers = rsa["task"].tolist(), rsa["layer"].tolist()
    at, sets = whole(tasks), [set_title(name) for name in rsa["set"].tolist()]
    main = plots.dot_rows(sets, layers, *(np.clip(rsa[name][at], -1.0, 1.0) for name in ("rsa", "low", "high")),
                          title="similarity over clusters", null=rsa["null_high"][at], p=rsa["p_corrected"][at])  # fmt: skip
    read = plots.dot_rows(sets, layers, *(np.maximum(decoding[name][at], -0.5) for name in ("r2", "low", "high")),
                          title="held-out variance explained", null=decoding["null_high"][at], p=decoding["p_corrected"][at])  # fmt: skip
    caption = (
        "First: as in the paper, the frames of a feature set are cut into clusters, and the similarities between clusters in activity are "
        "compared with those in the features (debiased CKA of the two matrices; bars end at −1 and 1). Second: the share of a set’s "
        "variance, on trials that took "
        "no part in the fit, that a linear map from the layer explains; values below −0.5 are drawn there. Bars: 95 % intervals over "
        "trials. "
        "Grey ticks: what a twentieth of the shifted pairings exceed. Open marks do not stand out at p < 0.05, corrected."
    )
    return (
        tag("p", "Two further looks at the same question. A layer may hold what single frames’ geometry does not show, and the other way "
            "round; where the three agree the answer does not hang on the measure. The task itself, as a feature, stands under Sharing.",
            class_="text")
        + key(layers, lines=False)
        + panels(
            panel(f"Similarity over clusters, {task_title(tasks[at])}", "rsa", main, "Similarity over clusters of each layer and "
                                                                                     "feature set"),
            panel(f"Linear decoding, {task_title(tasks[at])}", "decoding", read, "Held-out variance of each feature set read from each "
                                                                                 "layer"),
        )
        + tag("figcaption", escape(caption))
        + _matrices(rsa)
        + numbers_behind("Numbers behind these figures", three_way(rsa, "rsa", "similarity", "rsa-table")
                         + three_way(decoding, "r2", "variance explained", "decoding-table"))
        + left_out(rsa) + left_out(decoding)
    )  # fmt: skip


def _matrices(rsa: Result) -> str:
    names = [set_title(str(rsa["matrix_set"][0])), *(layer_title(layer) for layer in rsa["layer"].tolist())]
    shown = [
        panel(name, f"matrix-{i}", plots.image(values, np.arange(len(values)), height=260, titles=("", ""), limits=(-1.0, 1.0)),
              f"Similarity matrix over clusters of {names[0]}: {name}")
        for i, (name, values) in enumerate(zip(names, rsa["matrix"], strict=True))
    ]  # fmt: skip
    caption = f"Correlations between the means of clusters of {names[0]}, clusters in one order throughout: pale −1, dark 1."
    return panels(*shown) + tag("figcaption", escape(caption))


def three_way(result: Result, name: str, title: str, identity: str) -> str:
    """Table of an array by task, set and layer with its interval, null and p-values."""
    parts = (name, "low", "high", "null_mean", "null_high", "p_value", "p_corrected")
    rows = []
    for i, task in enumerate(result["task"].tolist()):
        for k, one in enumerate(result["set"].tolist()):
            for j, layer in enumerate(result["layer"].tolist()):
                value, low, high, mean, upper, p, corrected = (float(result[part][i, j, k]) for part in parts)
                says = f"{task_title(task)}: {set_title(one)}, {layer_title(layer)}"
                rows.append((says, *estimate(value, low, high), number(mean, 2), number(upper, 2), p_value(p), p_value(corrected)))
    columns = ("set and layer", title, "interval", "null mean", "null 95 %", "p", "p corrected")
    return table(columns, rows, caption=f"{title.capitalize()}, by task", numeric=range(1, 7), id_=identity) + csv_button(identity)


def coding_methods(page: Page) -> Paragraphs:
    """On similarity over clusters and on decoding."""
    p = {**page.results["decoding"].parameters, **page.results["rsa"].parameters}
    return [
        (
            "Similarity over clusters",
            f"Each feature set, in its leading {p['rsa.num_components']} principal components at every {p['rsa.every']}th frame, is cut "
            f"into "
            f"{p['rsa.num_clusters']} clusters over all tasks (k-means). Clusters with fewer than {p['rsa.least']} such frames in a "
            f"task are "
            "left out there. Inner products of cluster means make the similarity matrices; debiased CKA compares them. Intervals: "
            "jackknife "
            f"over trials. Null: {p['rsa.num_null']} shifted pairings of activity and clusters within each task.",
        ),
        (
            "Decoding",
            f"Ridge regression (penalty {p['decoding.ridge']:g} of the units’ mean variance) from a layer’s units at every "
            f"{p['decoding.every']}th frame, in {p['decoding.folds']} folds of whole trials, or fewer where a task has fewer trials. "
            f"Intervals: bootstrap over trials of the held-out errors. Null: {p['decoding.num_null']} shifted pairings, each fitted anew. "
            "Across tasks, a map fitted in one task is tried in another, and a constant offset is forgiven.",
        ),
    ]
