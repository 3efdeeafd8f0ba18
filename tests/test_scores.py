"""Score histograms: the observables by hand, exact yields, and their information against the unbinned one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, InputError, PoissonDataset, Polynomial, QuadraticForm, export, histogram
from smeft_unbinned.processes import toy, vh
from smeft_unbinned.scores import score_histogram, scores

NAMES = ("cHW", "cHq3", "cHWtil")


class Exact:
    """An estimator that knows the exact ratio at phase-space points, with other features ignored."""

    operators = NAMES
    features = ("m_zh", "y_zh", "cos_theta_star", "cos_theta_l", "phi_l")

    def __init__(self) -> None:
        self.metadata = {"method": "exact", "history": [1.0]}

    def __call__(self, features: pd.DataFrame) -> QuadraticForm:
        return self.predict(features)[0]

    def predict(self, features: pd.DataFrame) -> tuple[Polynomial, np.ndarray]:
        form = vh.truth(features[list(self.features)], operators=NAMES)
        return form, np.zeros_like(form.coefficients)


def wrong(features: pd.DataFrame) -> QuadraticForm:
    """An estimator that has learnt something else: a score in the azimuth alone."""
    phi = features["phi_l"].to_numpy()
    form = np.stack([np.ones_like(phi), np.sin(phi), np.ones_like(phi)], axis=-1)
    return Polynomial(["cHW"], form)


def toy_ratio(features: pd.DataFrame) -> QuadraticForm:
    return toy.ratio(features["x"])


@pytest.fixture(scope="module")
def zh() -> Events:
    events = vh.generate(20_000, seed=8, operators=NAMES, unweighted=False)
    return Events(events.features, events.truth, events.weights, None, events.metadata)


def information(dataset: PoissonDataset, name: str) -> float:
    i = dataset.operators.index(name)
    return float(dataset.hessian({})[i, i])


def test_scores_are_derivatives_of_log_r_at_the_sm(zh: Events) -> None:
    frame = scores(Exact(), zh.features)
    assert list(frame) == ["score_cHW", "score_cHq3", "score_cHWtil"]
    h = 1e-5
    for name in NAMES:
        up, down = (np.log(zh.truth.evaluate({name: x})) for x in (h, -h))
        np.testing.assert_allclose(frame[f"score_{name}"], (up - down) / (2 * h), rtol=1e-4, atol=1e-6)
    one = scores(Exact(), zh.features, operators=["cHq3"])
    pd.testing.assert_frame_equal(one, frame[["score_cHq3"]])
    scaled = scores(lambda f: Exact()(f).dense() * 3.0, zh.features)
    np.testing.assert_allclose(scaled, frame, rtol=1e-12)


def test_class_probabilities_are_those_of_bayes(zh: Events) -> None:
    points = [{"cHW": 0.5}, {"cHq3": 0.1, "cHWtil": -0.3}]
    frame = scores(Exact(), zh.features, points)
    assert list(frame) == ["class_1", "class_2"]
    r1, r2 = (zh.truth.evaluate(point) for point in points)
    np.testing.assert_allclose(frame["class_1"], r1 / (1 + r1 + r2), rtol=1e-9)
    np.testing.assert_allclose(frame["class_2"], r2 / (1 + r1 + r2), rtol=1e-9)
    rows = np.array([[0.5, 0.0, 0.0], [0.0, 0.1, -0.3]])
    pd.testing.assert_frame_equal(scores(Exact(), zh.features, rows), frame)
    negative = scores(
        lambda f: Polynomial(["a"], np.tile([1.0, -2.0, 0.0], (len(f), 1))), zh.features, [[1.0]]
    )
    assert np.all(negative["class_1"] == 0.0)


@pytest.mark.parametrize("spacing", ["rate", "information"])
@pytest.mark.parametrize("name", NAMES)
def test_information_approaches_the_unbinned_one_from_below(zh: Events, name: str, spacing: str) -> None:
    """Fisher information at the SM by Cauchy-Schwarz: (sum w r_1)^2 / sum w per bin below sum w r_1^2."""
    w, r1 = 1000.0 * 2.0 * zh.weights, np.asarray(zh.truth.linear)[:, NAMES.index(name)]
    unbinned = 2.0 * np.sum(w * r1**2)
    i = NAMES.index(name)
    assert export(None, zh, luminosity=2.0).hessian({})[i, i] == pytest.approx(unbinned)
    last = 0.0
    share, centred = w, r1 - w @ r1 / w.sum()
    if spacing == "information":
        share = w * (1.0 + centred**2 * w.sum() / (w @ centred**2))
    for bins in (2, 4, 8, 16, 32, 64):
        dataset = score_histogram("s", Exact(), zh, 2.0, bins=bins, operators=[name], spacing=spacing)
        assert len(dataset) == bins
        value = information(dataset, name)
        order = np.argsort(r1, kind="stable")
        cut = np.searchsorted(np.cumsum(share[order]), np.sum(share) * np.arange(1, bins) / bins)
        parts = np.split(order, cut)
        direct = 2.0 * sum(np.sum(w[p] * r1[p]) ** 2 / np.sum(w[p]) for p in parts)
        assert value == pytest.approx(direct, rel=1e-9)
        assert last < value <= unbinned * (1 + 1e-12)
        last = value
    assert last > {"rate": 0.7, "information": 0.97}[spacing] * unbinned
    order, pt = np.argsort(zh.column("pt_z")), np.sort(zh.column("pt_z"))
    inner = pt[np.searchsorted(np.cumsum(w[order]), w.sum() * np.arange(1, 64) / 64)]
    momentum = histogram("pt", zh, {"pt_z": [0.0, *inner, np.inf]}, 2e3)
    assert information(momentum, name) < last


def test_bins_of_equal_sm_rate_hold_the_whole_sample(zh: Events) -> None:
    dataset = score_histogram("s", Exact(), zh, 3.0, efficiency=0.1, spacing="rate", operators=["cHW"])
    total = 300.0 * np.sum(zh.weights)
    np.testing.assert_allclose(dataset.yields.constant, total / 10, rtol=0.02)
    np.testing.assert_allclose(dataset.counts, dataset.yields.constant)
    c = {"cHW": 0.4, "cHq3": -0.1}
    rate = 300.0 * zh.weights @ zh.truth.evaluate(c)
    assert float(dataset.expected.evaluate(c)) == pytest.approx(rate)
    assert np.asarray(dataset.yields.evaluate(c)).sum() == pytest.approx(rate)


def test_a_wrong_estimator_costs_sensitivity_and_no_bias(zh: Events) -> None:
    exact = score_histogram("s", Exact(), zh, 2.0, operators=["cHW"])
    poor = score_histogram("s", wrong, zh, 2.0)
    assert poor.operators == NAMES  # yields know all that the truth knows
    assert information(poor, "cHW") < information(exact, "cHW")
    at = {"cHW": 0.3}
    moved = score_histogram("s", wrong, zh, 2.0, at=at)
    np.testing.assert_allclose(moved.gradient(at), 0.0, atol=1e-8 * information(moved, "cHW"))


def test_one_class_is_sufficient_for_the_toy() -> None:
    """r depends on x by its quadratic term alone, so p at any point orders events by all there is to know."""
    events = toy.generate(20_000, seed=4)
    events = Events(events.features, events.truth, events.weights, None, events.metadata)
    with pytest.raises(InputError, match="score_theta is 0 in nearly all events"):
        score_histogram("s", toy_ratio, events, 1.0)
    unbinned, last = export(None, events, luminosity=1.0).m2logl([[0.5], [1.0], [2.0]]), 0.0
    for bins in (2, 4, 8, 16, 32, 64):
        dataset = score_histogram("s", toy_ratio, events, 1.0, bins=bins, points=[{"theta": 1.5}])
        value = dataset.m2logl([[0.5], [1.0], [2.0]])
        assert np.all((last < value) & (value < unbinned * (1 + 1e-12)))
        last = value
    assert np.all(last > 0.99 * unbinned)
    assert dataset.basis == "unknown"
    assert dataset.metadata["binning"]["points"] == [{"theta": 1.5}]


def test_a_grid_of_scores(zh: Events) -> None:
    options = {"operators": ["cHW", "cHWtil"], "bins": 6}
    dataset = score_histogram("s", Exact(), zh, 2.0, **options)
    alone = score_histogram("s", Exact(), zh, 2.0, bins=6, operators=["cHW"])
    for name in ("cHW", "cHWtil"):
        assert information(dataset, name) > information(alone, name)
    binning = dataset.metadata["binning"]
    frame, edges = scores(Exact(), zh.features), binning["inner_edges"]
    assert list(edges) == ["score_cHW", "score_cHWtil"]
    grid = [[-np.inf, *edges[s], np.inf] for s in edges]
    table = np.histogram2d(frame["score_cHW"], frame["score_cHWtil"], grid, weights=2e3 * zh.weights)[0]
    bins = np.bincount(binning["bin_of_cell"], table.ravel())
    np.testing.assert_allclose(bins, dataset.yields.constant)
    again = score_histogram("s", Exact(), zh, 2.0, operators=["cHW", "cHWtil"], edges=edges)
    np.testing.assert_array_equal(again.yields.coefficients, dataset.yields.coefficients)
    with pytest.raises(InputError, match="2 scores make a grid of 40000 cells, allowed are 10000"):
        score_histogram("s", Exact(), zh, 2.0, bins=200, operators=["cHW", "cHWtil"])


def test_cells_without_events_are_merged_and_lose_no_data(make_events) -> None:
    """Two scores that are one the negative of the other fill the diagonal of their grid only."""

    def ratios(f: pd.DataFrame) -> Polynomial:
        x = f["phi"].to_numpy()
        zero = np.zeros_like(x)
        return Polynomial(["a", "b"], np.stack([zero + 1, x, -x, zero, zero, zero], axis=-1))

    events = make_events(n=300)
    dataset = score_histogram("s", ratios, events, 1.0, bins=4)
    cells = dataset.metadata["binning"]["bin_of_cell"]
    assert len(cells) == 16
    assert sorted(set(cells)) == list(range(len(dataset)))
    assert len(dataset) < 16
    assert np.all(np.diff(cells) >= 0)
    assert float(dataset.expected.constant) == pytest.approx(1000.0 * events.weights.sum())
    odd = pd.DataFrame({"pt": [1.0, 1.0], "phi": [-9.0, 9.0]})
    assert score_histogram("s", ratios, events, 1.0, bins=4, observed=odd).counts.sum() == 2
    assert (
        "bins hold fewer than 10 effective"
        in score_histogram("s", ratios, events, 1.0, bins=40).metadata["notes"][0]
    )
    many = make_events(n=20_000)
    assert (
        score_histogram("s", ratios, many, 1.0, bins=2, edges={"score_a": [0], "score_b": [0]}).metadata[
            "notes"
        ]
        == []
    )


def test_observed_events_are_counted_with_the_same_edges(zh: Events) -> None:
    observed = zh.features.iloc[::7]
    dataset = score_histogram("s", Exact(), zh, 2.0, bins=8, operators=["cHq3"], observed=observed)
    edges = [-np.inf, *dataset.metadata["binning"]["inner_edges"]["score_cHq3"], np.inf]
    expected = np.histogram(scores(Exact(), observed)["score_cHq3"], edges)[0]
    np.testing.assert_array_equal(dataset.counts, expected)
    assert dataset.counts.sum() == len(observed)
    assert dataset.metadata["data"] == "observed"
    asimov = score_histogram("s", Exact(), zh, 2.0, bins=8, operators=["cHq3"])
    np.testing.assert_array_equal(dataset.yields.coefficients, asimov.yields.coefficients)


def test_pseudo_data(zh: Events) -> None:
    at = {"cHW": 0.3, "cHWtil": 0.2}
    options = {"operators": ["cHW"], "at": at}
    asimov = score_histogram("s", Exact(), zh, 2.0, **options)
    np.testing.assert_allclose(asimov.counts, asimov.yields.evaluate(at))
    toys = [score_histogram("s", Exact(), zh, 2.0, pseudo_data="toy", seed=s, **options) for s in (1, 1, 2)]
    np.testing.assert_array_equal(toys[0].counts, toys[1].counts)
    assert not np.array_equal(toys[0].counts, toys[2].counts)
    np.testing.assert_array_equal(toys[0].counts, np.round(toys[0].counts))
    pull = (toys[0].counts - asimov.counts) / np.sqrt(asimov.counts)
    assert np.abs(pull).max() < 4.0


def test_what_is_recorded_is_what_export_records(zh: Events, tmp_path: Path) -> None:
    dataset = score_histogram("s", Exact(), zh, 2.0, operators=["cHW"], seed=3, efficiency=0.5)
    unbinned = export(Exact(), zh, luminosity=2.0, seed=3, efficiency=0.5)
    for key, value in unbinned.metadata.items():
        if key == "ensemble":  # what of it the file holds: no networks
            continue
        assert key in dataset.metadata
        if key not in ("notes",):
            assert dataset.metadata[key] == value
    assert dataset.metadata["binning"]["kind"] == "score at the SM, rate included"
    dataset.save(tmp_path / "s")
    again = PoissonDataset.load(tmp_path / "s")
    assert {k: v for k, v in again.metadata.items() if k != "checksums"} == dataset.metadata
    truth = score_histogram("s", None, zh, 2.0, operators=["cHW"])
    assert truth.metadata["estimator"] == {"method": "truth"}
    np.testing.assert_allclose(truth.yields.coefficients, dataset.yields.coefficients * 2.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"events": Events(pd.DataFrame({"phi_l": [1.0]}))}, "they need truth polynomials"),
        ({"luminosity": 0.0}, "luminosity must be positive, got 0.0"),
        ({"luminosity": float("inf")}, "luminosity must be positive"),
        ({"efficiency": -1.0}, "efficiency must be positive"),
        ({"spacing": "ratio"}, "spacing is one of information, rate, got 'ratio'.*Did you mean 'rate'"),
        ({"bins": 1}, "at least 2 bins, got 1"),
        ({"operators": ["cHw"]}, "unknown operator 'cHw'; the estimator knows cHW. Did you mean 'cHW'"),
        ({"operators": []}, "list of different names"),
        ({"operators": "cHW"}, "list of different names, got 'cHW'"),
        ({"operators": ["cHW"], "points": [[1.0]]}, "not both"),
        ({"points": [[0.0]]}, "the SM is class 0 already"),
        ({"points": []}, "at least one finite point"),
        ({"points": [[np.nan]]}, "at least one finite point"),
        ({"points": {"cHW": 1.0}}, "put it into a list"),
        ({"points": [{"cHw": 1.0}]}, "unknown operator 'cHw'"),
        ({"edges": {"score": [1.0]}}, "edges are given for score, but the scores are score_cHW"),
        ({"edges": {"score_cHW": [1.0, 0.5]}}, "edges of 'score_cHW' must increase"),
        ({"edges": {"score_cHW": [0.0, np.nan]}}, "edges of 'score_cHW' must increase"),
        ({"pseudo_data": "asimow"}, "one of asimov, toy"),
        ({"observed": pd.DataFrame({"phi_l": [1.0]}), "at": {"cHW": 1.0}}, "measured events have none"),
        (
            {"observed": pd.DataFrame({"phi_l": [1.0]}), "estimator": None, "operators": ["cHW"]},
            "need an estimator",
        ),
        ({"estimator": lambda f: wrong(f) * np.nan}, "score_cHW is not finite in 20000 of 20000 events"),
        ({"basis": "warsow"}, "unknown basis 'warsow'"),
    ],
)
def test_mistakes_are_refused(zh: Events, options: dict[str, object], message: str) -> None:
    defaults = {"estimator": wrong, "events": zh, "luminosity": 1.0}
    with pytest.raises(InputError, match=message):
        score_histogram("s", **{**defaults, **options})
