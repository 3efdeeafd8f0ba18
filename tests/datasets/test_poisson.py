"""PoissonDataset: its definition, the rate-only limit, and its approach to the unbinned likelihood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from smeft_unbinned import (
    Events,
    InputError,
    PoissonDataset,
    Polynomial,
    UnbinnedDataset,
    export,
    histogram,
    storage,
)
from smeft_unbinned.datasets.files import load_dataset
from smeft_unbinned.datasets.poisson import bin_index
from smeft_unbinned.events import Nuisances

POINTS = np.array([[0.5, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.7], [-0.4, 0.05, 0.3], [0.2, -0.08, -0.5]])


def yields(seed: int = 1, bins: int = 4) -> Polynomial:
    a = np.random.default_rng(seed).normal(size=(bins, 3, 3))
    return Polynomial.from_matrix(["cHW", "cHu"], a.swapaxes(1, 2) @ a + 5 * np.eye(3))


def test_it_is_minus_twice_the_log_of_poisson_probabilities() -> None:
    counts, y = np.array([3, 0, 7, 12]), yields()
    d = PoissonDataset("a", y, counts)
    for c in ([0.3, -0.2], [1.0, 2.0]):
        ratio = poisson.logpmf(counts, y.evaluate(c)) - poisson.logpmf(counts, y.evaluate([0, 0]))
        assert d.m2logl(c) == pytest.approx(-2 * ratio.sum(), rel=1e-10)


def test_without_counts_the_data_are_the_sm_expectation() -> None:
    d = PoissonDataset("a", yields())
    np.testing.assert_allclose(d.weights, yields().constant)
    np.testing.assert_allclose(d.gradient([0.0, 0.0]), 0.0, atol=1e-12)


def test_one_bin_is_the_rate_only_likelihood(zh_events: Events) -> None:
    own = Events(zh_events.features, zh_events.truth, zh_events.weights)
    d = histogram("one", own, {"pt_z": [0.0, 1e5]}, scale=100.0)
    nu = own.cross_section * 100.0
    n, expected = float(nu.constant), nu.evaluate(POINTS)
    np.testing.assert_allclose(d.m2logl(POINTS), 2 * (expected - n) - 2 * n * np.log(expected / n), rtol=1e-9)
    assert len(d) == 1


def test_finer_bins_approach_the_unbinned_likelihood_from_below(zh_events: Events) -> None:
    """-2 log L of Asimov data can only shrink when bins are merged (Jensen's inequality).

    So the unbinned limit is the tightest, and limits from finer and finer bins approach it from above.
    """
    own = Events(zh_events.features, zh_events.truth, zh_events.weights)
    unbinned = export(None, own, luminosity=0.1).m2logl(POINTS)
    last = np.zeros(len(POINTS))
    masses, angles = np.quantile(own.column("m_zh"), [0, 1]), (-np.pi, np.pi + 1e-9)
    for bins in (1, 2, 8, 32, 128):
        edges = {
            "m_zh": np.geomspace(masses[0], masses[1] * 1.001, bins + 1),
            "phi_l": np.linspace(*angles, min(bins, 8) + 1),
        }
        value = histogram("fine", own, edges, scale=100.0).m2logl(POINTS)
        assert np.all(value >= last - 1e-9)
        assert np.all(value <= unbinned + 1e-9)
        last = value
    assert np.all(last > 0.5 * unbinned)


def test_a_histogram_counts_what_a_loop_counts(make_events) -> None:
    e = make_events(n=50)
    edges = {"pt": [0.0, 50.0, 100.0, 200.0], "phi": [-2.0, 0.0, 3.0]}
    d = histogram("h", e, edges, scale=2.0, basis="warsaw")
    c, expected = {"cHW": 0.3, "cHu": 0.1}, {}
    for i, (pt, phi) in enumerate(zip(e.column("pt"), e.column("phi"), strict=True)):
        if pt < 200 and -2 <= phi < 3:
            bin_ = (sum(pt >= x for x in edges["pt"]), sum(phi >= x for x in edges["phi"]))
            expected[bin_] = expected.get(bin_, 0.0) + 2.0 * e.weights[i] * e.truth[i].evaluate(c)
    np.testing.assert_allclose(np.sort(d.yields.evaluate(c)), np.sort(list(expected.values())), rtol=1e-10)
    assert d.metadata["edges"]["phi"] == [-2.0, 0.0, 3.0]


def test_without_edges_the_histogram_is_one_bin(make_events) -> None:
    e = make_events()
    d = histogram("h", e, {})
    assert d.yields.evaluate({"cHW": 0.3})[0] == pytest.approx(float(e.cross_section.evaluate({"cHW": 0.3})))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: histogram("h", e, {"pT": [0, 1]}), "unknown feature 'pT'.*Did you mean 'pt'"),
        (lambda e: histogram("h", e, {"pt": [0, 0]}), r"edges of 'pt' must increase .* got \[0, 0\]"),
        (lambda e: histogram("h", e, {"pt": [0]}), "at least two"),
        (lambda e: histogram("h", e, {"pt": [0, np.nan, 1]}), "must increase"),
        (lambda e: histogram("h", e, {"pt": [-2, -1]}), "none of the 60 events lies inside the edges of pt"),
        (lambda e: histogram("h", Events(e.features), {"pt": [0, 1]}), "needs events with truth"),
        (
            lambda e: PoissonDataset("h", yields() * np.array([1, 0, 1, -1.0])),
            "2 bins have no positive SM yield",
        ),
        (lambda e: PoissonDataset("h", yields() * np.nan), "4 bins have no positive SM yield"),
        (lambda e: PoissonDataset("h", yields().sum()), r"yields need one batch axis \(bins\)"),
        (lambda e: PoissonDataset("h", yields(), [1, 2, -3, 4]), "1 negative weights"),
        (lambda e: PoissonDataset("h", yields(), [1, 2]), r"4 ratios but weights of shape \(2,\)"),
        (lambda e: PoissonDataset("h", yields(), basis="mass"), "unknown basis 'mass'"),
    ],
)
def test_unusable_input_is_refused(make_events, call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(make_events())


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    counts, metadata = np.array([3.0, 0.0, 7.5, 12.0]), {"luminosity_fb-1": 3.0}
    dataset = PoissonDataset("a", yields(), counts, basis="smefit", metadata=metadata)
    dataset.save(tmp_path / "d")
    again = PoissonDataset.load(tmp_path / "d")
    assert (again.name, again.operators, again.basis) == ("a", ("cHW", "cHu"), "smefit")
    np.testing.assert_array_equal(again.yields.coefficients, dataset.yields.coefficients)
    np.testing.assert_array_equal(again.counts, counts)
    np.testing.assert_array_equal(again.m2logl(POINTS[:, :2]), dataset.m2logl(POINTS[:, :2]))
    checksums = again.metadata.pop("checksums")
    assert again.metadata == metadata
    assert set(checksums) == {"yields", "counts"}
    assert repr(again) == "PoissonDataset('a', 4 bins, cHW, cHu)"


def test_files_are_told_apart(tmp_path: Path, make_unbinned) -> None:
    PoissonDataset("a", yields()).save(tmp_path / "p")
    make_unbinned().save(tmp_path / "u")
    assert isinstance(load_dataset(tmp_path / "p"), PoissonDataset)
    assert isinstance(load_dataset(tmp_path / "u"), UnbinnedDataset)
    with pytest.raises(InputError, match="holds 'unbinned dataset', expected 'poisson dataset'"):
        PoissonDataset.load(tmp_path / "u")
    with pytest.raises(InputError, match="holds 'poisson dataset', expected 'unbinned dataset'"):
        UnbinnedDataset.load(tmp_path / "p")
    content = bytearray((tmp_path / "p").read_bytes())
    content[-3] ^= 1
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(InputError, match="checksum mismatch"):
        load_dataset(tmp_path / "p")
    (tmp_path / "p").write_bytes(content[:50])
    with pytest.raises(InputError, match="not a readable unbinned dataset"):
        load_dataset(tmp_path / "p")
    with pytest.raises(InputError, match=r"no such file: .*q\. Did"):
        load_dataset(tmp_path / "pq")
    arrays = {"yields": yields().coefficients, "counts": np.ones(4)}
    storage.write(tmp_path / "g", "poisson dataset", arrays, {"units": "GeV^-2"})
    with pytest.raises(InputError, match=r"coefficients in GeV\^-2, not TeV\^-2"):
        PoissonDataset.load(tmp_path / "g")


def test_restricting_sets_the_others_to_zero() -> None:
    dataset = PoissonDataset("a", yields(), [3, 0, 7, 12])
    only = dataset.restrict(["cHu"])
    assert only.operators == ("cHu",)
    assert only.m2logl([0.3]) == pytest.approx(float(dataset.m2logl({"cHu": 0.3})))
    assert dataset.restrict([]).m2logl({}) == 0.0


def test_a_new_basis_tells_what_it_lacks() -> None:
    form = Polynomial(["cHq3"], np.array([[5.0, 1.0, 2.0]]))
    dataset = PoissonDataset("a", form)
    assert dataset.in_basis("smefit").metadata["incomplete"] == {"O3pq": ["cHq1"]}
    assert "incomplete" not in dataset.metadata


def test_cells_of_a_grid_by_hand() -> None:
    frame = pd.DataFrame({"a": [0.0, 0.5, 1.0, 2.0, -1.0], "b": [5.0, 1.0, 3.0, 1.0, 1.0]})
    edges = {"a": [0.0, 1.0, 2.0], "b": [-np.inf, 2.0, 4.0, np.inf]}
    np.testing.assert_array_equal(bin_index(frame, edges), [2, 0, 4, -1, -1])
    with pytest.raises(InputError, match="unknown feature 'c'; known are a, b"):
        bin_index(frame, {"c": [0.0, 1.0]})


def test_bins_respond_to_nuisances(make_ratios, tmp_path: Path) -> None:
    yields, counts = make_ratios(1, 5).dense() * 20.0, np.arange(15.0, 20.0)
    rng = np.random.default_rng(2)
    response = Nuisances(("jes", "lumi"), rng.normal(0, 0.1, (5, 2)), rng.normal(0, 0.01, (5, 2)))
    d = PoissonDataset("bins", yields, counts, response=response)
    c, theta = {"cHW": 0.2, "cHu": -0.1}, {"jes": 0.7, "lumi": -1.2}
    nu = yields.evaluate(c) * response.ratio(theta)
    plain = 2 * np.sum(nu - yields.constant) - 2 * np.sum(counts * np.log(nu / yields.constant))
    assert d.m2logl({**c, **theta}) == pytest.approx(plain, rel=1e-11)
    assert d.parameters == (*yields.operators, "jes", "lumi")
    d.save(tmp_path / "d")
    again = PoissonDataset.load(tmp_path / "d").in_basis("smefit").in_basis("warsaw")
    assert again.m2logl({**c, **theta}) == pytest.approx(plain, rel=1e-11)
