"""chi2 of GaussianDataset against that of SMEFiT, both computed here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from smefit_reference import CARDS, every_dataset, folders, points, smefit_chi2

from smeft_unbinned.datasets import GaussianDataset

if folders() is None:
    pytest.skip("set SMEFT_UNBINNED_DATA to the folder with smefit_database", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [*CARDS, "every dataset"])
def test_chi2_equals_smefit(case: str) -> None:
    card = CARDS.get(case) or every_dataset()
    ours = GaussianDataset.load(**card, **folders())
    c = points(len(card["operators"]))
    np.testing.assert_allclose(ours.chi2(c), list(smefit_chi2(card, c)), rtol=1e-9)
