"""GaussianDataset against SMEFiT, both computed here: chi2 in total and by dataset, for all it can load."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from smefit_reference import CARDS, LEP, OPERATORS, every_dataset, folders, points, smefit_chi2, smefit_load

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.errors import InputError

if folders() is None:
    pytest.skip("set SMEFT_UNBINNED_DATA to the folder with smefit_database", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")

pytestmark = pytest.mark.filterwarnings("ignore")


def load(card: dict[str, Any], **more: Any) -> GaussianDataset:
    return GaussianDataset.load(**{**card, **more}, **folders())


def check(ours: GaussianDataset, card: dict[str, Any], c: np.ndarray, loaded: Any = None) -> None:
    total, parts = smefit_chi2(card, c, loaded)
    np.testing.assert_allclose(ours.chi2(c), total, rtol=1e-9)
    mine = ours.chi2_by_group(c)
    assert list(mine) == list(parts)
    for name, values in parts.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("case", CARDS)
def test_chi2_equals_smefit(case: str) -> None:
    check(load(CARDS[case]), CARDS[case], points(len(CARDS[case]["operators"])))


@pytest.mark.parametrize("theory_covariance", [True, False])
@pytest.mark.parametrize("t0", [True, False])
@pytest.mark.parametrize("quadratic", [True, False])
def test_every_dataset_equals_smefit(quadratic: bool, t0: bool, theory_covariance: bool) -> None:
    card = {**every_dataset(quadratic), "use_t0": t0, "use_theory_covmat": theory_covariance}
    ours, loaded = load(card), smefit_load(card)
    assert len(ours.groups) == 41
    check(ours, card, points(len(card["operators"]), n=50), loaded)
    deviations = loaded.InvCovMat @ ours.covariance - np.eye(len(ours))  # in units of its own inverse
    assert np.abs(deviations).max() < 1e-6


def test_every_dataset_with_a_cutoff() -> None:
    card = {**every_dataset(), "cutoff_scale": 400.0}
    ours = load(card, operators=None)
    kept = sorted(n for n in ours.operators if n in card["operators"])  # SMEFiT wants what survives
    card["operators"] = tuple(kept)
    ours = load(card)
    assert 10 < len(ours.groups) < 41
    assert ours.metadata["datasets_above_cutoff"]
    check(ours, card, points(len(kept), n=10))


def test_every_dataset_with_the_multiplicative_prescription() -> None:
    card = {**every_dataset(), "use_multiplicative_prescription": True}
    check(load(card), card, points(len(card["operators"]), n=10))


def test_theory_covariances_differ() -> None:
    chi2 = [
        load(CARDS[f"LEP {which}"]).chi2(np.zeros(5)) for which in ("current", "conservative", "aggressive")
    ]
    assert len(set(map(float, chi2))) == 3
    entry = {"name": LEP[0], "theory_cov": "bold"}
    with pytest.raises(KeyError):
        smefit_load({**CARDS["LEP current"], "datasets": [entry]})
    with pytest.raises(InputError, match="theory_cov can be current, conservative, aggressive"):
        load({**CARDS["LEP current"], "datasets": [entry]})


@pytest.fixture
def rotation(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A rotation of the coefficients of the card to others; their names, sorted, are in another order."""
    matrix = np.random.default_rng(1).normal(size=(6, 6))
    fit = ["z", "b", "y", "a", "k", "c"]
    file = tmp_path / "rotation.json"
    file.write_text(
        json.dumps({"matrix": matrix.tolist(), "xpars": OPERATORS, "ypars": fit}), encoding="utf-8"
    )
    return file, matrix[np.argsort(fit)]


@pytest.mark.parametrize("multiplicative", [True, False])
def test_linear_rotation_equals_smefit(multiplicative: bool, rotation: tuple[Path, np.ndarray]) -> None:
    card = {
        **CARDS["linear"],
        "operators": tuple("abckyz"),
        "rot_to_fit_basis": rotation[0],
        "use_multiplicative_prescription": multiplicative,
    }
    check(load(card), card, points(6))


def test_smefit_loses_cross_terms_of_rotated_quadratic_corrections(
    rotation: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps the upper triangle of what is not symmetric; with both triangles it agrees with us."""
    from smefit import basis_rotation

    card = {**CARDS["NLO"], "operators": tuple("abckyz"), "rot_to_fit_basis": rotation[0]}
    c, ours = points(6), load(card)
    check(load(CARDS["NLO"]), CARDS["NLO"], c @ rotation[1])
    np.testing.assert_allclose(ours.chi2(c), load(CARDS["NLO"]).chi2(c @ rotation[1]), rtol=1e-10)
    total, _ = smefit_chi2(card, c)
    assert np.abs(total / ours.chi2(c) - 1)[1:].min() > 1e-3
    kept: Callable[..., np.ndarray] = basis_rotation.flatten

    def both(form: np.ndarray, axis: int = 0) -> np.ndarray:
        numbers = form.dtype.kind == "f"
        return kept(form + form.T - np.diag(np.diag(form)) if numbers else form, axis)

    monkeypatch.setattr(basis_rotation, "flatten", both)
    check(ours, card, c)


class Running:
    """Made-up matrices of running by scale; the generated coefficients are those of the global fit."""

    operators = ("OpW", "OtG", "OpD")
    generated = tuple(every_dataset()["operators"])

    def matrix(self, scale: float | None) -> tuple[tuple[str, ...], np.ndarray]:
        rng = np.random.default_rng(round(1000 * (scale or 5e3)))
        return self.generated, rng.normal(scale=0.2, size=(len(self.generated), 3))

    def point_scales(self, scales: np.ndarray) -> np.ndarray:
        return scales


@pytest.mark.parametrize("cutoff", [None, 500.0])
@pytest.mark.parametrize("quadratic", [True, False])
def test_running_of_every_point_equals_smefit(quadratic: bool, cutoff: float | None) -> None:
    run = Running()
    card = {**CARDS["NLO"], "operators": run.operators, "use_quad": quadratic, "cutoff_scale": cutoff}
    ours = load(card, running=run)
    scales = [s for about in ours.metadata["datasets"] for s in about["scales"]]
    order = [run.operators.index(n) for n in sorted(run.operators)]
    matrices = np.array([run.matrix(s)[1][:, order] for s in scales])
    loaded = smefit_load(card, operators_to_keep={name: {} for name in run.generated}, rgemat=matrices)
    c = points(3)
    total, parts = smefit_chi2(card, c, loaded)
    at = dict(zip(sorted(run.operators), c.T, strict=True))
    np.testing.assert_allclose(ours.chi2(at), total, rtol=1e-9)
    for name, values in ours.chi2_by_group(at).items():
        np.testing.assert_allclose(values, parts[name], rtol=1e-9)


def test_a_cutoff_without_scales_fails_in_smefit(tmp_path: Path) -> None:
    from smefit.loader import Loader

    paths = folders()
    assert paths is not None
    name = "CMS_ttZ_13TeV_pTZ"
    theory = json.loads((paths["theory_path"] / f"{name}.json").read_text(encoding="utf-8"))
    theory.pop("scales")
    (tmp_path / f"{name}.json").write_text(json.dumps(theory), encoding="utf-8")
    Loader.commondata_path, Loader.theory_path = paths["data_path"], tmp_path
    with pytest.raises(TypeError):
        Loader(name, {}, "LO", True, None, False, None, 500.0)
    with pytest.raises(InputError, match=f"the theory of {name} has none"):
        GaussianDataset.load(name, data_path=paths["data_path"], theory_path=tmp_path, cutoff_scale=500.0)
