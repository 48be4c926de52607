"""The sections on behaviour: the map with a clip of every region, the ethogram of every task, and the gait beside that of rats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from vrodent.analysis import Result
from vrodent.report.clips import EGOCENTRIC, THIRD_PERSON, ClipConfig, video_part
from vrodent.report.contents import Page, Paragraphs
from vrodent.report.figures import DASHES, Figure, _axis, _layout, _list
from vrodent.report.findings import left_out, panel, panels
from vrodent.report.markup import estimate, number, numbers_behind, table, tag
from vrodent.report.numbers import csv_button
from vrodent.report.plots import HEAT, group_colour
from vrodent.report.tasks import group_key
from vrodent.report.words import task_title

MOST_REGIONS = 24
"""Regions that get a clip; the others, of the least mass, stand in the table alone."""

CLIP = ClipConfig(seconds=2.4, film_width=240, eye_width=144, quality=30)
"""Of a region's clips."""

_PAWS = {"hindpaw_L": "left hind", "hindpaw_R": "right hind", "forepaw_L": "left fore", "forepaw_R": "right fore"}


def region_title(result: Result, region: int) -> str:
    """A region's number and suggested name."""
    return f"{region + 1}: {result['region_name'][region]}"


def behaviour(page: Page) -> str:
    """Map, clips, ethograms and the table of regions."""
    result = page.results["behaviour"]
    num = len(result["region_name"])
    names = _names(result)
    chart = panel("Behaviour map", "behaviour-map", map_figure(result), "Density of the behaviour map, cut into regions", wide=True)
    preview = tag("div", tag("p", "Point at a region to see it here.", class_="note"), id="region-preview", class_="preview",
                  aria_live="polite")  # fmt: skip
    cards = "".join(_card(page, result, region) for region in range(min(num, MOST_REGIONS)))
    rasters = [
        panel(task_title(task), f"ethogram-{task}", raster(result, i, names), f"Ethogram of every trial of {task_title(task)}", wide=True)
        for i, task in enumerate(result["task"].tolist())
        if (result["trial_session"] == i).any()
    ]
    held = int(result["trial_held_out"].sum())
    likeness = [result["likeness"][result["trial_held_out"] == out] for out in (True, False)]
    known = [part[np.isfinite(part)] for part in likeness]
    means = [number(float(part.mean()), 2) if len(part) else "—" for part in known]
    intro = (
        f"Frames that lie close together hold like movements. {num} regions; their names are suggested by their kinematics and may be "
        f"wrong: the clips show. " + (
            f"The map was made without {held} held-out trials, which were placed in it afterwards: a held-out trial’s regions overlap "
            f"with those of its task’s other trials by {means[0]}, those of the other trials by {means[1]}." if held else
            f"There were too few trials to hold any out; a trial’s regions overlap with those of its task’s other trials by {means[1]}."
        )
    )  # fmt: skip
    return (
        tag("p", escape(intro), class_="text") + chart + preview
        + tag("figcaption", "Dark: many frames. Lines: borders of regions. A clip shows the stretch, longest and nearest to the peak, that "
              "was filmed from outside, or else what the rat saw.")
        + tag("div", cards, class_="cards")
        + tag("h3", "Ethogram") + group_key(names[:6]) + panels(*rasters)
        + tag("figcaption", "One row a trial. Regions of one suggested name share a colour; names beyond the six most frequent are grey.")
        + numbers_behind("Numbers behind these figures", regions_table(result) + occupancy_table(result)) + left_out(result)
    )  # fmt: skip


def _names(result: Result) -> list[str]:
    """Suggested names, the one of most mass first."""
    mass: dict[str, float] = {}
    for name, share in zip(result["region_name"].tolist(), result["region_mass"].tolist(), strict=True):
        mass[name] = mass.get(name, 0.0) + share
    return sorted(mass, key=lambda name: -mass[name])


