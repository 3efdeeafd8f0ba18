"""Ways to be silently wrong, part one: coefficients, predictions, covariances. Each is caught or impossible.

The other parts are `test_silently_wrong_events` and `test_silently_wrong_fits`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smeft_unbinned import (
    GaussianDataset,
    InputError,
    Likelihood,
    Polynomial,
    Runcard,
    SumOfSquares,
    minimise,
    to_sum_of_squares,
)
from smeft_unbinned.fitters import Term

WHAT = "ways to be silently wrong"
DATA: dict[str, Any] = {
    "num_data": 2,
    "num_sys": 2,
    "data_central": [10.0, 20.0],
    "statistical_error": [1.0, 2.0],
    "systematics": [[0.5, 1.0], [0.2, 0.4]],
    "sys_names": ["CORR", "UNCORR"],
    "sys_type": ["MULT", "ADD"],
}
THEORY: dict[str, Any] = {
    "best_sm": [11.0, 18.0],
    "scales": [200.0, 300.0],
    "theory_cov": [[0.4, 0.1], [0.1, 0.3]],
    "LO": {"SM": [10.0, 20.0], "OpW": [1.0, 2.0], "OpB": [0.5, -1.0], "OpW*OpB": [3.0, 4.0]},
    "NLO_QCD": {"SM": [10.0, 20.0], "OpW": [1.5, 2.5]},
}
Tally = Callable[[str, int], None]


@pytest.fixture(autouse=True)
def _count(tally: Tally) -> None:
    tally(WHAT, 1)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., GaussianDataset]:
    """Return a function that writes a dataset with some fields changed, and loads it."""

    def loaded(data: Any = None, theory: Any = None, entry: Any = "A", **options: Any) -> GaussianDataset:
        (tmp_path / "A.yaml").write_text(yaml.safe_dump({**DATA, **(data or {})}), encoding="utf-8")
        (tmp_path / "A.json").write_text(json.dumps({**THEORY, **(theory or {})}), encoding="utf-8")
        return GaussianDataset.load([entry], data_path=tmp_path, **{"use_theory_covmat": False, **options})

    return loaded


def test_coefficients_in_another_order(make_unbinned, make_linear) -> None:
    """Two datasets list operators in different orders: matched by name in sum, prior and result."""
    a, b = make_unbinned(), make_linear(operators=("cHu", "cHW", "cHq3"))
    names, bounds = ("cHq3", "cHu", "cHW"), {"cHu": (-1.0, 2.0), "cHq3": (-3.0, 4.0)}
    point = {"cHW": 0.1, "cHq3": -0.2, "cHu": 0.3}
    expected = float(a.m2logl([0.1, -0.2, 0.3])) + float(b.m2logl([0.3, 0.1, -0.2]))
    likelihood = Likelihood([a, b], names, bounds=bounds)
    assert float(likelihood.m2logl(point)) == pytest.approx(expected, rel=1e-12)
    assert float(likelihood.m2logl([-0.2, 0.3, 0.1])) == pytest.approx(expected, rel=1e-12)
    one, other = (minimise(Likelihood([a, b], n), levels=()) for n in (names, names[::-1]))
    for name in names:
        assert one.best[name] == pytest.approx(other.best[name], abs=1e-5)
        assert one.errors[name] == pytest.approx(other.errors[name], rel=1e-3)
    assert likelihood.bounds == bounds


def test_a_table_in_another_order(load) -> None:
    """Operators of a theory table come in file order, those of the card in another: matched by name."""
    swapped = {"LO": dict(reversed(THEORY["LO"].items()))}
    point = {"OpW": 0.3, "OpB": -0.7}
    values = [float(load(theory=t).m2logl(point)) for t in ({}, swapped)]
    assert values[0] == pytest.approx(values[1], rel=1e-13)
    theory = load(operators=["OpW", "OpB"]).theory.evaluate(point)
    np.testing.assert_allclose(theory, [11 + 0.3 - 0.35 - 0.63, 18 + 0.6 + 0.7 - 0.84], rtol=1e-13)


def test_gev_against_tev(make_unbinned) -> None:
    """c in GeV^-2 is a millionth of c in TeV^-2: a term has units, and unknown ones are refused."""
    d = make_unbinned()
    tev, gev = (Term(d, units=units) for units in ("TeV^-2", "GeV^-2"))
    c = np.array([0.2, -0.1, 0.3])
    assert float(gev.m2logl(c * 1e-6)) == pytest.approx(float(tev.m2logl(c)), rel=1e-10)
    np.testing.assert_allclose(gev.gradient(c * 1e-6), 1e6 * tev.gradient(c), rtol=1e-9)
    with pytest.raises(InputError, match="unknown units 'GeV-2'"):
        Term(d, units="GeV-2")


def test_a_file_in_other_units(make_unbinned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset written in GeV^-2 would be a million times too strong: its file is refused."""
    from smeft_unbinned.datasets import unbinned, unbinned_file

    monkeypatch.setattr(unbinned_file, "UNITS", "GeV^-2")
    make_unbinned().save(tmp_path / "a.dataset")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"coefficients in GeV\^-2, not TeV\^-2; convert"):
        unbinned.UnbinnedDataset.load(tmp_path / "a.dataset")


