"""The methods, with the parameters that were used."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vrodent.report.contents import Page, Paragraphs, Section
from vrodent.report.markup import numbers_behind, table, tag
from vrodent.report.words import task_title

_SPECTRA = (
    (
        "Activity",
        "The LSTM {activity} of every unit, one value a frame of 20 ms. Trials shorter than {min_duration:g} s or with missing "
        "values take no part in the analyses of activity and movement, and are listed above.",
    ),
    (
        "Spectra",
        "Welch’s method inside each trial (windows: {window}; segments of {segment:g} s; mean removed), every unit’s spectrum scaled "
        "to a total of 1. The centroid is the mean frequency weighted by power; the autocorrelation time is the integral of the "
        "autocorrelation up to its first zero. Intervals resample trials ({num_bootstrap} times). Layers are compared with the first "
        "layer, paired by trial, by flipping signs over trials, and, beside it, by permuting layer labels over units.",
    ),
)
_ENCODING = (
    (
        "Features",
        "Actuator forces, joint angles, joint velocities, pose (25 points of the body in the torso’s frame) and movement of the body "
        "(speed, turning, height, pitch, roll). Timescales: Morlet amplitudes (ω₀ = {omega0:g}) of the leading {num_components} principal "
        "components at {num_frequencies} frequencies from 5 to 24 Hz (fast), 1 to 24 Hz (medium) and 0.3 to 5 Hz (slow), inside each "
        "trial. The paper’s 25 Hz is the Nyquist frequency here, where half of a wavelet’s band is folded away; hence 24. Every column is "
        "scaled to unit variance over all tasks.",
    ),
    (
        "Similarity",
        "Linear CKA with the unbiased estimator of HSIC (Song et al. 2012; Kornblith et al. 2019) over all frames. Intervals: jackknife "
        "over trials, because a bootstrap would pair copies of one trial. Frames that follow each other are not independent, so the null "
        "pairs activity with features shifted against it ({num_null} draws; {shifts}): circular shifts of at least {min_shift:g} s over "
        "the joined frames, or another order of the trials. Over all tasks, shifts stay within the task, so that mere differences between "
        "tasks do not count as encoding. p-values are one-sided; corrected ones ask how often the largest standardised value of all layers "
        "and sets would reach so far (Westfall & Young 1993).",
    ),
)


def spectra_methods(page: Page) -> Paragraphs:
    """On activity and its spectra."""
    parameters = page.results["spectra"].parameters
    words = {
        "activity": "output h" if parameters["variable"] == "h" else "cell state c",
        "min_duration": parameters["features.min_duration"],
        "window": parameters["spectra.window"],
        "segment": parameters["spectra.segment_s"],
        "num_bootstrap": parameters["num_bootstrap"],
    }
    return [(title, paragraph.format(**words)) for title, paragraph in _SPECTRA]


def encoding_methods(page: Page) -> Paragraphs:
    """On features and their similarity with activity."""
    parameters = page.results["encoding"].parameters
    kinds = _strings(parameters.get("encoding.null_kinds", ()))
    tasks = [task for task in page.results["encoding"]["task"].tolist() if task != "all"]
    shifts = ", ".join(f"{task_title(t)}: {'trial order' if k == 'trial' else 'circular'}" for t, k in zip(tasks, kinds, strict=True))
    words = {
        "omega0": parameters["features.omega0"],
        "num_components": parameters["features.num_components"],
        "num_frequencies": parameters["features.num_frequencies"],
        "num_null": parameters["encoding.num_null"],
        "min_shift": parameters["encoding.min_shift"],
        "shifts": shifts,
    }
    return [(title, paragraph.format(**words)) for title, paragraph in _ENCODING]


def methods(page: Page, sections: Sequence[Section]) -> str:
    """Paragraphs on every analysis of the page, and the table of parameters."""
    shown = [part for part in sections if part.on(page) and all(page.results[name].present for name in part.needs)]
    paragraphs = [pair for part in shown for pair in part.methods(page)]
    text = "".join(tag("p", tag("strong", f"{title}. ") + escape(paragraph)) for title, paragraph in paragraphs)
    parameters = {key: value for result in page.results.values() for key, value in result.parameters.items()}
    rows = [(key, ", ".join(_strings(value)) if isinstance(value, tuple) else str(value)) for key, value in sorted(parameters.items())]
    listed = table(("parameter", "value"), rows, caption="As used", id_="parameters")
    return tag("div", text, class_="text") + numbers_behind("All parameters", listed)


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, tuple) else []
