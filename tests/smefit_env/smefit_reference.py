"""chi2 of SMEFiT itself for the cards that ours is compared with; runs where `smefit` is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

OPERATORS = ("O3pq", "O81qq", "OpG", "OpW", "OtG", "OtZ")
"""The coefficients of the card, sorted by name as SMEFiT sorts them."""
NAMES = (
    "CMS_tt_13TeV_ljets_2016_Mtt",
    "CMS_ttZ_13TeV_pTZ",
    "ATLAS_ttZ_13TeV_pTZ",
    "ATLAS_ZH_Hbb_13TeV",
    "ATLAS_STXS_runII_13TeV",
)
LO = [{"name": name} for name in NAMES]
NLO = [{"name": name, "order": "LO" if name == "ATLAS_ZH_Hbb_13TeV" else "NLO_QCD"} for name in NAMES]
SHARED = [
    {"name": name}
    for name in (
        "ATLAS_WW_13TeV_2016_memu",
        "ATLAS_WZ_13TeV_2016_mTWZ",
        "CMS_t_tch_8TeV_inc",
        "CMS_tt2D_8TeV_dilep_MttYtt",
    )
]
"""Datasets of which pairs share the uncertainty of a luminosity."""
LEP = ("LEP1_EWPOs_2006", "LEP_Bhabha_2013", "LEP_Brw_2013", "LEP_eeWW_182GeV")
BASE: dict[str, Any] = {
    "datasets": NLO,
    "operators": OPERATORS,
    "use_quad": True,
    "use_t0": True,
    "use_theory_covmat": True,
    "use_multiplicative_prescription": False,
}


def _lep(theory_cov: str) -> dict[str, Any]:
    entries = [{"name": name, "theory_cov": theory_cov} for name in LEP]
    return {**BASE, "datasets": entries, "operators": ("O3pl1", "Oll1221", "OpD", "OpWB", "Opl1")}


CARDS: dict[str, dict[str, Any]] = {
    "NLO": BASE,
    "LO": {**BASE, "datasets": LO},
    "linear": {**BASE, "use_quad": False},
    "no t0": {**BASE, "use_t0": False},
    "no theory covariance": {**BASE, "use_theory_covmat": False},
    "multiplicative": {**BASE, "use_multiplicative_prescription": True},
    "shared luminosity": {**BASE, "datasets": SHARED, "operators": ("O3pq", "OWWW", "OtG", "OtW")},
    "cutoff": {**BASE, "cutoff_scale": 460.0},
    "cutoff of whole datasets": {**BASE, "cutoff_scale": 400.0},
    "LEP current": _lep("current"),
    "LEP conservative": _lep("conservative"),
    "LEP aggressive": _lep("aggressive"),
}
"""Arguments of `GaussianDataset.load` by a name for the case."""


def folders() -> dict[str, Path] | None:
    """Return where the tables of SMEFiT's database are, None where SMEFT_UNBINNED_DATA does not say."""
    root = os.environ.get("SMEFT_UNBINNED_DATA")
    if not root:
        return None
    database = Path(root) / "smefit_database"
    return {"data_path": database / "commondata", "theory_path": database / "theory"}


def points(n_operators: int, seed: int = 20240229, n: int = 20, scale: float = 0.3) -> np.ndarray:
    """Return random coefficients in TeV^-2, (n, n_operators), the first one the SM."""
    c = np.random.default_rng(seed).normal(scale=scale, size=(n, n_operators))
    c[0] = 0.0
    return c


def smefit_load(card: dict[str, Any], **more: Any) -> Any:
    """Return the datasets of a card as SMEFiT loads them, in float64; its operators are sorted by name."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from smefit.loader import load_datasets

    paths = folders()
    if paths is None:
        raise RuntimeError("set SMEFT_UNBINNED_DATA")
    arguments: dict[str, Any] = {
        "theory_path": paths["theory_path"],
        "rot_to_fit_basis": card.get("rot_to_fit_basis"),
        "cutoff_scale": card.get("cutoff_scale"),
        "operators_to_keep": {name: {} for name in card["operators"]},
        **more,
    }
    loaded = load_datasets(
        paths["data_path"],
        card["datasets"],
        use_quad=card["use_quad"],
        use_theory_covmat=card["use_theory_covmat"],
        use_t0=card["use_t0"],
        use_multiplicative_prescription=card["use_multiplicative_prescription"],
        **arguments,
    )
    if "rgemat" not in more and list(loaded.OperatorsNames) != sorted(card["operators"]):
        raise RuntimeError(f"SMEFiT has the coefficients {loaded.OperatorsNames}")
    return loaded


def smefit_chi2(card: dict[str, Any], c: np.ndarray, loaded: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
    """Return SMEFiT's chi2 at each row of c, (n,), and that of each dataset in its reports, {name: (n,)}.

    The card's operators must be sorted by name.
    """
    loaded = smefit_load(card) if loaded is None else loaded
    from smefit.analyze.chi2_utils import Chi2tableCalculator
    from smefit.chi2 import compute_chi2
    from smefit.compute_theory import make_predictions

    options = card["use_quad"], card["use_multiplicative_prescription"]
    total = np.array([float(compute_chi2(loaded, row, *options)) for row in c])
    tables = [
        Chi2tableCalculator.compute(loaded, np.asarray(make_predictions(loaded, row, *options))[None])[0]
        for row in c
    ]
    names = list(tables[0].index)
    return total, {name: np.array([t.loc[name, "chi2"] for t in tables]) for name in names}


def every_dataset(quadratic: bool = True) -> dict[str, Any]:
    """Return the card of all datasets at their best order in all coefficients of the global fit."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "global_fit"))
    from cards import COEFFICIENTS, entries

    return {**BASE, "datasets": entries(), "operators": tuple(sorted(COEFFICIENTS)), "use_quad": quadratic}