def map_figure(result: Result) -> Figure:
    """Density, borders and numbers of regions; each cell knows its region, which the page's script shows."""
    labels = result["region_of_cell"].astype(int)
    titles = [region_title(result, region) for region in range(len(result["region_name"]))]
    x, y = result["map_x"], result["map_y"]
    heat: dict[str, Any] = {
        "type": "heatmap", "z": [_list(row / result["density"].max(), 2) for row in result["density"]], "x": _list(x, 4), "y": _list(y, 4),
        "showscale": False, "colorscale": HEAT, "name": "density", "customdata": labels.tolist(),
        "text": [[titles[k] if k >= 0 else "" for k in row] for row in labels.tolist()], "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    border = {
        "type": "scatter", "mode": "lines", **_borders(labels, x, y), "hoverinfo": "skip", "name": "borders",
        "line": {"color": "var(--quiet)", "width": 1},
    }  # fmt: skip
    numbers = {
        "type": "scatter", "mode": "markers+text", "x": _list(result["region_peak"][:, 0], 4), "y": _list(result["region_peak"][:, 1], 4),
        "text": [str(region + 1) for region in range(len(titles))], "hoverinfo": "skip", "name": "regions",
        "textfont": {"color": "var(--ink)", "size": 13}, "marker": {"color": "var(--raised)", "size": 18, "opacity": 0.85},
    }  # fmt: skip
    bare = {"showgrid": False, "showticklabels": False, "ticks": ""}
    figure = {"data": [heat, border, numbers], "layout": _layout(520, _axis("", **bare), _axis("", scaleanchor="x", **bare))}
    return {**figure, "preview": "region"}


def _borders(labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, list[float | None]]:
    half = (x[1] - x[0]) / 2
    right = np.argwhere(labels[:, 1:] != labels[:, :-1])
    above = np.argwhere(labels[1:] != labels[:-1])
    across = np.column_stack([x[right[:, 1]] + half, x[right[:, 1]] + half, np.full(len(right), np.nan)])
    along = np.column_stack([x[above[:, 1]] - half, x[above[:, 1]] + half, np.full(len(above), np.nan)])
    up = np.column_stack([y[right[:, 0]] - half, y[right[:, 0]] + half, np.full(len(right), np.nan)])
    level = np.column_stack([y[above[:, 0]] + half, y[above[:, 0]] + half, np.full(len(above), np.nan)])
    return {"x": _list(np.concatenate([across, along]), 4), "y": _list(np.concatenate([up, level]), 4)}


def _card(page: Page, result: Result, region: int) -> str:
    """A region's name, its clips from up to two trials, and what it is like."""
    shown: list[str] = []
    for row in np.flatnonzero(result["exemplar_region"] == region).tolist():
        trial, start, stop = (int(result[f"exemplar_{name}"][row]) for name in ("trial", "start", "stop"))
        task, folder = (str(result[name][result["trial_session"][trial]]) for name in ("task", "folder"))
        rate = float(result.parameters["behaviour.rate"])  # type: ignore[arg-type]
        middle = (start + stop) / 2 / rate
        number_ = int(result["trial_number"][trial])
        source = _video(page, folder, number_, max(0.0, middle - CLIP.seconds / 2))
        if source:
            says = f"{region_title(result, region)}: {task_title(task)}, trial {number_}, from {start / rate:.1f} to {stop / rate:.1f} s"
            film = f'<video controls muted playsinline loop preload="auto" aria-label="{escape(says)}" src="{source}"></video>'
            shown.append(tag("figure", film + tag("figcaption", escape(says.split(": ", 1)[1]))))
        if len(shown) == 2:
            break
    values = dict(zip(result["kinematic"].tolist(), result["region_kinematics"][region].tolist(), strict=True))
    line = f"{number(values['speed'], 2)} m/s, {number(values['turning'], 2)} rad/s, pitch {number(values['pitch'], 2)} rad"
    clips = "".join(shown) or tag("p", "None of its stretches was filmed.", class_="note")
    head = tag("h4", escape(region_title(result, region))) + tag("p", escape(line), class_="note")
    return tag("article", head + clips, id=f"region-{region}", class_="card")


