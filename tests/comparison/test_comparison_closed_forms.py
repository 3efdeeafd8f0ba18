"""Numbers of a comparison against closed forms and inequalities that hold for any events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from known_events import EXPECTED, LUMINOSITY, compared, one, two, uniform
from scipy.optimize import brentq
from scipy.stats import chi2

from smeft_unbinned.comparison import ALONE, TOGETHER
from smeft_unbinned.processes import toy, vh

COUNTS = [2, 3, 5, 10, 100]
DELTA = chi2.ppf(0.95, 1)


def test_linear_bins_keep_what_the_integral_says(tmp_path: Path) -> None:
    """Of score x, uniform in [-1, 1], k equal bins keep 1 - 1/k^2 of the information N/3."""
    found = compared(tmp_path, uniform(), [{"equal": ["x"], "n": COUNTS}], quadratic=False)
    exact = one(found, "exact", "width")
    assert exact == pytest.approx(2.0 * np.sqrt(DELTA / (EXPECTED / 3.0)), rel=1e-6)
    for k in COUNTS:
        share = 1.0 - 1.0 / k**2
        name = f"x, {k} equal bins"
        assert one(found, name, "fisher_ratio") == pytest.approx(share, rel=1e-6)
        assert one(found, name, "width_ratio") == pytest.approx(share**-0.5, rel=1e-6)
        assert one(found, name, "equivalent_luminosity") == pytest.approx(share * LUMINOSITY, rel=1e-6)
        assert one(found, name, "determinant_ratio") == pytest.approx(share, rel=1e-6)
        assert one(found, name, "bins") == k
    ratios = found.saturation["width_ratio"].to_numpy()
    assert list(found.saturation["bins"]) == COUNTS
    assert np.all(np.diff(ratios) < 0)


def test_optimal_edge_of_a_line_is_its_middle(tmp_path: Path) -> None:
    found = compared(tmp_path, uniform(), [{"optimal": ["x"], "n": [2, 4]}], quadratic=False)
    edges = found.binning["x, 4 optimal bins"]["inner_edges"]["x"]
    assert found.binning["x, 2 optimal bins"]["inner_edges"]["x"] == pytest.approx([0.0], abs=0.03)
    assert edges == pytest.approx([-0.5, 0.0, 0.5], abs=0.03)
    error = one(found, "x, 2 optimal bins", "width_error")
    assert one(found, "x, 2 optimal bins", "width_ratio") == pytest.approx(0.75**-0.5, abs=4 * error)


def test_a_feature_that_says_nothing_keeps_the_rate(tmp_path: Path) -> None:
    """Bins in y, independent of the score x + 1, keep what the rate does: 1/(1 + 1/3)."""
    found = compared(tmp_path, uniform(offset=1.0), ["rate", {"bins": {"y": [0, 0.5, 1]}}], quadratic=False)
    assert one(found, "rate", "fisher_ratio") == pytest.approx(0.75, rel=1e-6)
    assert one(found, "y, 2 bins", "fisher_ratio") == pytest.approx(0.75, rel=1e-3)
    assert one(found, "shape only", "fisher_ratio") == pytest.approx(0.25, rel=1e-6)


def test_rate_alone_by_hand(tmp_path: Path) -> None:
    """N(c) = N (1 + c + 0.4 c^2) has the SM rate at c = -2.5 again: the interval has two pieces."""
    found = compared(tmp_path, uniform(square=0.4, offset=1.0), ["rate"])

    def q(n: float) -> float:
        return 2.0 * (n - EXPECTED - EXPECTED * np.log(n / EXPECTED)) - DELTA

    low, high = brentq(q, 1e-3, EXPECTED), brentq(q, EXPECTED, 5 * EXPECTED)
    ends = [np.roots([0.4, 1.0, 1.0 - n / EXPECTED]) for n in (low, high)]
    inner, outer = sorted(ends[0]), sorted(ends[1])
    rows = found.table.query("version == 'rate' and level == 0.95")
    assert list(rows["piece"]) == [0, 1]
    assert rows["lower"].to_numpy() == pytest.approx([outer[0], inner[1]], rel=1e-6)
    assert rows["upper"].to_numpy() == pytest.approx([inner[0], outer[1]], rel=1e-6)
    assert one(found, "rate", "width") == pytest.approx(
        (inner[0] - outer[0]) + (outer[1] - inner[1]), rel=1e-6
    )


def test_gaussian_rate_by_hand(tmp_path: Path) -> None:
    """Without quadratic terms (N c)^2/N = Delta: c = +-sqrt(Delta/N), with them the same in linear order."""
    scheme = {"rate": True, "likelihood": "both"}
    found = compared(tmp_path, uniform(offset=1.0), [scheme], quadratic="both")
    expected = 2.0 * np.sqrt(DELTA / EXPECTED)
    assert one(found, "rate, Gaussian", "width", terms="quadratic") == pytest.approx(expected, rel=1e-6)
    assert one(found, "rate, Gaussian", "width", terms="linear") == pytest.approx(expected, rel=1e-9)
    assert one(found, "rate", "width", terms="linear") == pytest.approx(expected, rel=1e-9)
    assert one(found, "rate", "width", terms="quadratic") == pytest.approx(expected, rel=1e-3)


def test_more_bins_never_know_less_and_none_more_than_events(tmp_path: Path) -> None:
    """Nested bins of a purely quadratic toy: monotone, above the exact width, and near it in the end."""
    found = compared(
        tmp_path,
        toy.generate(20_000, seed=1),
        [{"equal": ["x"], "n": [2, 4, 8, 16, 32, 64]}, "rate"],
        luminosity=0.5,
    )
    ratios = found.saturation["width_ratio"].to_numpy()
    assert np.all(np.diff(ratios) < 1e-6)
    assert ratios[-1] == pytest.approx(1.0, abs=2e-3)
    assert np.all(found.gains["width_ratio"] >= 1.0 - 1e-6)


def test_no_version_beats_the_exact_one(tmp_path: Path) -> None:
    """The data-processing inequality, exact on the same events, for single and profiled intervals."""
    events = vh.generate(4000, operators=("cHW", "cHq3"), seed=3, unweighted=False)
    schemes = [
        "rate", "stxs", {"equal": ["m_zh", "cos_theta_star"], "n": [2, 4]}, {"score": [2, 4]},
        {"bins": {"pt_z": [[75, 150], [200, 400]]}},
    ]  # fmt: skip
    found = compared(tmp_path, events, schemes, luminosity=300, efficiency=0.01, quadratic="both")
    gains = found.gains
    assert set(gains["fit"]) == {ALONE, TOGETHER}
    assert np.all(gains["width_ratio"] >= 1.0 - 1e-5)
    assert np.all(gains["fisher_ratio"] <= 1.0 + 1e-9)
    assert np.all(gains["determinant_ratio"] <= 1.0 + 1e-9)
    together = found.ratios(TOGETHER, "linear")
    assert np.isinf(together["rate"]).all()
    assert "nothing constrains cHW, cHq3 with linear rates" in set(found.table["note"])
    for _, rows in found.saturation.groupby(["family", "fit", "terms", "operator"]):
        assert np.all(np.diff(rows["width_ratio"].to_numpy()) < 1e-5)


def test_rate_and_shape_share_the_information(tmp_path: Path) -> None:
    """I = I_rate + I_shape, for each coefficient with the others fixed."""
    found = compared(tmp_path, two(), ["rate"], quadratic="both")
    for terms in ("linear", "quadratic"):
        for name in ("a", "b"):
            where = {"fit": ALONE, "terms": terms, "operator": name}
            parts = [one(found, v, "fisher_ratio", **where) for v in ("rate", "shape only")]
            assert sum(parts) == pytest.approx(1.0, rel=1e-9)


def test_the_sign_is_found_where_a_feature_knows_it(tmp_path: Path) -> None:
    """Data at c = 0.3 of r = 1 + c x + c^2: the rate knows c^2 alone, bins in x the sign.

    The shape, 1 + x c/(1 + c^2), is that of 1/c too.
    """
    schemes = ["rate", {"bins": {"x": [-1, 0, 1]}}]
    found = compared(tmp_path, uniform(square=1.0), schemes, at={"c": 0.3})
    pieces = found.table.query("level == 0.95").groupby("version")["piece"].max() + 1
    assert dict(pieces) == {"exact": 1, "shape only": 2, "rate": 2, "x, 2 bins": 1}
    shape = found.table.query("version == 'shape only' and level == 0.95 and piece == 1").iloc[0]
    assert shape["lower"] < 1 / 0.3 < shape["upper"]
    rate = found.table.query("version == 'rate' and level == 0.95")
    assert rate["lower"].to_numpy() == pytest.approx(-rate["upper"].to_numpy()[::-1], rel=1e-6)
    assert rate["lower"].iloc[1] < 0.3 < rate["upper"].iloc[1]


def test_linear_data_away_from_the_sm_are_met(tmp_path: Path) -> None:
    found = compared(tmp_path, two(), [{"equal": "x", "n": 4}], at={"a": 0.2}, quadratic=False)
    rows = found.table.query("operator == 'a' and fit == 'all together'")
    assert set(rows["version"]) == {"exact", "shape only", "x, 4 equal bins"}
    assert (0.5 * (rows["lower"] + rows["upper"])).to_numpy() == pytest.approx(0.2, rel=1e-6)
