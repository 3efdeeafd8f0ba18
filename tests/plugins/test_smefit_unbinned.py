"""The external chi2 of SMEFiT, with a stand-in for its CoefficientManager (SMEFiT itself is not needed)."""

from __future__ import annotations

import importlib
import json
import logging
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.smefit import checks, unbinned
from plugins.smefit.example.make import toy_dataset
from smeft_unbinned import rg_matrix, rge
from smeft_unbinned.datasets import UnbinnedDataset
from smeft_unbinned.errors import InputError
from smeft_unbinned.fitters import registry
from smeft_unbinned.polynomial import Polynomial

CARD = ("O3pq", "OpB", "OpW", "OpqMi", "OtG")
POINT = np.array([0.02, 5.0, -0.1, 0.03, 7.0])
OURS = {"O3pq": 0.02, "OpW": -0.1, "OpqMi": 0.03}


@dataclass
class Entry:
    name: str
    is_free: bool = True
    constrain: list[dict[str, Any]] | None = None
    value: float = 0.0


@dataclass
class Manager:
    names: tuple[str, ...] = CARD
    bound: list[Entry] = field(default_factory=list)

    @property
    def name(self) -> np.ndarray:
        return np.array(self.names)

    @property
    def _objlist(self) -> list[Entry]:
        return [*(Entry(n) for n in self.names), *self.bound]


@pytest.fixture
def dataset() -> UnbinnedDataset:
    return toy_dataset(n_expected=300)


@pytest.fixture
def file(dataset: UnbinnedDataset, tmp_path: Path) -> str:
    dataset.save(tmp_path / "zh.safetensors")
    return str(tmp_path / "zh.safetensors")


@pytest.fixture
def jax() -> Iterator[Any]:
    module = pytest.importorskip("jax", reason="the jax extra is not installed")
    before = module.config.jax_enable_x64
    module.config.update("jax_enable_x64", True)
    yield module
    module.config.update("jax_enable_x64", before)


