"""The parts of the page, in the order they are read."""

from __future__ import annotations

from html import escape

from vrodent.report import numbers
from vrodent.report.activity import dynamics, dynamics_methods, sequences, sequences_methods, timing, timing_methods
from vrodent.report.behaviour import behaviour, behaviour_methods, gait, gait_methods
from vrodent.report.clips import first_clips
from vrodent.report.coding import clusters_and_decoding, coding_methods
from vrodent.report.contents import Page, Section
from vrodent.report.findings import left_out, similarities, timescales
from vrodent.report.markup import number, numbers_behind, tag
from vrodent.report.methods import encoding_methods, methods, spectra_methods
from vrodent.report.origin import Origin
from vrodent.report.perturbation import perturbation_methods, perturbations
from vrodent.report.rest import rest, rest_methods
from vrodent.report.tasks import overlap, overlap_methods, sharing, sharing_methods
from vrodent.report.words import TASKS, task_title

SECTIONS: tuple[Section, ...] = (
    Section(key="findings", title="Findings", show=lambda page: _findings(page)),
    Section(key="tasks", title="The tasks", show=lambda page: _tasks(page)),
    Section(key="trials", title="Trials", show=lambda page: _trials(page)),
    Section(key="behaviour", title="Behaviour", needs=("behaviour",), show=behaviour, methods=behaviour_methods),
    Section(key="gait", title="Gait", needs=("gait",), show=gait, methods=gait_methods),
    Section(key="timescales", title="Timescales of units", needs=("spectra",), show=lambda page: timescales(page.results["spectra"]),
            methods=spectra_methods),
    Section(key="encoding", title="What the layers encode", needs=("encoding",), show=lambda page: similarities(page.results["encoding"]),
            methods=encoding_methods),
    Section(key="rsa", title="What clusters of behaviour and decoding say", needs=("rsa", "decoding"), show=clusters_and_decoding,
            methods=coding_methods),
    Section(key="overlap", title="Behaviour across tasks", needs=("overlap",), show=overlap, methods=overlap_methods),
    Section(key="sharing", title="What layers share across tasks", needs=("sharing",), show=sharing, methods=sharing_methods),
    Section(key="sequences", title="Sequences", needs=("sequences",), show=sequences, methods=sequences_methods),
    Section(key="dynamics", title="Dynamics", needs=("dynamics",), show=dynamics, methods=dynamics_methods),
    Section(key="rest", title="Layers left to themselves", needs=("fixed_points",), show=rest, methods=rest_methods),
    Section(key="timing", title="Two-tap timing", needs=("timing",), show=timing, methods=timing_methods),
    Section(key="perturbation", title="Perturbed units", show=perturbations, methods=perturbation_methods),
    Section(key="methods", title="Methods", show=lambda page: methods(page, SECTIONS)),
    Section(key="origin", title="Origin and versions", show=lambda page: _origin(page)),
)  # fmt: skip
"""In the order they are read. A section whose results are not there is left out."""


def body(page: Page) -> str:
    """Everything inside the body element but scripts of the page."""
    parts = [section for section in SECTIONS if section.on(page)]
    sections = "".join(tag("section", tag("h2", part.title) + part.content(page), id=f"section-{part.key}") for part in parts)
    links = "".join(tag("li", tag("a", part.title, href=f"#section-{part.key}")) for part in parts)
    nav = tag("nav", tag("ul", links), aria_label="Contents")
    return (
        tag("a", "Skip to the content", class_="skip", href="#content")
        + tag("header", _header(page) + nav)
        + tag("main", sections, id="content")
        + tag("footer", _footer(page))
    )


def _header(page: Page) -> str:
    table = page.results["sessions"]
    tasks = [task_title(str(task)) for task in table["task"]]
    units = int(table["layer_size"].sum())
    layers = table["layer"]
    lede = (
        f"A simulated rat with a recurrent network for a brain was put into {_count(len(tasks), 'task')}: {_and(tasks)}. Its body, its "
        f"senses and every unit of its network were recorded at 50 Hz. This page shows what it did, how fast the units of its "
        f"{_count(len(layers), 'layer')} fluctuate, and which movements each layer reflects."
    )
    minutes = float(table["trial_duration"].sum()) / 60
    facts = (
        (str(len(table["trial_session"])), "trials"),
        (number(minutes, 2), "minutes recorded"),
        (str(units), f"units in {_count(len(layers), 'layer')}"),
        (str(len(tasks)), "tasks" if len(tasks) != 1 else "task"),
    )
    listed = "".join(tag("div", tag("dt", escape(what)) + tag("dd", escape(value))) for value, what in facts)
    notice = tag("div", tag("p", tag("strong", "The agent. ") + escape(page.origin.sentence)), class_="notice", role="note")
    return (
        tag("p", f"vrodent study · agent {escape(page.agent)}", class_="eyebrow")
        + tag("h1", "A virtual rat, its behaviour and its network")
        + tag("p", escape(lede), class_="lede text")
        + notice
        + tag("dl", listed, class_="facts")
    )


