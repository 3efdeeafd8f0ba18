"""The Fisher information of measurements against that of SMEFiT's tables, linear and without others fixed."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from smefit_reference import CARDS, folders, smefit_load

from smeft_unbinned import Likelihood
from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.statistics import fisher

if folders() is None:
    pytest.skip("set SMEFT_UNBINNED_DATA to the folder with smefit_database", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["linear", "shared luminosity"])
def test_conditional_information_equals_smefit(case: str) -> None:
    from smefit.analyze.fisher import FisherCalculator

    card = {**CARDS[case], "use_quad": False}
    names = sorted(card["operators"])
    loaded = smefit_load(card)
    stand_in = SimpleNamespace(
        datasets=loaded, new_LinearCorrections=np.asarray(loaded.LinearCorrections).T, free_parameters=names
    )
    FisherCalculator.compute_linear(stand_in)
    theirs = stand_in.lin_fisher.T
    ours = fisher(Likelihood([GaussianDataset.load(**card, **folders())]), split="conditional").information
    np.testing.assert_allclose(ours.loc[names, theirs.columns], theirs.loc[names], rtol=1e-7)
