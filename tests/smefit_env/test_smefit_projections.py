"""Projections of real measurements against the files that SMEFiT's own command writes."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from smefit_reference import folders

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.projection import project
from smeft_unbinned.projection_card import ProjectionCard

if folders() is None:
    pytest.skip("set SMEFT_UNBINNED_DATA to the folder with smefit_database", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")
    import smefit.cli  # noqa: F401 (switches jax to float64, as the command does)
    from smefit.projections import Projection

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = (
    "ATLAS_ZH_Hbb_13TeV",  # multiplicative, one source per point
    "ATLAS_ttZ_13TeV_pTZ",  # no statistical uncertainty, covariance by factors
    "ATLAS_SSinc_RunII",  # statistical uncertainty and factors of a covariance
    "CMS_tZ_13TeV_inc",  # one point, one multiplicative source
    "CMS_t_tch_8TeV_inc",  # several sources, some shared with others
    "ATLAS_WW_13TeV_2016_memu",
)


def setup(folder: Path, **changes: Any) -> Path:
    """Write a card and copies of the files, since SMEFiT adds to its own folder of predictions."""
    paths = folders()
    assert paths is not None
    for key, suffix in (("data_path", "yaml"), ("theory_path", "json")):
        (folder / key).mkdir()
        for name in NAMES:
            text = (paths[key] / f"{name}.{suffix}").read_text(encoding="utf-8")
            (folder / key / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    card = {
        "commondata_path": str(folder / "data_path"),
        "theory_path": str(folder / "theory_path"),
        "projections_path": str(folder / "theirs"),
        "datasets": [{"name": name, "order": "NLO_QCD"} for name in NAMES],
        "coefficients": {},
        "default_order": "LO",
        "use_quad": True,
        "use_theory_covmat": True,
        "rot_to_fit_basis": None,
        "use_t0": True,
        "fred_tot": 0.333,
        "fred_sys": 0.5,
        "uv_couplings": False,
        **changes,
    }
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(card), encoding="utf-8")
    return path


def numbers(value: Any) -> np.ndarray:
    return np.array(value, dtype=float)


def compare(theirs: Path, ours: Path, spread: float = 0.0) -> None:
    """Compare two files: texts and shapes are the same, numbers to 1e-12, data to `spread` besides."""
    a, b = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (theirs, ours))
    assert list(a) == list(b)
    for key, value in a.items():
        if key in ("data_central", "statistical_error", "systematics", "luminosity"):
            assert numbers(value).shape == numbers(b[key]).shape, key
            rounding = spread if key == "data_central" else 0.0
            scale = np.abs(numbers(value)).max()
            np.testing.assert_allclose(
                numbers(b[key]), numbers(value), rtol=1e-12 + rounding, atol=rounding * scale, err_msg=key
            )
        else:
            assert value == b[key]


COEFFICIENTS = {
    "OtG": {"constrain": True, "value": 0.4},
    "OpBox": {"constrain": True, "value": -1.3},
    "O3pq": {"constrain": [{"OtG": [0.5, 2]}, {"OpBox": 0.1, "OtG": 1.0}]},
}


@pytest.mark.parametrize("coefficients", [{}, COEFFICIENTS])
@pytest.mark.parametrize("luminosity", [None, 3000.0])
@pytest.mark.parametrize(("noise", "seed"), [("L0", None), ("L0", 3), ("L1", 3)])
def test_files_equal_those_of_smefit(
    coefficients: dict[str, Any], luminosity: float | None, noise: str, seed: int | None, tmp_path: Path
) -> None:
    path = setup(tmp_path, coefficients=coefficients)
    Projection.from_config(path).build_projection(luminosity, noise, seed)
    card = replace(ProjectionCard.load(path), projections_path="ours")
    made = project(card, luminosity=luminosity, noise=noise, seed=seed)
    sub = "" if seed is None else f"seed_{seed}"
    for name in NAMES:
        file = f"{name}.yaml" if luminosity is None else f"{name}_proj.yaml"
        spread = 1e-9 if noise == "L1" else 0.0  # a square root of the covariance, found numerically
        compare(tmp_path / "theirs" / sub / file, tmp_path / "ours" / sub / file, spread)
        if luminosity is not None:
            theirs = (tmp_path / "theory_path" / f"{name}_proj.json").read_bytes()
            assert (tmp_path / "ours" / f"{name}_proj.json").read_bytes() == theirs
    assert len(made.datasets) == len(NAMES)


def test_bare_names_and_the_multiplicative_prescription(tmp_path: Path) -> None:
    path = setup(tmp_path, coefficients=COEFFICIENTS, use_multiplicative_prescription=True, use_quad=False)
    Projection.from_config(path).build_projection(300.0)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content |= {"datasets": list(NAMES), "default_order": "NLO_QCD", "projections_path": "ours"}
    project(ProjectionCard.from_dict(content, tmp_path), luminosity=300.0)
    for name in NAMES:
        compare(tmp_path / "theirs" / f"{name}_proj.yaml", tmp_path / "ours" / f"{name}_proj.yaml")


def test_today_and_projections_in_one_fit(tmp_path: Path) -> None:
    """SMEFiT needs both in one folder; we read two. The chi2 is the same."""
    from smefit.chi2 import compute_chi2
    from smefit.loader import load_datasets

    path = setup(tmp_path, coefficients=COEFFICIENTS)
    Projection.from_config(path).build_projection(3000.0)
    project(ProjectionCard.load(path), luminosity=3000.0)
    entries = [{"name": n, "order": "NLO_QCD"} for name in NAMES[:3] for n in (name, f"{name}_proj")]
    for name in NAMES:
        (tmp_path / "theory_path" / f"{name}_proj.json").unlink()
    ours = GaussianDataset.load(
        entries,
        data_path=[tmp_path / "data_path", tmp_path / "theirs"],
        theory_path=[tmp_path / "theory_path", tmp_path / "theirs"],
        operators=["OpBox", "OtG"],
        use_t0=True,
    )
    for sub, suffix in (("data_path", "yaml"), ("theory_path", "json")):
        for file in (tmp_path / "theirs").glob(f"*.{suffix}"):
            (tmp_path / sub / file.name).write_bytes(file.read_bytes())
    loaded = load_datasets(
        tmp_path / "data_path", entries, {"OpBox": {}, "OtG": {}}, True, True, True, False,
        theory_path=tmp_path / "theory_path",
    )  # fmt: skip
    for c in np.random.default_rng(2).normal(size=(5, 2)):
        assert float(ours.chi2(c)) == pytest.approx(float(compute_chi2(loaded, c, True, False)), rel=1e-9)