def _video(page: Page, folder: str, trial: int, start: float) -> str:
    session = page.sessions / folder
    places = ((session / THIRD_PERSON / f"trial_{trial:03d}.mp4", CLIP.film_width, True),
              (session / EGOCENTRIC / f"trial_{trial:03d}.mkv", CLIP.eye_width, False))  # fmt: skip
    for path, width, smooth in places:
        if folder and path.is_file():
            found = video_part(path, replace(CLIP, seconds=min(CLIP.seconds, page.clips.seconds)), width, start, smooth=smooth)
            if found:
                return found
    return ""


def raster(result: Result, session: int, names: Sequence[str]) -> Figure:
    """Bouts of every trial of a session, coloured by suggested name."""
    rate = float(result.parameters["behaviour.rate"])  # type: ignore[arg-type]
    own = np.flatnonzero(result["trial_session"] == session)
    row_of = {int(trial): row for row, trial in enumerate(own.tolist())}
    of_name = np.array([names.index(name) for name in result["region_name"].tolist()])
    data = []
    for i, name in enumerate(names):
        at = np.flatnonzero(np.isin(result["bout_trial"], own) & (of_name[result["bout_region"]] == i))
        rows = np.array([row_of[int(trial)] for trial in result["bout_trial"][at]], dtype=float)
        gap = np.full(len(at), np.nan)
        x = np.column_stack([result["bout_start"][at] / rate, result["bout_stop"][at] / rate, gap])
        data.append({
            "type": "scatter", "mode": "lines", "x": _list(x, 4), "y": _list(np.column_stack([rows, rows, gap])), "name": name,
            "line": {"color": group_colour(i) if i < 6 else "var(--null)", "width": max(4, min(14, 240 // max(1, len(own))))},
            "hovertemplate": "%{x:.1f} s<extra>" + name + "</extra>",
        })  # fmt: skip
    ticks = [int(result["trial_number"][trial]) for trial in own.tolist()]
    every = max(1, len(ticks) // 12)
    y = _axis("trial", tickvals=list(range(0, len(ticks), every)), ticktext=[str(t) for t in ticks[::every]],
              range=[len(ticks) - 0.5, -0.5], showgrid=False)  # fmt: skip
    return {"data": data, "layout": _layout(90 + min(300, 18 * len(own)), _axis("time (s)", rangemode="tozero"), y)}


def regions_table(result: Result) -> str:
    """Kinematics of every region."""
    units = result["kinematic_unit"].tolist()
    columns = ("region", "share of the map", *(f"{k.replace('_', ' ')}{f' ({u})' if u != '1' else ''}"
                                              for k, u in zip(result["kinematic"].tolist(), units, strict=True)))  # fmt: skip
    rows = [
        (
            region_title(result, i),
            number(float(result["region_mass"][i]), 2),
            *(number(float(v), 2) for v in result["region_kinematics"][i]),
        )
        for i in range(len(result["region_name"]))
    ]
    caption = "Median over frames of each region; of flight the share of frames in free fall"
    return table(columns, rows, caption=caption, numeric=range(1, len(columns)), id_="regions") + csv_button("regions")


def occupancy_table(result: Result) -> str:
    """Share of each task's frames in each region."""
    rows = []
    for s, task in enumerate(result["task"].tolist()):
        for region in range(len(result["region_name"])):
            parts = (float(result[f"occupancy{part}"][s, region]) for part in ("", "_low", "_high"))
            rows.append((f"{task_title(task)}, {region_title(result, region)}", *estimate(*parts)))
    caption = "Share of frames, mean and 95 % bootstrap interval over trials"
    return table(("task and region", "share", "interval"), rows, caption=caption, numeric=(1, 2), id_="occupancy") + csv_button("occupancy")


def behaviour_methods(page: Page) -> Paragraphs:
    """On the map and the ethogram."""
    p = page.results["behaviour"].parameters
    return [(
        "Behaviour map",
        f"After Berman et al. 2014. {p['behaviour.map.spectra.num_modes']} principal components of joint angles and pose, and the movement "
        f"of the trunk; Morlet amplitudes (ω₀ = {p['behaviour.map.spectra.omega0']}) at {p['behaviour.map.spectra.num_frequencies']} "
        f"frequencies from {p['behaviour.map.spectra.lowest']} to {p['behaviour.map.spectra.highest']} Hz within each trial, scaled to a "
        f"total of 1 in each frame; {p['behaviour.map.spectra.posture']} of a frame’s total is given to the posture, and a bin of "
        f"{p['behaviour.map.spectra.floor']} of the median total to stillness. Hellinger distance; openTSNE (perplexity "
        f"{p['behaviour.map.perplexity']}) of {p['behaviour.frames_laid_out']} frames, as many of each task; every "
        f"{p['behaviour.every']}. frame of every trial placed among them. Gaussian density (bandwidth {p['behaviour.map.bandwidth']} of "
        f"the side), watershed, peaks that stand out by less than {p['behaviour.map.contrast']} of their height dissolved. Bouts last "
        f"{p['behaviour.least_bout']} s or more. Kinds of movement: variance between {p['behaviour.map.null_kinds']} k-means clusters, "
        f"against movement whose phases are drawn anew ({p['behaviour.map.num_null']} draws, {p['behaviour.map.null_trials']} trials or "
        "fewer).",
    )]  # fmt: skip


def gait(page: Page) -> str:
    """Stride frequency beside rats', the fastest run, and numbers."""
    result = page.results["gait"]
    speed = panel("Stride frequency", "stride-frequency", frequency_figure(result), "Strides a second against speed, beside rats")
    run = panel("Fastest straight run", "gait-diagram", diagram(result), "When each paw goes back in the fastest straight run")
    ran = len(result["run_down"])
    trial = int(result["run_trial"])
    where = ""
    if ran:
        task = task_title(str(result["task"][result["trial_session"][trial]]))
        where = f" {task}, trial {int(result['trial_number'][trial])}, {number(float(result['run_speed']), 2)} m/s."
    caption = (
        "Left: means over trials in classes of speed, bars: 95 % bootstrap intervals over trials. Squares: intact rats walking and "
        "trotting over ground at the lowest and the highest speed measured (Acta Neurobiol Exp 59:131–144, 1999, "
        "doi:10.55782/ane-1999-1304); the line between them is a power law, not a measurement. Across mammals stride frequency at "
        "comparable gaits falls with about the −0.15 power of body mass (Heglund & Taylor 1988, doi:10.1242/jeb.138.1.301). "
        "Right: bars show when a paw goes back beside the trunk, as it does on the ground."
        + (where or " There was no straight run with two strides of both hind paws.")
    )
    return (
        tag("p", "In the paper the stride frequency of the gallop is close to real rats’.", class_="text")
        + panels(speed, *([run] if ran else [])) + tag("figcaption", escape(caption))
        + numbers_behind("Numbers behind these figures", gait_table(result)) + left_out(result)
    )  # fmt: skip


def frequency_figure(result: Result) -> Figure:
    """Classes of speed with intervals, and rats."""
    at = np.flatnonzero(np.isfinite(result["class_frequency"]))
    value, low, high = (result[f"class_frequency{part}"][at] for part in ("", "_low", "_high"))
    ours = {
        "type": "scatter", "mode": "markers+lines", "x": _list(result["class_speed"][at]), "y": _list(value), "name": "this animal",
        "line": {"color": "var(--accent)", "width": 1.5}, "marker": {"color": "var(--accent)", "size": 8},
        "error_y": {"type": "data", "symmetric": False, "array": _list(high - value), "arrayminus": _list(value - low),
                    "color": "var(--accent)", "thickness": 1.5, "width": 0},
        "customdata": result["class_strides"][at].tolist(),
        "hovertemplate": "%{x:.2f} m/s: %{y:.2f} Hz, %{customdata} strides<extra>this animal</extra>",
    }  # fmt: skip
    law = {
        "type": "scatter", "mode": "lines", "x": _list(result["rat_speed"]), "y": _list(result["rat_frequency"]), "name": "rats, power law",
        "line": {"color": "var(--core)", "width": 2, "dash": DASHES[1]}, "hoverinfo": "skip",
    }  # fmt: skip
    ends = {
        "type": "scatter", "mode": "markers", "x": _list(result["rat_ends"][:, 0]), "y": _list(result["rat_ends"][:, 1]),
        "name": "rats, published", "marker": {"color": "var(--core)", "size": 10, "symbol": "square"},
        "hovertemplate": "%{x:.2f} m/s: %{y:.2f} Hz<extra>rats, published</extra>",
    }  # fmt: skip
    x, y = _axis("forward speed (m/s)", rangemode="tozero"), _axis("strides a second (Hz)", rangemode="tozero")
    legend = {"orientation": "h", "y": 1.12, "x": 0, "font": {"size": 12}}
    return {"data": [law, ends, ours], "layout": _layout(340, x, y, showlegend=True, legend=legend)}


def diagram(result: Result) -> Figure:
    """Footfalls of the fastest run, a row a paw."""
    down, rate = result["run_down"], float(result["run_rate"])
    paws = [str(_PAWS.get(name, name)) for name in result["paw"].tolist()]
    data = []
    for paw, name in enumerate(paws):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], down[:, paw], [False]]).astype(int)))
        pairs = edges.reshape(-1, 2) / rate
        x = np.column_stack([pairs, np.full(len(pairs), np.nan)])
        y = np.where(np.isnan(x), np.nan, float(paw))
        data.append({
            "type": "scatter", "mode": "lines", "x": _list(x), "y": _list(y), "name": name,
            "line": {"color": group_colour(paw), "width": 16}, "hovertemplate": "%{x:.2f} s<extra>" + name + "</extra>",
        })  # fmt: skip
    y_axis = _axis("", tickvals=list(range(len(paws))), ticktext=paws, range=[len(paws) - 0.5, -0.5], showgrid=False, ticks="")
    return {"data": data, "layout": _layout(260, _axis("time (s)", range=[0, max(len(down), 1) / rate]), y_axis)}