def test_a_fixed_coefficient_in_the_covariance(make_linear) -> None:
    """Errors with a fixed coefficient are those without it, not the marginal ones: its row is taken out."""
    d = make_linear()
    value = {"cHq3": 0.2}
    fit = minimise(Likelihood([d], fixed=value), levels=())
    weighted = np.linalg.solve(d.covariance, np.array(d.theory.linear))
    information = np.array(d.theory.linear).T @ weighted
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(information[np.ix_([0, 2], [0, 2])]), rtol=1e-6)
    assert list(fit.covariance) == ["cHW", "cHu"]
    assert fit.best["cHq3"] == 0.2


def test_an_operator_without_data(make_unbinned) -> None:
    """Nothing depends on a coefficient: it is refused by name, never quoted as zero with an error."""
    with pytest.raises(InputError, match="no dataset constrains cHB"):
        Likelihood([make_unbinned()], ["cHW", "cHB"])


def test_a_flat_direction(make_unbinned) -> None:
    """Two coefficients act through their sum alone: the direction is named, and no interval invented."""
    form = Polynomial(["cHW"], [[1.0, 0.3, 0.0], [1.0, -0.2, 0.0]])
    both = form.change_basis(["a", "b"], np.array([[1.0, 1.0]]))
    d = GaussianDataset("flat", [1.1, 0.9], both, np.eye(2), basis="warsaw")
    fit = minimise(Likelihood([d]))
    ends = fit.intervals(0.95)
    assert not fit.valid or not np.isfinite(ends.to_numpy()).any()
    assert any("a" in m and "b" in m for m in fit.messages)


def test_names_of_another_basis(make_unbinned, load) -> None:
    """OpW and cHW differ by a factor and by name: bases are translated with it, or refused together."""
    warsaw = make_unbinned(operators=("cHW", "cHq3"))
    with pytest.raises(InputError, match=r"different bases \(unbinned: warsaw, .*smefit\)"):
        Likelihood([warsaw, load()])
    with pytest.raises(InputError, match="unknown operator 'OpW'"):
        warsaw.m2logl({"OpW": 0.1})
    smefit = warsaw.restrict(["cHW"]).in_basis("smefit")
    assert smefit.operators == ("OpW",)
    assert float(smefit.m2logl({"OpW": 0.2})) == pytest.approx(float(warsaw.m2logl({"cHW": 0.2})), rel=1e-12)


def test_t0_scales_once(load) -> None:
    """t0: MULT uncertainties scale with the SM, once; ADD and statistical ones stay; default is the data."""
    t0 = load(use_t0=True).covariance
    m = np.array([0.5 * 11 / 10, 1.0 * 18 / 20])
    np.testing.assert_allclose(t0, np.diag([1.04, 4.16]) + np.outer(m, m), rtol=1e-12)
    data = load(use_t0=False).covariance
    np.testing.assert_allclose(data, np.diag([1.04, 4.16]) + np.outer([0.5, 1.0], [0.5, 1.0]), rtol=1e-12)


