"""UnbinnedDataset: exact pp -> ZH events against a plain loop, negative ratios, files and refusals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned import Events, InputError, PoissonDataset, Polynomial, UnbinnedDataset, export, storage
from smeft_unbinned.datasets.extended import FLOOR, log_ratio


def test_zh_events_equal_a_plain_loop(zh_events: Events) -> None:
    part = zh_events[:200]
    d = export(None, part, luminosity=3e5, efficiency=0.02, pseudo_data="toy", seed=1)
    assert d.operators == ("cHW", "cHq3", "cHWtil")
    c = {"cHW": 0.4, "cHq3": -0.05, "cHWtil": 0.3}
    x = [1.0, *(c[n] for n in d.operators)]
    sigma = sum(w * g for w, g in zip(part.weights, part.truth.matrix(), strict=True))
    factor = 3e5 * 1000 * 0.02
    expected = sum(sigma[i, j] * x[i] * x[j] for i in range(4) for j in range(4)) - sigma[0, 0]
    total = 2 * factor * expected
    for g in d.ratios.matrix():
        total -= 2 * math.log(sum(g[i, j] * x[i] * x[j] for i in range(4) for j in range(4)))
    assert d.m2logl(c) == pytest.approx(total, rel=1e-10)


def test_asimov_data_have_no_slope_at_the_sm(zh_events: Events) -> None:
    """With sigma(c) summed from the same events the expected score is exactly zero; else within its error."""
    own = Events(zh_events.features, zh_events.truth, zh_events.weights)
    d = export(None, own, luminosity=300.0)
    error = np.sqrt(0.5 * np.diag(d.hessian({})))
    assert np.all(np.abs(d.gradient({})) < 1e-9 * error * np.sqrt(len(d)) * 100)
    quadrature = export(None, zh_events, luminosity=300.0)
    linear = quadrature.ratios.linear
    scatter = 2 * quadrature.weights.sum() * linear.std(axis=0) / np.sqrt(len(quadrature))
    assert np.all(np.abs(quadrature.gradient({})) < 5 * scatter)


def test_many_events_in_blocks_equal_one_sum(make_ratios) -> None:
    ratios = make_ratios(1, 20_000, ("cHW", "cHu"))
    d = UnbinnedDataset("many", ratios, ratios.dense().sum())
    c = np.array([0.3, -0.2])
    r = ratios.evaluate(c)
    assert d.m2logl(c) == pytest.approx(2 * (r.sum() - len(d)) - 2 * np.log(r).sum(), rel=1e-10)
    slope = ratios.gradient(c)
    np.testing.assert_allclose(d.gradient(c), 2 * (slope * (1 - 1 / r)[:, None]).sum(axis=0), rtol=1e-9)


def test_ratios_that_are_not_one_at_the_sm_are_normalised(make_ratios) -> None:
    ratios = make_ratios(1, 10).dense()
    a = UnbinnedDataset("a", ratios, ratios.sum())
    b = UnbinnedDataset("b", ratios * np.linspace(0.5, 2, 10), ratios.sum())
    assert a.m2logl([0.3, 0.1, -0.2]) == pytest.approx(float(b.m2logl([0.3, 0.1, -0.2])))


def test_the_logarithm_continues_along_its_tangent() -> None:
    r = np.array([-1.0, 0.0, 0.5 * FLOOR, FLOOR, 2 * FLOOR, 1.0])
    values = log_ratio(r)
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) > 0)
    np.testing.assert_allclose(values[4:], np.log(r[4:]))
    assert values[3] == pytest.approx(math.log(FLOOR))
    assert values[1] == pytest.approx(math.log(FLOOR) - 1)


def test_derivatives_hold_where_ratios_are_negative() -> None:
    ratios = Polynomial(["cHW"], [[1.0, 1.0, 0.0], [1.0, -1.0, 0.1]])
    d = UnbinnedDataset("a", ratios, ratios.sum())
    c, h = np.array([-1.5]), 1e-4
    assert d.non_positive(c) == 1
    slope = (d.m2logl(c + h) - d.m2logl(c - h)) / (2 * h)
    assert d.gradient(c)[0] == pytest.approx(float(slope), rel=1e-6)
    curvature = (d.gradient(c + h) - d.gradient(c - h)) / (2 * h)
    assert d.hessian(c)[0, 0] == pytest.approx(float(curvature[0]), rel=1e-2)  # of slopes of 1e10
    assert d.m2logl([-1.5]) > d.m2logl([-1.2]) > 1e6  # walks back to where the ratio is positive


def test_no_event_at_all_is_refused_with_the_way_out() -> None:
    form = Polynomial(["cHW"], [2.0, 1.0, 0.5])
    with pytest.raises(InputError, match=r"'none' has no events; .*PoissonDataset with one bin of count 0"):
        UnbinnedDataset("none", Polynomial(["cHW"], np.zeros((0, 3))), form)
    empty_bin = PoissonDataset("none", Polynomial(["cHW"], [[2.0, 1.0, 0.5]]), [0.0])
    assert empty_bin.m2logl([1.0]) == 3.0
    np.testing.assert_allclose(empty_bin.hessian([1.0]), [[2.0]])


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(InputError, match="'zero': the weights of all 3 events are zero; check luminosity"):
        UnbinnedDataset("zero", FORM, FORM.sum(), np.zeros(3))


def test_restrict_is_a_slice(make_unbinned) -> None:
    d = make_unbinned()
    e = d.restrict(["cHu", "cHW"])
    assert e.operators == ("cHu", "cHW")
    point = {"cHW": 0.2, "cHu": -0.3}
    assert e.m2logl(point) == pytest.approx(float(d.m2logl(point)))
    with pytest.raises(InputError, match=r"unknown operator 'cHU'. Did you mean 'cHu'"):
        d.restrict(["cHU"])


def test_the_spread_follows_the_operators(make_ratios, tmp_path: Path) -> None:
    ratios = make_ratios(1, 5, ("cHq1", "cHq3")).dense()
    spread = np.random.default_rng(1).uniform(size=ratios.coefficients.shape)
    d = UnbinnedDataset("a", ratios, ratios.sum(), spread=spread)
    np.testing.assert_array_equal(d.restrict(["cHq3"]).spread, spread[:, [0, 2, 5]])
    assert d.in_basis("smefit").spread.shape == spread.shape
    d.save(tmp_path / "d")
    np.testing.assert_array_equal(UnbinnedDataset.load(tmp_path / "d").spread, spread)


def test_a_file_carries_units_metadata_and_checksums(make_unbinned, tmp_path: Path) -> None:
    d = make_unbinned(7)
    d.save(tmp_path / "d")
    e = UnbinnedDataset.load(tmp_path / "d")
    assert e.metadata["seed"] == 7
    assert e.metadata["checksums"]["factors"] == storage.checksum(d.ratios.factors)
    np.testing.assert_array_equal(e.weights, d.weights)
    assert storage.read(tmp_path / "d", "unbinned dataset")[1]["units"] == "TeV^-2"
    assert repr(e) == "UnbinnedDataset('unbinned', 40 events, cHW, cHq3, cHu)"
    e.save(tmp_path / "again")
    assert UnbinnedDataset.load(tmp_path / "again").metadata == e.metadata


def test_a_file_in_another_unit_is_refused(make_unbinned, tmp_path: Path) -> None:
    make_unbinned().save(tmp_path / "d")
    arrays, head = storage.read(tmp_path / "d", "unbinned dataset")
    storage.write(tmp_path / "e", "unbinned dataset", arrays, {**head, "units": "GeV^-2"})
    with pytest.raises(InputError, match=r"coefficients in GeV\^-2, not TeV\^-2; convert it first"):
        UnbinnedDataset.load(tmp_path / "e")


def test_a_damaged_file_is_refused(make_unbinned, tmp_path: Path) -> None:
    make_unbinned().save(tmp_path / "d")
    data = bytearray((tmp_path / "d").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "d").write_bytes(data)
    with pytest.raises(InputError, match="checksum mismatch"):
        UnbinnedDataset.load(tmp_path / "d")


FORM = Polynomial(["cHW"], np.ones((3, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": [1, -1, -2]}, "2 negative weights; .*unweight or resample"),
        ({"weights": [1, np.nan, 1]}, "weights not finite in 1 of 3 entries, first in entry 1"),
        ({"weights": [1, 1]}, r"3 ratios but weights of shape \(2,\)"),
        (
            {"ratios": Polynomial(["cHW"], [[1, 1, 1], [1, np.inf, 1], [1, 1, 1]])},
            "ratios not finite in 1 of 3",
        ),
        (
            {"ratios": Polynomial(["cHW"], [[1, 1, 1], [-1, 1, 1], [0, 1, 1]])},
            "positive at the SM, got 2 ratios",
        ),
        ({"ratios": FORM.sum()}, "ratios need one batch axis"),
        ({"expected": Polynomial(["cHW"], np.ones((2, 3, 3)))}, "expected none"),
        ({"expected": Polynomial(["cHW"], [0.0, 1, 1])}, "a yield of 0"),
        ({"expected": Polynomial(["cHW"], [1.0, np.nan, 1])}, "expected yield not finite"),
        ({"expected": Polynomial(["cHu"], [1.0, 1, 1])}, "expected yield depends on cHu, which no ratio"),
        ({"basis": "SMEFiT"}, "unknown basis 'SMEFiT'; .*Did you mean 'smefit'"),
        ({"spread": np.ones((2, 3))}, r"spread has shape \(2, 3\), expected .*\(3, 3\)"),
    ],
)
def test_unusable_input_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"(?s)dataset 'bad': .*{message}"):
        UnbinnedDataset("bad", **{"ratios": FORM, "expected": FORM.sum(), **arguments})


def test_a_number_in_place_of_a_form_is_refused(make_ratios) -> None:
    ratios = make_ratios(1, 10)
    with pytest.raises(InputError, match=r"expected must be a Polynomial .*got 40.0; .*Polynomial\(\(\), "):
        UnbinnedDataset("a", ratios, 40.0)
    with pytest.raises(InputError, match="ratios must be a Polynomial"):
        UnbinnedDataset("a", np.ones(3), ratios.dense().sum())
    with pytest.raises(InputError, match="yields must be a Polynomial"):
        PoissonDataset("a", [1.0])
    constant = UnbinnedDataset("a", ratios, Polynomial((), [40.0]))
    assert float(constant.expected.evaluate({"cHW": 0.3})) == pytest.approx(40.0)


def test_every_operator_can_be_dropped_twice(make_unbinned) -> None:
    none = make_unbinned(1).restrict(()).restrict(()).in_basis("smefit")
    assert none.operators == ()
    assert float(none.m2logl([])) == 0.0


def test_the_hessian_of_many_operators_is_the_plain_sum(make_unbinned) -> None:
    names = tuple(f"c{i}" for i in range(20))
    d, c = make_unbinned(3, operators=names), np.linspace(-0.1, 0.1, 20)
    r, slope = d.ratios.evaluate(c), d.ratios.gradient(c)
    curvature = d.ratios.hessian()
    plain = d.expected.hessian() - np.tensordot(d.weights / r, curvature, axes=1)
    plain = 2 * (plain + (slope * (d.weights / r**2)[:, None]).T @ slope)
    np.testing.assert_allclose(d.hessian(c), plain, rtol=1e-12, atol=1e-12 * np.abs(plain).max())