@pytest.fixture(autouse=True)
def no_jax_in_single_precision(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Hide a jax that other tests imported, except from the tests that ask for it."""
    if "jax" not in request.fixturenames:
        monkeypatch.delitem(sys.modules, "jax", raising=False)


def as_smefit_loads(name: str, **keys: Any) -> unbinned.UnbinnedChi2:
    """Follow what SMEFiT does with `path: plugins.smefit.unbinned.py`."""
    module = importlib.import_module(Path("plugins.smefit.unbinned.py").stem)
    built = getattr(module, name)(**{"coefficients": Manager(), "rge_dict": None, **keys})
    assert isinstance(built, unbinned.UnbinnedChi2)
    return built


def test_value_is_that_of_the_dataset_by_name(dataset: UnbinnedDataset, file: str) -> None:
    chi2 = as_smefit_loads("zh_14tev", file=file)
    assert set(chi2.term.used) == set(OURS)
    expected = float(dataset.in_basis("smefit").m2logl(OURS))
    assert float(chi2.compute_chi2(POINT)) == pytest.approx(expected, rel=1e-13)
    assert expected == pytest.approx(float(dataset.m2logl({"cHW": -0.1, "cHq3": 0.02, "cHq1": 0.05})))
    assert chi2.compute_chi2(np.zeros(5)) == 0.0
    assert chi2.compute_chi2(list(POINT)) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(chi2.compute_chi2(np.stack([0 * POINT, POINT])), [0, expected], rtol=1e-12)
    other = as_smefit_loads("zh", file=file, coefficients=Manager(CARD[::-1]))
    assert float(other.compute_chi2(POINT[::-1])) == pytest.approx(expected, rel=1e-13)


def test_jax_jit_vmap_and_grad(dataset: UnbinnedDataset, file: str, jax: Any) -> None:
    chi2 = as_smefit_loads("zh_14tev", file=file)
    points = np.random.default_rng(0).normal(scale=0.05, size=(4, 5))
    expected = chi2.compute_chi2(points)
    np.testing.assert_allclose(jax.jit(jax.vmap(chi2.compute_chi2))(points), expected, rtol=1e-11)
    np.testing.assert_allclose([float(jax.jit(chi2.compute_chi2)(p)) for p in points], expected, rtol=1e-11)
    slope = jax.grad(chi2.compute_chi2)(jax.numpy.asarray(POINT))
    inner = dataset.in_basis("smefit")
    exact = dict(zip(inner.operators, inner.gradient(OURS), strict=True))
    np.testing.assert_allclose(slope, [exact.get(n, 0.0) for n in CARD], rtol=1e-10)


def test_far_away_it_stays_finite_and_sloping(tmp_path: Path, jax: Any) -> None:
    ratios = Polynomial(["OpW"], [[1.0, -1.0, 0.0], [1.0, 0.5, 0.0]])
    UnbinnedDataset("x", ratios, Polynomial(["OpW"], [2.0, 0.0, 0.0]), basis="smefit").save(tmp_path / "x")
    chi2 = as_smefit_loads("x", file=str(tmp_path / "x"), coefficients=Manager(("OpW",)))
    near, far = (float(jax.jit(chi2.compute_chi2)(np.array([c]))) for c in (2.0, 3.0))
    assert np.isfinite(far)
    assert far > near > 1e9
    assert float(chi2.compute_chi2(np.array([3.0]))) == pytest.approx(far)
    assert float(jax.grad(chi2.compute_chi2)(jax.numpy.asarray([3.0]))[0]) > 0


def test_two_datasets_share_the_module_and_pickle(tmp_path: Path) -> None:
    for seed in (1, 2):
        toy_dataset(n_expected=100, seed=seed).save(tmp_path / f"{seed}.safetensors")
    first = as_smefit_loads("first", file=str(tmp_path / "1.safetensors"))
    second = as_smefit_loads("second", file=str(tmp_path / "2.safetensors"))
    values = [float(x.compute_chi2(POINT)) for x in (first, second)]
    assert values[0] != values[1]
    again = pickle.loads(pickle.dumps([first.compute_chi2, second.compute_chi2, type(first)]))
    assert [float(f(POINT)) for f in again[:2]] == values
    assert again[2] is unbinned.UnbinnedChi2
    with pytest.raises(AttributeError):
        unbinned._private  # noqa: B018


def test_operators_are_reported(file: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        chi2 = as_smefit_loads("zh", file=file, coefficients=Manager(("O3pq", "OtG")))
    assert chi2.term.set_to_zero == ("OpW", "OpqMi")
    assert "uses the operators O3pq" in caplog.text
    assert "set to zero: OpW, OpqMi" in caplog.text
    assert chi2.compute_chi2(np.array([0.0, 3.0])) == 0.0


def test_a_card_without_our_operators_gives_zero(
    file: str, caplog: pytest.LogCaptureFixture, jax: Any
) -> None:
    with caplog.at_level(logging.WARNING):
        chi2 = as_smefit_loads("zh", file=file, coefficients=Manager(("OtG",)))
    assert "uses the operators none" in caplog.text
    assert chi2.compute_chi2(np.array([3.0])) == 0.0
    assert float(jax.jit(chi2.compute_chi2)(np.array([3.0]))) == 0.0


def test_operators_that_the_basis_lacks_are_zero(tmp_path: Path) -> None:
    names = ["cHW", "cUnknown"]
    data = UnbinnedDataset(
        "x", Polynomial(names, np.ones((3, 6))), Polynomial(names, np.ones(6)), basis="warsaw"
    )
    data.save(tmp_path / "x")
    chi2 = as_smefit_loads("x", file=str(tmp_path / "x"))
    assert (chi2.term.used, chi2.term.set_to_zero) == (("OpW",), ("cUnknown",))
    assert float(chi2.compute_chi2(POINT)) == pytest.approx(float(data.m2logl({"cHW": POINT[2]})))


def test_single_precision_is_refused(file: str, jax: Any) -> None:
    chi2 = as_smefit_loads("zh", file=file)
    with pytest.raises(InputError, match=r"float32.*jax_enable_x64"):
        chi2.compute_chi2(POINT.astype(np.float32))
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(InputError, match=r"jax.config.update\('jax_enable_x64', True\)"):
        as_smefit_loads("zh", file=file)
    with pytest.raises(InputError, match="double precision"):
        jax.jit(chi2.compute_chi2)(POINT)


def test_values_of_another_card_are_refused(file: str) -> None:
    with pytest.raises(InputError, match=r"got \(2,\) values for 5 coefficients"):
        as_smefit_loads("zh", file=file).compute_chi2(np.zeros(2))


def test_fixed_and_nested_coefficients_are_refused(file: str) -> None:
    bound = [Entry("OpB", False, None, 0.5), Entry("OtG", False, None, 0.0)]
    with pytest.raises(InputError, match="as zero in nested sampling: OpB"):
        as_smefit_loads("zh", file=file, coefficients=Manager(bound=bound))
    bound = [Entry("OtG", False, [{"OpW": np.array([2.0, 1.0])}]), Entry("OpB", False, [{"OtG": [1.0, 2.0]}])]
    with pytest.raises(InputError, match="constrained by another constrained one at zero: OpB"):
        as_smefit_loads("zh", file=file, coefficients=Manager(bound=bound))
    as_smefit_loads("zh", file=file, coefficients=Manager(bound=[bound[0], Entry("OpB", False, None, 0.0)]))


def test_rotated_coordinates_are_refused(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="rot_to_fit_basis or --rotate_to_pca; fit without"):
        as_smefit_loads("zh", file=file, coefficients=Manager(("PC00", "PC01")))
    monkeypatch.setattr(sys, "argv", ["smefit", "NS", "card.yaml", "--rotate_to_pca"])
    with pytest.raises(InputError, match="rotation"):
        as_smefit_loads("zh", file=file)
    card = tmp_path / "card.yaml"
    card.write_text(json.dumps({"rot_to_fit_basis": "rotation.json"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"card.yaml"):
        checks.refuse_rotated(CARD, ["smefit", "NS", str(card)])
    for text in ("rot_to_fit_basis: null", "[1, 2]", "a: ["):
        card.write_text(text, encoding="utf-8")
        checks.refuse_rotated(CARD, ["smefit", "NS", str(card), "other.yaml", "-n"])


def test_wrong_keys_are_refused(file: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'fil'\. Did you mean 'file'"):
        as_smefit_loads("zh", fil=file)
    with pytest.raises(InputError, match="the key 'file' is missing"):
        as_smefit_loads("zh")
    with pytest.raises(InputError, match=r"no such file.*Did you mean 'zh.safetensors'"):
        as_smefit_loads("zh", file=str(tmp_path / "zg.safetensors"))


def test_a_smefit_that_was_never_tried_is_refused(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.metadata, "version", lambda package: "5.0.0")
    with pytest.raises(InputError, match=r"smefit 5.0.0 is installed, but the adapter works with >=4.0,<4.1"):
        as_smefit_loads("zh", file=file)


def test_running_uses_the_matrix_of_smefit(
    dataset: UnbinnedDataset, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def compute(settings: dict[str, Any], names: list[str], scale: float, done: Any) -> rg_matrix.Matrix:
        seen.update(settings=settings, names=names, scale=scale)
        matrix = np.zeros((2, len(names)))
        matrix[0, names.index("OpW")], matrix[1, names.index("OtG")] = 0.9, 0.01
        return rg_matrix.Matrix(("OpW", "OpqMi"), tuple(names), matrix)

    monkeypatch.setattr(rge, "compute", compute)
    block = {"init_scale": 5000.0, "obs_scale": "dynamic", "scale_variation": 2.0, "adm_QCD": False}
    chi2 = as_smefit_loads("zh", file=file, rge_dict=block, coefficients=Manager(CARD[::-1]))
    assert seen["scale"] == 800.0
    assert seen["settings"] == {
        "init_scale": 5000.0, "adm_QCD": False, "smeft_accuracy": "integrate", "yukawa": "top",
    }  # fmt: skip
    assert set(seen["names"]) == set(CARD)
    expected = dataset.in_basis("smefit").m2logl({"OpW": -0.09, "OpqMi": 0.07})
    assert float(chi2.compute_chi2(POINT[::-1])) == pytest.approx(float(expected), rel=1e-12)
    assert chi2.term.set_to_zero == ("O3pq",)
    as_smefit_loads("zh", file=file, rge_dict={"obs_scale": 91.0}, scale=1000)
    assert seen["scale"] == 1000.0
    with pytest.raises(InputError, match="positive number of GeV, got -1"):
        as_smefit_loads("zh", file=file, rge_dict=block, scale=-1)


def test_running_without_a_scale_is_refused(tmp_path: Path) -> None:
    names = ["OpW"]
    data = UnbinnedDataset(
        "x", Polynomial(names, np.ones((3, 3))), Polynomial(names, np.ones(3)), basis="smefit"
    )
    data.save(tmp_path / "x")
    with pytest.raises(InputError, match="dataset x has no scale"):
        as_smefit_loads("x", file=str(tmp_path / "x"), rge_dict={"init_scale": 1000.0})