def test_additive_for_multiplicative(load) -> None:
    """An ADD systematic must not scale with the prediction, and a type without name is no guess."""
    add = load({"sys_type": ["ADD", "ADD"]}, use_t0=True).covariance
    np.testing.assert_allclose(add, load(use_t0=False).covariance, rtol=1e-12)
    with pytest.raises(InputError, match=r"'sys_type' holds 'mult', expected one of ADD, MULT"):
        load({"sys_type": ["mult", "ADD"]})


def test_percent_for_absolute(load) -> None:
    """Systematics are absolute; percent read so give a chi2 far from one, which every fit reports by name."""
    percent = load({"systematics": [[0.0, 0.0], [0.0, 0.0]], "statistical_error": [0.01, 0.01]})
    fit = minimise(Likelihood([percent]), levels=())
    assert fit.provenance["sm_chi2"][percent.name] == pytest.approx(2**2 / 1e-4 + 1 / 1e-4, rel=1e-9)
    assert load().covariance[0, 0] == pytest.approx(1.0 + 0.5**2 + 0.2**2)


def test_the_theory_covariance_counts_once(load) -> None:
    """The covariance of the predictions is added once, or with the switch off not at all."""
    difference = load(use_theory_covmat=True).covariance - load().covariance
    np.testing.assert_allclose(difference, THEORY["theory_cov"], rtol=1e-9)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        ([[1.0, 0.5], [0.1, 1.0]], "not symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "not positive definite"),
        ([[1.0, 1.0], [1.0, 1.0]], "fully correlated"),
        ([[1.0, 0.0], [0.0, -1.0]], "negative variance"),
    ],
)
def test_a_matrix_that_is_no_covariance(matrix: list[list[float]], says: str) -> None:
    """An asymmetric or indefinite covariance would still give a chi2: it is refused with the points."""
    theory = Polynomial(["OpW"], [[1.0, 1.0, 0.0]] * 2)
    with pytest.raises(InputError, match=says):
        GaussianDataset("a", [1.0, 1.0], theory, matrix)


def test_correlations_for_a_covariance(make_linear) -> None:
    """A correlation matrix is a fine covariance of wrong size: ones on the diagonal are told with the fit."""
    d = make_linear()
    size = np.sqrt(np.diag(d.covariance))
    correlations = d.covariance / np.outer(size, size)
    np.fill_diagonal(correlations, 1.0)
    wrong = GaussianDataset("w", d.data, d.theory, correlations, basis="warsaw")
    assert any(
        "w: its covariance has only ones" in m for m in minimise(Likelihood([wrong]), levels=()).messages
    )
    assert not any("only ones" in m for m in minimise(Likelihood([d]), levels=()).messages)


def test_products_in_either_order(load) -> None:
    """'OpW*OpB' and 'OpB*OpW' are one product, c_W c_B times the number; both at once are refused."""
    other = {**THEORY["LO"], "OpB*OpW": [3.0, 4.0]}
    with pytest.raises(InputError, match="given twice, in both orders"):
        load(theory={"LO": other})
    del other["OpW*OpB"]
    one, two = load().theory, load(theory={"LO": other}).theory
    np.testing.assert_array_equal(
        one.evaluate({"OpW": 1.0, "OpB": 1.0}), two.evaluate({"OpW": 1.0, "OpB": 1.0})
    )
    assert np.asarray(one.evaluate({"OpW": 1.0, "OpB": 1.0}))[0] == pytest.approx(11 + 1.0 + 0.5 + 3.0)


