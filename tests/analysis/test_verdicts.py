"""Claims are judged as planted, every claim has a row, and no row is reproduced without its interval and its null."""

import numpy as np
import pytest
from tests.analysis.signals import red_noise
from tests.analysis.synthetic import make_session

from vrodent.analysis.data import prepare
from vrodent.analysis.pipeline import AnalysisConfig
from vrodent.analysis.tables import spectra
from vrodent.analysis.verdicts import SPECTRA_CLAIMS, Claim, complete, findings_result, judge_spectra


def judged(last: float) -> list[str]:
    """Verdicts on timescales for a core of 1 s, a first policy layer of 0.3 s, and a last of `last` s."""
    rng = np.random.default_rng(0)
    total = 6 * 210
    planted = {f"activity_{layer}_h": red_noise(rng, total, 8, tau) for layer, tau in (("core", 1.0), ("policy0", 0.3), ("policy1", last))}
    session = make_session((210,) * 6, {"core": 8, "policy0": 8, "policy1": 8}, planted=planted)
    found = spectra(prepare([session]), AnalysisConfig(num_bootstrap=300), np.random.default_rng(0), lambda: None)
    return [finding.verdict for finding in judge_spectra(found)]


def test_the_first_policy_layer_is_slower_than_the_last_only_where_it_is() -> None:
    assert judged(0.05) == ["reproduced"] * 3
    assert judged(0.3)[2] == "undecided"


CLAIM = Claim(claim="a", statistic="s", expected=1, section="here", null="n")


@pytest.mark.parametrize(
    ("low", "high", "p"), [(np.nan, 2.0, 0.01), (0.5, np.nan, 0.01), (0.5, 2.0, np.nan), (0.5, 2.0, 0.05), (-0.1, 2.0, 0.001)]
)
def test_nothing_is_reproduced_without_an_interval_and_a_null(low: float, high: float, p: float) -> None:
    assert CLAIM.measured(1.0, low, high, p).verdict == "undecided"
    assert CLAIM.measured(1.0, 0.5, 2.0, 0.01).verdict == "reproduced"


def test_every_claim_has_a_row_and_an_unmeasured_one_its_reason() -> None:
    other = Claim(claim="b", statistic="s", expected=-1, section="here")
    rows = complete((CLAIM, other), [other.measured(-1.0, -2.0, -0.5, 0.01)], "no jumps")
    table = findings_result(rows)
    assert table["claim"].tolist() == ["a", "b"] and table["verdict"].tolist() == ["undecided", "reproduced"]
    assert table["remark"].tolist() == ["no jumps", ""]
    undefined = complete((CLAIM,), [CLAIM.measured(np.nan, np.nan, np.nan, np.nan)], "")[0]
    assert "not defined" in undefined.remark
    with pytest.raises(ValueError, match="does not name: c"):
        complete((CLAIM,), [Claim(claim="c", statistic="", expected=1, section="").measured(1, 0, 2, 0.5)], "")
    assert {claim.section for claim in SPECTRA_CLAIMS} == {"timescales"}