def _count(amount: int, what: str) -> str:
    words = ("no", "one", "two", "three", "four", "five")
    return f"{words[amount] if amount < len(words) else amount} {what}{'' if amount == 1 else 's'}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _findings(page: Page) -> str:
    trained = page.origin.trained
    warning = ""
    if trained is False:
        warning = (
            " The network is untrained: the verdicts say how the claims fare without learning, and neither support nor refute the paper."
        )
    elif trained is None:
        warning = " It is not known how long this network was trained, so the verdicts neither support nor refute the paper."
    intro = "Claims of the paper that this page can judge, with our number, its interval and its null." + warning
    shown = {part.key for part in SECTIONS if part.on(page)}
    return tag("p", escape(intro), class_="text") + numbers.findings(page.results["findings"], shown)


def _tasks(page: Page) -> str:
    table = page.results["sessions"]
    cards = [_task(page, str(task), str(folder)) for task, folder in zip(table["task"], table["folder"], strict=True)]
    intro = "One trial of each task as a bystander sees it, and, inset, what the rat sees through its head camera of 64 × 64 pixels."
    return tag("p", intro, class_="text") + tag("div", "".join(cards), class_="tasks")


def _task(page: Page, task: str, folder: str) -> str:
    title, rule = TASKS.get(task, (task_title(task), ""))
    clips = first_clips(page.sessions / folder, page.clips) if folder else None
    if clips is None:
        stage = tag("div", tag("p", "No video was recorded with this session.", class_="absent"), class_="stage")
        caption = ""
    else:
        says = f"{title}, trial {clips.trial}"
        film = _video(clips.film, f"{says}: the rat from outside", controls=True)
        eye = tag("div", _video(clips.eye, f"{says}: what the rat sees", controls=False), class_="eye") if clips.eye else ""
        stage = tag("div", (film or tag("p", "Not filmed from outside.", class_="absent")) + eye, class_="stage")
        caption = tag("figcaption", escape(f"Trial {clips.trial}, its first {page.clips.seconds:g} s at most. Inset: what the rat sees."))
    words = tag("h3", escape(title)) + tag("p", escape(rule))
    return tag("article", tag("figure", stage + caption) + words + numbers.measures_of(page.results["sessions"], task), class_="task")


def _video(address: str, label: str, *, controls: bool) -> str:
    if not address:
        return ""
    flags = "controls " if controls else 'tabindex="-1" '
    return f'<video {flags}muted playsinline loop preload="auto" aria-label="{escape(label)}" src="{address}"></video>'


def _trials(page: Page) -> str:
    table = page.results["sessions"]
    unused = int((~table["trial_used"]).sum())
    total = len(table["trial_used"])
    intro = (
        f"All {total} trials take part in the analyses below."
        if not unused
        else f"{total - unused} of {total} trials take part in the analyses below; {unused} are too short or hold missing values."
    )
    return tag("p", intro, class_="text") + numbers.events(table) + numbers_behind("Every trial", numbers.trials(table)) + left_out(table)


def _origin(page: Page) -> str:
    table = page.results["sessions"]
    made = {result.version for result in page.results.values() if result.version}
    rows = ""
    for task, identifier, lineage in zip(table["task"], table["identifier"], table["lineage"], strict=True):
        version = Origin.of(str(lineage)).version or "(not said)"
        rows += tag("li", escape(f"{task_title(str(task))}: session {identifier}, recorded with vrodent {version}"))
    written = "".join(
        tag("h3", escape(task_title(str(task)))) + tag("pre", escape(Origin.of(str(lineage)).written), tabindex="0")
        for task, lineage in zip(table["task"], table["lineage"], strict=True)
    )
    return (
        tag("p", escape(page.origin.sentence), class_="text") + tag("ul", rows)
        + tag("p", f"Analysed with vrodent {escape(', '.join(sorted(made)) or '(not said)')}.")
        + numbers_behind("Lineage and settings of every session, as recorded", written)
    )  # fmt: skip


def _footer(page: Page) -> str:
    return tag(
        "p",
        "After Merel, Aldarondo, Marshall, Tassa, Wayne and Ölveczky, “Deep neuroethology of a virtual rodent”, ICLR 2020. The animal is "
        "simulated; no animal was used. This page holds everything it shows and asks nothing of the network.",
        class_="text",
    )