def test_cross_terms_are_neither_halved_nor_doubled(make_unbinned, tmp_path: Path) -> None:
    """One storage holds c_i c_j, another matrix halves of it: every form gives the direct sum."""
    p = Polynomial(["a", "b"], [1.0, 0.4, -0.2, 0.5, 0.3, 0.7])  # 1, a, b, a^2, ab, b^2
    a, b = 0.6, -1.1
    direct = 1 + 0.4 * a - 0.2 * b + 0.5 * a * a + 0.3 * a * b + 0.7 * b * b
    matrix = np.array([[1, 0.2, -0.1], [0.2, 0.5, 0.15], [-0.1, 0.15, 0.7]])
    assert float(p.evaluate([a, b])) == pytest.approx(direct, rel=1e-14)
    assert float(Polynomial.from_matrix(["a", "b"], matrix).evaluate([a, b])) == pytest.approx(
        direct, rel=1e-14
    )
    squares = to_sum_of_squares(Polynomial(["a", "b"], p.coefficients[None]))[0]
    assert float(squares.evaluate([a, b])[0]) == pytest.approx(direct, rel=1e-10)
    assert float(p.change_basis(["b", "a"], np.eye(2)[::-1]).evaluate([b, a])) == pytest.approx(
        direct, rel=1e-14
    )
    d = make_unbinned()
    dense = d.replace(ratios=d.ratios.dense())
    dense.save(tmp_path / "dense")
    assert isinstance(d.ratios, SumOfSquares)
    for other in (dense, type(d).load(tmp_path / "dense")):
        np.testing.assert_allclose(other.m2logl([0.1, 0.2, -0.3]), d.m2logl([0.1, 0.2, -0.3]), rtol=1e-11)


def test_linear_or_quadratic(load) -> None:
    """use_quad drops all products of a table and nothing else; a table without them is linear either way."""
    point = {"OpW": 0.5, "OpB": 2.0}
    linear, quadratic = (load(use_quad=q).theory.evaluate(point) for q in (False, True))
    np.testing.assert_allclose(quadratic - linear, [3.0, 4.0])
    bare = {"LO": {k: v for k, v in THEORY["LO"].items() if "*" not in k}}
    np.testing.assert_array_equal(load(theory=bare, use_quad=True).theory.evaluate(point), linear)


def test_the_order_of_the_predictions(load) -> None:
    """LO and NLO blocks differ: the entry chooses, and an order that the file lacks is no fallback."""
    nlo = load(entry={"name": "A", "order": "NLO_QCD"}).theory.evaluate({"OpW": 1.0})
    np.testing.assert_allclose(nlo, [12.5, 20.5])
    with pytest.raises(InputError, match="no order 'NLO_EW'; the file has LO, NLO_QCD"):
        load(entry={"name": "A", "order": "NLO_EW"})


def test_order_as_a_key_of_the_card(load) -> None:
    """`order` at the top of a card has no effect in SMEFiT 4: refused, in place of LO without a word."""
    card = {"datasets": ["A"], "coefficients": {"OpW": None}, "order": "NLO_QCD"}
    with pytest.raises(InputError, match="'order' has no effect in SMEFiT 4; write 'default_order'"):
        Runcard.from_dict(card)


def test_a_dataset_twice_in_a_card(load, tmp_path: Path) -> None:
    """A dataset listed twice would halve its errors by sqrt(2): refused by name."""
    load()
    card = {
        "datasets": ["A", {"name": "A", "order": "NLO_QCD"}],
        "coefficients": {"OpW": None},
        "data_path": ".",
        "theory_path": ".",
    }
    with pytest.raises(InputError, match="datasets listed twice: A"):
        Runcard.from_dict(card, tmp_path).likelihood()


def test_running_without_a_scale(make_unbinned) -> None:
    """Coefficients cannot run to a dataset whose scale is unknown: refused, not taken as they are."""

    def evolve(scale: float) -> Any:
        return ("cHW", "cHq3", "cHu"), scale * np.eye(3)

    with pytest.raises(InputError, match="has no scale; export it with"):
        Term(make_unbinned(), evolve=evolve)
    assert float(Term(make_unbinned(), evolve=evolve, scale=2.0).m2logl([0.1, 0, 0])) == pytest.approx(
        float(make_unbinned().m2logl([0.2, 0, 0])), rel=1e-12
    )


def test_a_key_with_a_slip() -> None:
    """A misspelt or repeated key of a card would leave the default in place: refused with the nearest."""
    card = {"datasets": ["A"], "coefficients": {"OpW": None}, "use_qaud": False}
    with pytest.raises(InputError, match=r"unknown key 'use_qaud'.*Did you mean 'use_quad'"):
        Runcard.from_dict(card)
