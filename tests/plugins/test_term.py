"""Term: names, units, bases, running and nuisances, against the dataset itself."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned import InputError, Likelihood, UnbinnedDataset
from smeft_unbinned.fitters import Term
from smeft_unbinned.testing import CHECKS, Adapter, Check, toy_dataset

NAMES = ("cHW", "cHq3", "cHu")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("units", ["TeV^-2", "GeV^-2"])
def test_contract(check: Check, units: str) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        term = Term(dataset, names, units=units)
        return Adapter(term.m2logl, units, gradient=term.gradient, batch=True)

    check(make)


@pytest.mark.parametrize("check", CHECKS)
def test_contract_under_jax(check: Check) -> None:
    jax = pytest.importorskip("jax", reason="the jax extra is not installed")

    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        term = Term(dataset, names)
        value, slope = jax.jit(term.m2logl), jax.jit(jax.grad(term.m2logl))
        return Adapter(
            lambda v: value(jax.numpy.asarray(v)),
            gradient=lambda v: slope(jax.numpy.asarray(v)),
            batch=True,
            pickles=False,
        )

    with jax.enable_x64(True):
        check(make)


def test_torch_differentiates_it() -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    term = Term(toy_dataset(), units="GeV^-2")
    c = np.array([1e-7, -2e-7, 3e-7])
    point = torch.tensor(c, requires_grad=True)
    term.m2logl(point).backward()
    np.testing.assert_allclose(point.grad.numpy(), term.gradient(c), rtol=1e-10)


def test_second_derivatives_are_those_of_the_gradient() -> None:
    term = Term(toy_dataset(), units="GeV^-2")
    c, step = np.array([1e-7, -2e-7, 3e-7]), 1e-11
    slopes = [(term.gradient(c + step * e) - term.gradient(c - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(term.hessian(c), slopes, rtol=1e-5)


def test_names_are_translated_and_what_is_lost_is_named(tmp_path: Path) -> None:
    dataset = toy_dataset(("cHW", "cHq3", "cHq1"), "warsaw")
    dataset.save(tmp_path / "toy.dataset")
    term = Term(tmp_path / "toy.dataset", ["OtG", "O3pq", "OpqMi"], basis="smefit")
    assert set(term.used) == {"O3pq", "OpqMi"}
    assert term.set_to_zero == ("OpW",)
    c = np.array([5.0, 0.2, -0.1])
    by_hand = dataset.m2logl({"cHq3": 0.2, "cHq1": 0.2 - 0.1})
    assert term.m2logl(c) == pytest.approx(float(by_hand), rel=1e-12)
    assert term.m2logl({"O3pq": 0.2, "OpqMi": -0.1}) == term.m2logl(c)


def test_running_is_a_matrix_at_the_scale_of_the_dataset() -> None:
    dataset = toy_dataset()
    asked = []

    def evolve(scale: float) -> tuple[Sequence[str], np.ndarray]:
        asked.append(scale)
        return ("Opui", "OpW"), np.array([[0.3, 0.1], [1.1, 0.0]])

    term = Term(dataset, ["OpW", "OtG"], evolve=evolve)
    assert asked == [1000.0]
    assert term.set_to_zero == ("O3pq",)
    expected = dataset.m2logl({"OpW": 1.1 * 0.2, "Opui": 0.3 * 0.2 + 0.1 * 0.5})
    assert term.m2logl([0.2, 0.5]) == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(InputError, match="running is asked for, but dataset toy has no scale; export it"):
        Term(dataset.replace(metadata={}), evolve=evolve)
    assert Term(dataset.replace(metadata={}), ["OpW", "OtG"], evolve=evolve, scale=300).scale == 300.0


def test_nuisances_are_minimised_over_and_told() -> None:
    dataset = toy_dataset().with_luminosity(0.02)
    term = Term(dataset)
    assert term.nuisances == dataset.nuisances
    assert any("minimised over its nuisances" in note for note in term.notes)
    c = np.full(len(term.names), 0.1)
    expected = float(Likelihood([dataset]).profiled().m2logl(c))
    assert float(term.m2logl(c)) == pytest.approx(expected, rel=1e-12)
    copy = pickle.loads(pickle.dumps(term))
    assert float(copy.m2logl(c)) == float(term.m2logl(c))


def test_without_a_coefficient_it_is_zero() -> None:
    term = Term(toy_dataset(), ["OtG", "OtZ"])
    c = np.ones((4, 2))
    np.testing.assert_array_equal(term.m2logl(c), np.zeros(4))
    np.testing.assert_array_equal(term.gradient(c), np.zeros((4, 2)))
    np.testing.assert_array_equal(term.hessian(c), np.zeros((4, 2, 2)))


def test_what_it_uses_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        Term(toy_dataset(), ["OpW", "O3pq"]).log()
    assert "Unbinned dataset toy, 200 events: uses the operators OpW, O3pq; set to zero: Opui" in caplog.text


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"units": "TeV"}, "unknown units 'TeV'; known are TeV"),
        ({"basis": "smfit"}, "unknown basis 'smfit'"),
        ({"names": ["OpW", "OpW"]}, "named twice: OpW"),
        ({"scale": -1.0}, "scale must be a positive number of GeV, got -1.0"),
        ({"scale": "high"}, "scale must be a positive number of GeV, got 'high'"),
        ({"dataset": "/no/such.dataset"}, "/no/such.dataset"),
    ],
)
def test_bad_input(options: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Term(**{"dataset": toy_dataset(), **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros(2), r"shape \(2,\) do not fit 3 operators"),
        (np.float64(0.0), r"shape \(\) do not fit 3 operators"),
        (np.zeros(3, dtype=np.float32), "must be float64, got float32"),
    ],
)
def test_values_of_another_shape_or_precision_are_refused(values: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Term(toy_dataset()).m2logl(values)
