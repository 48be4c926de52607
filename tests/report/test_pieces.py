"""Numbers as they are written, escaping, origin sentences, clips."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from tests.report.study import film

from vrodent.analysis.result import Quantity, Result, absent
from vrodent.report.activity import mean_interval
from vrodent.report.clips import ClipConfig, first_clips, shrink
from vrodent.report.contents import Page, Section
from vrodent.report.errors import ReportError
from vrodent.report.markup import embedded_json, estimate, number, p_value, table
from vrodent.report.origin import Origin

MINUS, THIN = "\u2212", "\u202f"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (1.23456, "1.23"), (-0.00123456, f"{MINUS}0.00123"), (12.0, "12.0"), (1234567.0, f"1{THIN}234{THIN}567"),
     (float("nan"), "—")],
)  # fmt: skip
def test_number(value: float, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ((675.12, 564.3, 786.9), ("675", "564 to 787")),
        ((0.0599, 0.05923, 0.06061), ("0.0599", "0.0592 to 0.0606")),
        ((-0.5, -1.25, 0.25), (f"{MINUS}0.5", f"{MINUS}1.2 to 0.2")),
        ((3.0, 3.0, 3.0), ("3.00", "3.00 to 3.00")),
        ((2.5, float("nan"), float("nan")), ("2.50", "—")),
    ],
)
def test_an_estimate_has_as_many_digits_as_its_interval_bears(values: tuple[float, float, float], written: tuple[str, str]) -> None:
    assert estimate(*values) == written


def test_p_values() -> None:
    assert [p_value(p) for p in (0.0001, 0.012, 0.25, float("nan"))] == ["< 0.001", "0.012", "0.25", "—"]


def test_data_cannot_break_out_of_the_page() -> None:
    assert "<b>" not in table(("<b>",), (("<b>x</b>",),), caption="<b>")
    assert "</script" not in embedded_json({"x": "</script><script>alert(1)</script>"})


def test_a_section_is_left_out_without_its_result_and_says_why_an_analysis_was_not_possible(tmp_path: Path) -> None:
    section = Section(key="jumps", title="Jumps", needs=("jumps",), show=lambda page: "shown")
    assert not section.on(Page(results={}, sessions=tmp_path, clips=ClipConfig()))
    page = Page(results={"jumps": absent("jumps", "too <few> jumps")}, sessions=tmp_path, clips=ClipConfig())
    assert section.on(page) and "Not measured: too &lt;few&gt; jumps" in section.content(page)
    there = Result(name="jumps", kind="jumps", arrays={"x": Quantity(values=np.ones(1), axes=("one",))})
    assert section.content(Page(results={"jumps": there}, sessions=tmp_path, clips=ClipConfig())) == "shown"


def test_a_table_that_stacks_names_its_columns_in_every_row_and_links_where_there_is_something() -> None:
    made = table(("claim", "p"), (("a", "0.1"), ("b", "0.2")), caption="c", links=("#x", ""), stacked=True)
    assert '<th scope="row"><a href="#x">a</a></th><td data-label="p">0.1</td>' in made
    assert '<th scope="row">b</th><td data-label="p">0.2</td>' in made and '<table class="stacked">' in made


@pytest.mark.parametrize(
    ("lineage", "trained", "says"),
    [
        ('{"vrodent": "0.1.0", "agent_lineage": {"steps": 0}}', False, "untrained: its weights are random"),
        ('{"agent_lineage": {"steps": 1200000}}', True, "trained for 1 200 000 training steps"),
        ('{"agent_lineage": {"steps": 12, "skills": 5}}', True, "Its limbs are moved by 5 skills"),
        ('{"agent_lineage": {"steps": 12, "skills": 5, "tap_clock": true}}', True, "kept by a clock beside the network"),
        ('{"agent_lineage": {"steps": 12, "skills": 5, "compass": true}}', True, "reckoned by a compass beside the network"),
        ('{"agent_lineage": {}}', None, "does not say how long"),
        ("not json", None, "does not say how long"),
        ("[1]", None, "does not say how long"),
    ],
)
def test_the_agents_origin_is_told_as_recorded(lineage: str, trained: bool | None, says: str) -> None:
    origin = Origin.of(lineage)
    assert origin.trained is trained
    assert says in origin.sentence.replace("\u202f", " ")
    assert ("skills" in origin.sentence) == ("skills" in lineage)
    assert ("clock" in origin.sentence) == ("clock" in lineage)
    assert ("compass" in origin.sentence) == ("compass" in lineage)


def test_clips_are_short_of_one_rate_and_in_step(tmp_path: Path) -> None:
    film(tmp_path)
    clips = first_clips(tmp_path, ClipConfig(seconds=1.2))
    assert clips and clips.trial == 0 and clips.film and clips.eye
    seen = []
    for name, width in (("third_person/trial_000.mp4", 480), ("egocentric/trial_000.mkv", 192)):
        with av.open(io.BytesIO(shrink(tmp_path / name, ClipConfig(seconds=1.2), width))) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert container.streams.video[0].average_rate == 25
        assert len(frames) == 30 and frames[0].shape[1] == width
        seen.append([frame.mean() for frame in frames])
    assert max(abs(a - b) for a, b in zip(*seen, strict=True)) < 8  # brightness counts the time: the same in both


def test_a_broken_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "third_person").mkdir()
    (tmp_path / "third_person" / "trial_000.mp4").write_bytes(b"no video")
    with pytest.raises(ReportError, match=r"trial_000\.mp4 cannot be read as a video"):
        first_clips(tmp_path, ClipConfig())
    assert first_clips(tmp_path / "nowhere", ClipConfig()) is None


def test_a_mean_interval_says_its_uncertainty_or_why_there_is_none():
    nan = float("nan")
    assert mean_interval(0.81, 0.77, 0.85) == "Mean interval between taps: 0.810 s, 0.770 to 0.850 s (95 %, jackknife over trials)."
    assert mean_interval(0.2, nan, nan).endswith(" s, in too few trials for an interval.")
    assert mean_interval(nan, nan, nan) == ""
