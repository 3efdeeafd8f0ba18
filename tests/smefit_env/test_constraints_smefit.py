"""Every form of SMEFiT's `constrain`: chi2 of a card here against SMEFiT's own, both computed here."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from smefit_reference import NLO, folders

from smeft_unbinned import Runcard

if folders() is None:
    pytest.skip("set SMEFT_UNBINNED_DATA to the folder with smefit_database", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")

COEFFICIENTS: dict[str, dict[str, Any]] = {
    "lam": {"min": -3, "max": 3},
    "y": {"min": -3, "max": 3},
    "OpW": {"min": -1, "max": 1, "constrain": False},
    "OtG": {"constrain": True, "value": 0.2, "min": -1, "max": 1},
    "M": {"constrain": True, "value": 2.0, "is_mass": True},
    "OpG": {"constrain": {"lam": 0.05, "y": [0.3, 2]}, "min": -10, "max": 10},
    "O3pq": {"constrain": [{"lam": [0.02, 2]}, {"lam": [-0.01, 1], "y": [1, 1]}, {"y": [1e-3, 0]}]},
    "OtZ": {"constrain": [{"OpW": -0.4}, {"y": 0.2}], "value": None},
    "O81qq": {"constrain": [{"OpW": [0.3, 3]}], "min": 5, "max": 6},
    "OtW": {"constrain": {"M": [0.5, -2], "lam": 1}},
    "OpWB": {"constrain": [{"lam": 0.1}]},
}
FREE = ("OpW", "lam", "y")
"""Sorted, as SMEFiT sorts them."""


def smefit_chi2(points: np.ndarray, quadratic: bool) -> Iterator[float]:
    """Yield the chi2 of SMEFiT in float64 at each row, with its own evaluation of the rules."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from smefit.chi2 import compute_chi2
    from smefit.coefficients import CoefficientManager
    from smefit.loader import load_datasets

    paths = folders()
    assert paths is not None
    block = copy.deepcopy(COEFFICIENTS)
    loaded = load_datasets(
        paths["data_path"], NLO, block, quadratic, True, True, False,
        theory_path=paths["theory_path"], has_uv_couplings=True,
    )  # fmt: skip
    coefficients = CoefficientManager.from_dict(block)
    assert list(coefficients.name) == list(loaded.OperatorsNames)
    assert list(coefficients.free_parameters.index) == list(FREE)
    for row in points:
        coefficients.set_free_parameters(row)
        coefficients.set_constraints()
        yield float(compute_chi2(loaded, coefficients.value, quadratic, False))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("quadratic", [True, False])
def test_chi2_with_rules_equals_smefit(quadratic: bool) -> None:
    paths = folders()
    assert paths is not None
    card = Runcard.from_dict(
        {
            "datasets": NLO,
            **{key: str(path.resolve()) for key, path in paths.items()},
            "use_quad": quadratic,
            "use_t0": True,
            "uv_couplings": True,
            "coefficients": COEFFICIENTS,
        }
    )
    likelihood = card.likelihood()
    assert sorted(likelihood.operators) == list(FREE)
    points = np.random.default_rng(20250115).normal(scale=0.8, size=(20, len(FREE)))
    points[0] = 0.0
    by_name = {name: points[:, i] for i, name in enumerate(FREE)}
    where = likelihood.dataset_points(np.stack([by_name[n] for n in likelihood.operators], axis=-1))
    ours = likelihood.datasets[0].chi2(where["binned"])
    assert np.ptp(ours) > 1.0
    np.testing.assert_allclose(ours, list(smefit_chi2(points, quadratic)), rtol=1e-9)
