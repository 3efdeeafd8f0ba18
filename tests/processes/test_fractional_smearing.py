"""Fractional smearing: what it keeps, whom it repeats, the closed form of the toy; files of resolutions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.integrate import quad
from scipy.stats import norm

from smeft_unbinned import Events, Polynomial
from smeft_unbinned.errors import InputError
from smeft_unbinned.processes import toy, vh
from smeft_unbinned.processes.smearing import (
    ZH_DETECTOR,
    Resolution,
    fractional_smear,
    load_resolutions,
    outlier_scores,
    smear,
)

NOISE = {"x": Resolution(absolute=0.6)}


@pytest.fixture(scope="module")
def zh() -> Events:
    return vh.generate(3_000, seed=5, operators=("cHW", "cHq3", "cHWtil", "cHu"), unweighted=False)


def means(events: Events, edges: np.ndarray) -> np.ndarray:
    """Weighted mean of the quadratic label in bins of x."""
    x, w = events.column("x"), np.asarray(events.weights)
    top = np.histogram(x, edges, weights=w * np.asarray(events.truth.coefficients)[:, 2])[0]
    return top / np.histogram(x, edges, weights=w)[0]


def exact_means(edges: np.ndarray, alpha: float, smearing: float) -> np.ndarray:
    """E[r(x)|bin] from the closed form, by quadrature."""

    def sm(x: float) -> float:
        return float(norm.pdf(x, 0.0, np.hypot(toy.SM_WIDTH, smearing)))

    def both(x: float) -> float:
        return sm(x) * float(toy.ratio(x, alpha=alpha, smearing=smearing).coefficients[0, 2])

    return np.array([quad(both, a, b)[0] / quad(sm, a, b)[0] for a, b in pairwise(edges)])


def test_sums_over_the_truth_stay_and_only_outliers_are_repeated(zh: Events) -> None:
    out = fractional_smear(zh, {"pt_z": ZH_DETECTOR["pt_z"]}, seed=4, copies=7, quantile=0.95)
    score = outlier_scores(zh.truth, zh.weights)
    record = out.metadata["smearing"]["fractional"]
    outlier = score > record["threshold"]
    assert outlier.sum() == record["outliers"] == 150
    assert record["events"] == 3_000
    assert record["largest_score"] == pytest.approx(score.max())
    index = np.repeat(np.arange(len(zh)), np.where(outlier, 7, 1))  # copies stand together
    np.testing.assert_array_equal(out.column("m_zh"), zh.column("m_zh")[index])
    np.testing.assert_array_equal(out.truth.coefficients, zh.truth.coefficients[index])
    np.testing.assert_allclose(np.bincount(index, out.weights), zh.weights, rtol=1e-12)
    assert np.sum(out.weights) == pytest.approx(np.sum(zh.weights), rel=1e-12)
    for f in (zh.truth.coefficients, np.sin(zh.features[["m_zh", "phi_l"]].to_numpy())):
        np.testing.assert_allclose(out.weights @ f[index], zh.weights @ f, rtol=1e-10, atol=1e-13)
    noise = out.column("pt_z") - zh.column("pt_z")[index]
    assert np.unique(noise).size == len(out)  # each copy has its own draw
    assert out.cross_section is zh.cross_section


def test_by_threshold_and_the_limits_of_it(zh: Events) -> None:
    score = outlier_scores(zh.truth, zh.weights)
    cut = float(np.sort(score)[-20])
    chosen = fractional_smear(zh, ZH_DETECTOR, seed=4, copies=3, threshold=cut)
    assert len(chosen) == len(zh) + 2 * 19
    nobody = fractional_smear(zh, ZH_DETECTOR, seed=4, copies=3, threshold=1e300)
    once = smear(zh, ZH_DETECTOR, seed=4)
    pd.testing.assert_frame_equal(nobody.features, once.features, check_exact=True)
    everybody = fractional_smear(zh, ZH_DETECTOR, seed=4, copies=3, threshold=0.0)
    thrice = smear(zh, ZH_DETECTOR, seed=4, copies=3)
    pd.testing.assert_frame_equal(everybody.features, thrice.features, check_exact=True)
    np.testing.assert_array_equal(everybody.weights, thrice.weights)
    again = fractional_smear(zh, ZH_DETECTOR, seed=4, copies=3, threshold=cut)
    pd.testing.assert_frame_equal(again.features, chosen.features, check_exact=True)
    other = fractional_smear(zh, ZH_DETECTOR, seed=5, copies=3, threshold=cut)
    assert not np.isclose(other.column("pt_z"), chosen.column("pt_z")).any()


def test_scores_by_hand() -> None:
    c = np.array([[1, 2, 0, 1, 0.0, 0], [1, 2, 0, 2, 1e-14, 4], [1, 2, 0, 3, 2, 0], [1, 2, 0, 40, 0, 1]])
    labels = Polynomial(["a", "b"], c)
    # spreads: a 2, a^2 median of (1, 2, 3, 40), ab 2 (one is rounding), b^2 median of (4, 1)
    np.testing.assert_allclose(outlier_scores(labels), [1.0, 4.0, 1.5, 20.0])
    np.testing.assert_allclose(outlier_scores(labels, np.array([1, 1, 1, 100.0])), [1.0, 4.0, 1.0, 1.0])
    np.testing.assert_array_equal(outlier_scores(Polynomial(["a"], np.array([[1.0, 0, 0]]))), [0.0])


def test_labels_average_to_the_exact_ratio_with_less_fluctuation() -> None:
    """Many detectors, one sample and many samples: no bias in either, and a smaller error with copies."""
    alpha, edges = 2.0, np.array([-2.0, 0.0, 1.0, 2.0, 2.75, 3.5, 4.25])
    exact = exact_means(edges, alpha, 0.6)
    plain, fractional = [], []
    for seed in range(150):
        events = toy.generate(2_000, seed=seed, alpha=alpha)
        plain.append(means(smear(events, NOISE, seed), edges))
        fractional.append(means(fractional_smear(events, NOISE, seed, copies=20, quantile=0.9), edges))
    for estimates in (plain, fractional):
        pull = (np.mean(estimates, axis=0) - exact) / (np.std(estimates, axis=0) / np.sqrt(150))
        assert np.abs(pull[:-1]).max() < 4.0
        assert np.mean(estimates, axis=0) == pytest.approx(exact, rel=0.05)
    squares = [np.mean((np.array(e) - exact) ** 2, axis=0) for e in (plain, fractional)]
    assert np.all(squares[1][2:] < 0.8 * squares[0][2:])
    assert np.all(squares[1] < 1.05 * squares[0])


def test_the_noise_does_not_repeat_the_numbers_that_made_the_events() -> None:
    events = toy.generate(5_000, seed=9)
    noise = smear(events, NOISE, seed=9).column("x") - events.column("x")
    assert abs(np.corrcoef(noise, events.column("x"))[0, 1]) < 0.06


def test_a_detector_for_every_feature_of_zh(zh: Events, tmp_path: Path) -> None:
    assert set(ZH_DETECTOR) == set(vh.columns())
    assert ZH_DETECTOR["pt_z"].width(np.array([100.0, 400.0])) == pytest.approx([12.0, 28.0])
    out = smear(zh, ZH_DETECTOR, seed=1)
    assert np.all(out.column("pt_z") >= 0.0)
    assert not np.any(out.features.to_numpy() == zh.features.to_numpy())


def test_resolutions_from_a_file(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "processes.md"
    text = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "detector.yaml").write_text(text, encoding="utf-8")
    found = load_resolutions(tmp_path / "detector.yaml")
    assert list(found) == list(ZH_DETECTOR)
    for name, resolution in ZH_DETECTOR.items():
        for field in ("stochastic", "constant", "absolute", "limits"):
            assert getattr(found[name], field) == getattr(resolution, field)
        assert (found[name].period or 0.0) == pytest.approx(resolution.period or 0.0, rel=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pt": {"stochastik": 0.1}}, r"feature 'pt': unknown key 'stochastik'.*Did you mean 'stochastic'"),
        ({"pt": {3: 0.1}}, "unknown key 3"),
        ({"pt": 0.1}, "feature 'pt' needs a mapping with stochastic, .*got 0.1"),
        ({"pt": {"constant": "wide"}}, "'pt': constant must be a number, got 'wide'"),
        ({"pt": {"constant": True}}, "constant must be a number, got True"),
        ({"pt": {"limits": [0]}}, r"limits must be a list of two numbers, got \[0\]"),
        ({"pt": {"limits": 3}}, "limits must be a list of two numbers, got 3"),
        ({"pt": {"limits": [2, 1]}}, r"'pt': limits of a resolution must be \(low, high\)"),
        ({"pt": {"constant": -1}}, "'pt': constant of a resolution must be zero or above"),
        ([], "must hold at least one feature"),
        ({}, "must hold at least one feature"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: object, message: str) -> None:
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=message):
        load_resolutions(tmp_path / "d.yaml")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text("pt: {constant: 0.1, constant: 0.2}")
    with pytest.raises(InputError, match="key 'constant' is given twice"):
        load_resolutions(tmp_path / "d.yaml")
    with pytest.raises(InputError, match=r"no such file of resolutions: .*e.yaml. Did you mean 'd.yaml'"):
        load_resolutions(tmp_path / "e.yaml")
    with pytest.raises(InputError, match="not a readable YAML file"):
        load_resolutions(tmp_path)
    (tmp_path / "big.yaml").write_bytes(b"a: " + b"x" * 5 * 2**20)
    with pytest.raises(InputError, match="larger than 4 MiB"):
        load_resolutions(tmp_path / "big.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 0}, "copies must be at least 1, got 0"),
        ({"threshold": 1.0, "quantile": 0.5}, "a threshold or a quantile"),
        ({"quantile": 1.5}, "between 0 and 1, got 1.5"),
        ({"quantile": float("nan")}, "between 0 and 1"),
        ({"threshold": -1.0}, "zero or above, got -1.0"),
        ({"threshold": float("nan")}, "zero or above"),
        ({"threshold": float("inf")}, "must be finite"),
        ({"resolutions": {"y": Resolution()}}, "unknown feature 'y'"),
        ({"events": Events(pd.DataFrame({"x": [1.0]}))}, "needs truth polynomials"),
    ],
)
def test_mistakes(options: dict[str, object], message: str) -> None:
    defaults: dict[str, object] = {"events": toy.generate(10, seed=1), "resolutions": NOISE, "seed": 1}
    with pytest.raises(InputError, match=message):
        fractional_smear(**{**defaults, **options})  # type: ignore[arg-type]