def gait_table(result: Result) -> str:
    """Strides of every task."""
    rows = []
    for s, task in enumerate(result["task"].tolist()):
        parts = [estimate(*(float(result[f"task_{name}{part}"][s]) for part in ("", "_low", "_high"))) for name in ("frequency", "duty")]
        ratio = np.exp([float(result[f"task_log_ratio{part}"][s]) for part in ("", "_low", "_high")])
        phases = [number(float(v), 2) for v in result["phase"][s, 1:]]
        count = str(int(result["num_strides"][s]))
        rows.append((task_title(task), count, *parts[0], *parts[1], *estimate(*ratio.tolist()), *phases))
    landing = [f"{_PAWS.get(name, name)} lands" for name in result["paw"].tolist()[1:]]
    columns = ("task", "strides", "frequency (Hz)", "interval", "duty factor", "interval", "times rats’", "interval", *landing)
    caption = (
        "Mean over trials of the trial’s median, 95 % bootstrap interval; landing: mean phase in the stride of the left hind paw, 0 to 1 "
        "(trot: right hind and left fore 0.5, right fore 0)"
    )
    return table(columns, rows, caption=caption, numeric=range(1, len(columns)), id_="gait-table") + csv_button("gait-table")


def gait_methods(page: Page) -> Paragraphs:
    """On strides."""
    p = page.results["gait"].parameters
    return [(
        "Gait",
        f"A paw lands where it is farthest forward along the trunk and lifts where it is farthest back, by {p['gait.least_excursion']} m "
        f"or more, timed between frames by a parabola. Strides of {p['gait.shortest']} to {p['gait.longest']} s count if the animal moves "
        f"forward at {p['gait.least_speed']} m/s or more, upright, turning by less than {p['gait.most_turn']} rad/s on average. Touch "
        "sensors are not used: the soles hardly ever feel the ground. Close to rats: within a quarter, by Student’s t over trials.",
    )]  # fmt: skip
