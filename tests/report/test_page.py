"""The page as a browser has it: whole by itself, drawn, without errors, fit for a laptop and a phone; its words true to the data."""

import itertools
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.report.browser import CHROMIUM, Browser
from tests.report.study import make_study

from vrodent.analysis import Result
from vrodent.report import ClipConfig, ReportError, write_report

DRAWN = "document.documentElement.dataset.drawn === 'yes'"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(study: Path) -> Path:
    return write_report(study, clips=ClipConfig(seconds=1.0))


class Elements(HTMLParser):
    """Every element with its attributes, and the text by element id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def elements(page: Path) -> Elements:
    return Elements(page.read_text(encoding="utf-8"))


def test_asks_nothing_of_the_network(page: Path, elements: Elements) -> None:
    for tag, attributes in elements.found:
        for name in ("src", "href", "poster", "action"):
            address = attributes.get(name) or ""
            assert address.startswith(("#", "data:")) or not address, f"{tag} {name}={address[:60]}"
    style = re.search(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.S)
    assert style and "url(" not in style[1] and "@import" not in style[1]
    assert page.stat().st_size < 40e6


def test_is_accessible_in_its_structure(elements: Elements) -> None:
    assert elements.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for attributes in elements.all("video"):
        assert attributes["aria-label"]
    plots = [a for a in elements.all("div") if a.get("class") == "plot"]
    assert len(plots) > 30
    assert all(a["role"] == "img" and a["aria-label"] for a in plots)
    buttons = elements.all("button")
    assert len([a for a in buttons if a.get("data-figure-save") == "csv"]) == len(plots)
    assert all(a.get("data-of") in {plot["id"] for plot in plots} for a in buttons if "data-figure-save" in a)
    ids = [a["id"] for _, a in elements.found if a.get("id")]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for a in elements.all("a")]
    assert all(target and target[1:] in ids for target in targets)


def test_says_what_the_data_say(study: Path, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "tiny&lt;&amp;&gt;" in text and "tiny<&>" not in re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert "does not say how long this agent was trained" in text
    assert "neither support nor refute the paper" in text
    assert "6 of 8 trials take part in the analyses below" in text
    assert "gaps, trial 3 is left out: 3.00 s long, 4 s needed." in text
    assert "Not measured: two-tap timing: the orb was never tapped" in text
    for section in ("rsa", "overlap", "sharing", "sequences", "dynamics", "timing"):
        assert f'id="section-{section}"' in text and f'href="#section-{section}"' in text
    table = Result.load(study / "results" / "findings.json")
    for claim, value, verdict, remark in zip(*(table[name].tolist() for name in ("claim", "value", "verdict", "remark")), strict=True):
        assert escape(claim) in text and (value == value or (verdict == "undecided" and remark))
    assert "No video was recorded with this session." in text
    assert '<td>gap crossed</td><td class="number">2</td>' in text
    found = Result.load(study / "results" / "encoding.json")
    at = tuple(list(found[axis]).index(name) for axis, name in (("task", "gaps"), ("layer", "policy0"), ("set", "joint_angles")))
    assert f'"{found["cka"][at]:.2f}*"' in text


def test_the_same_results_make_the_same_page(study: Path, page: Path, tmp_path: Path) -> None:
    again = write_report(study, tmp_path / "deep" / "page.html", clips=ClipConfig(seconds=1.0))
    assert again.read_bytes() == page.read_bytes()


def test_refuses(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no folder of results"):
        write_report(tmp_path)
    (tmp_path / "results").mkdir()
    with pytest.raises(ReportError, match="lacks sessions, spectra, encoding, findings"):
        write_report(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written"):
        write_report(study, tmp_path / "file" / "page.html")
    with pytest.raises(ReportError, match="even number of pixels, 16 or more; got 15"):
        ClipConfig(eye_width=15)


_FIRST_CLAIM_IS_BARE = (
    "(() => { const row = document.querySelector('#findings tbody tr'); row.scrollIntoView({block: 'center', behavior: 'instant'});"
    " const box = row.getBoundingClientRect();"
    " return [5, 40, 100].every(x => row.contains(document.elementFromPoint(box.left + x, box.top + 20))) })()"
)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: the page is not looked at in a browser")
def test_in_a_browser(page: Path) -> None:
    with Browser() as browser:
        for width, height in ((1366, 768), (390, 844)):
            browser.window(width, height)
            browser.open(page, DRAWN)
            assert browser.errors() == []
            assert browser.requests() == []
            assert browser.ask("document.documentElement.scrollWidth") <= width
            assert browser.ask(_FIRST_CLAIM_IS_BARE), "something lies over the first row of the findings"
            browser.ask("drawAll()")
            drawn = browser.ask(
                "[...document.querySelectorAll('.plot')].map(p => [p.id, p.getBoundingClientRect().right,"
                " p.querySelectorAll('.scatterlayer .trace, .heatmaplayer image').length])"
            )
            assert len(drawn) == page.read_text(encoding="utf-8").count('class="plot"') > 30
            assert browser.errors() == []
            for name, right, traces in drawn:
                assert traces > 0, f"{name} is empty at {width} px"
                assert right <= width, f"{name} reaches {right} at {width} px"
        _plays(browser)
        _follows_the_readers_colours(browser, page)


def _plays(browser: Browser) -> None:
    """Both videos play, and the inset keeps to the film."""
    times = browser.ask(
        "(async () => { const film = document.querySelector('.stage > video'), eye = document.querySelector('.eye video');"
        " await film.play(); await new Promise(r => setTimeout(r, 600)); film.pause(); await new Promise(r => setTimeout(r, 300));"
        " return [film.duration, film.currentTime, eye.currentTime, film.videoWidth, eye.videoWidth]; })()"
    )
    duration, film, eye, film_width, eye_width = times
    assert duration == pytest.approx(1.0, abs=0.1)
    assert film > 0 and abs(film - eye) < 0.15
    assert (film_width, eye_width) == (480, 192)


def _follows_the_readers_colours(browser: Browser, page: Path) -> None:
    """Text stands out from its ground by 4.5 to 1 or more, in light and in dark, on the page and in the figures."""
    for dark in (False, True):
        browser.window(1366, 768, dark=dark)
        browser.open(page, DRAWN)
        browser.ask("drawAll()")
        ratios = browser.ask(
            """(() => {
              const light = (text) => { const c = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
              const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              const ground = light(getComputedStyle(document.body).backgroundColor);
              const of = (selector, property) => [...document.querySelectorAll(selector)].slice(0, 40)
                .map(e => ratio(light(getComputedStyle(e)[property]), ground));
              return [...of("p, h1, h2, h3, td, th, caption, figcaption, a, summary", "color"), ...of(".xtick text, .ytick text", "fill")];
            })()"""
        )
        assert len(ratios) > 50
        assert min(ratios) >= 4.5
