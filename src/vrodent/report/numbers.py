"""The tables of the page: the numbers behind every figure, so that nothing is to be seen only."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

from vrodent.analysis import Result
from vrodent.report.markup import estimate, number, p_value, table, tag
from vrodent.report.words import MOST_RETURN, layer_title, measure_title, set_title, task_title


def csv_button(table_id: str) -> str:
    """A button that saves a table as CSV."""
    return tag("p", tag("button", "Save as CSV", type="button", data_table=table_id), class_="note")


def measures_of(result: Result, task: str) -> str:
    """One task's success measures with intervals."""
    rows = []
    at = np.flatnonzero(result["measure_task"] == task).tolist()
    for i in at:
        name, unit = str(result["measure_name"][i]), str(result["measure_unit"][i])
        title = measure_title(name) + (f" ({unit})" if unit not in ("", "1") else "")
        if name == "return" and task in MOST_RETURN:
            title += f", of at most {MOST_RETURN[task]:g}"
        mean, low, high = (float(result[f"measure_{part}"][i]) for part in ("mean", "low", "high"))
        rows.append((title, *estimate(mean, low, high)))
    trials = int(result["measure_trials"][at[0]]) if at else 0
    caption = f"{trials} trial{'' if trials == 1 else 's'}; mean and 95 % interval over trials"
    return table(("measure", "mean", "interval"), rows, caption=caption, numeric=(1, 2))


def trials(result: Result) -> str:
    """Every trial."""
    session = result["trial_session"].tolist()
    rows = []
    for i, which in enumerate(session):
        end = "its own rule" if result["trial_terminated"][i] else "time limit" if result["trial_truncated"][i] else "—"
        rows.append(
            (
                f"{task_title(str(result['task'][which]))} {int(result['trial_number'][i])}",
                number(float(result["trial_duration"][i])),
                number(float(result["trial_total_reward"][i])),
                end,
                "yes" if result["trial_used"][i] else "no",
                str(result["trial_arena_seed"][i]),
            )
        )
    columns = ("trial", "duration (s)", "return", "ended by", "in the analyses", "arena seed")
    return table(columns, rows, caption="Every trial recorded", numeric=(1, 2), id_="trials") + csv_button("trials")


def events(result: Result) -> str:
    """How often each event of a task happened."""
    rows = [
        (task_title(str(task)), str(name).replace("_", " "), str(int(count)))
        for task, name, count in zip(result["event_task"], result["event_name"], result["event_count"], strict=True)
    ]
    if not rows:
        return tag("p", "No task event (tap, orb, gap crossing, fall) happened in any trial.", class_="note")
    return table(("task", "event", "times"), rows, caption="Events over all trials", numeric=(2,), id_="events")


def findings(result: Result, sections: Collection[str]) -> str:
    """The paper's claims beside our numbers, each with a link to its section, if that is one of `sections`."""
    rows, links = [], []
    for i, claim in enumerate(result["claim"].tolist()):
        says = [_titled(str(result["statistic"][i])), _titled(str(result["remark"][i]))]
        unit = str(result["unit"][i])
        says[0] += f" ({unit})" if unit != "1" else ""
        written = estimate(*(float(result[part][i]) for part in ("value", "low", "high")))
        null, mean = str(result["null"][i]), float(result["null_value"][i])
        null += f", mean {number(mean, 2)}" if null and np.isfinite(mean) else ""
        rows.append((claim, str(result["verdict"][i]), *written, p_value(float(result["p_value"][i])), null, "; ".join(filter(None, says))))
        links.append(f"#section-{result['section'][i]}" if str(result["section"][i]) in sections else "")
    columns = ("the paper’s claim", "verdict", "value", "interval", "p", "null", "our statistic, over all tasks")
    caption = (
        "Reproduced: the 95 % interval over trials lies on the claim’s side of 0, and p < 0.05 against the null. Opposite: on the other "
        "side. Undecided: neither, or not measured."
    )
    return table(columns, rows, caption=caption, numeric=(2, 3, 4), id_="findings", links=links, stacked=True) + csv_button("findings")


def _titled(text: str) -> str:
    """Layers and sets of features named as people write them."""
    text = re.sub(r"\bpolicy\d+\b", lambda found: layer_title(found[0]), text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)*_(?:fast|medium|slow)\b", lambda found: set_title(found[0]), text)


def timescales(result: Result) -> str:
    """Centroid and autocorrelation time of every layer in every task, with the comparison against the first layer."""
    rows = []
    for i, task in enumerate(result["task"].tolist()):
        for j, layer in enumerate(result["layer"].tolist()):
            row = [f"{task_title(task)}: {layer_title(layer)}"]
            for name in ("centroid", "autocorrelation_time", "centroid_contrast"):
                row += estimate(*(float(result[name + suffix][i, j]) for suffix in ("", "_low", "_high")))
            row += [p_value(float(result[f"centroid_contrast_{name}"][i, j])) for name in ("p_trial", "q", "p_unit")]
            rows.append(row)
    first = layer_title(str(result["layer"][0]))
    columns = (
        *("layer", "centroid (Hz)", "interval", "autocorrelation time (s)", "interval"),
        *(f"centroid less {first}’s (Hz)", "interval", "p, trials", "q, trials", "p, units"),
    )
    caption = (
        "Fluctuations of units; p over trials by flipping signs, q the same corrected for the number of comparisons "
        "(Benjamini & Hochberg), p over units by permuting layers"
    )
    return table(columns, rows, caption=caption, numeric=range(1, 10), id_="timescales-table") + csv_button("timescales-table")


def similarities(result: Result) -> str:
    """CKA of every layer with every set in every task."""
    parts = ("cka", "low", "high", "null_mean", "null_high", "p_value", "p_corrected")
    rows = []
    for i, task in enumerate(result["task"].tolist()):
        for k, name in enumerate(result["set"].tolist()):
            for j, layer in enumerate(result["layer"].tolist()):
                cka, low, high, mean, upper, p, corrected = (float(result[part][i, j, k]) for part in parts)
                title = f"{task_title(task)}: {set_title(name)}, {layer_title(layer)}"
                rows.append((title, *estimate(cka, low, high), number(mean, 2), number(upper, 2), p_value(p), p_value(corrected)))
    columns = ("set and layer", "CKA", "interval", "null mean", "null 95 %", "p", "p corrected")
    caption = (
        "Debiased linear CKA; 95 % interval by jackknife over trials; null by shifted pairings; p corrected for all layers and sets of "
        "the task"
    )
    return table(columns, rows, caption=caption, numeric=range(1, 7), id_="similarities-table") + csv_button("similarities-table")
