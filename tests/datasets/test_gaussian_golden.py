"""chi2 of real datasets against numbers that SMEFiT computed (see `made_by` in the file)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned.datasets import GaussianDataset

GOLDEN = json.loads((Path(__file__).parent / "golden_smefit_chi2.json").read_text(encoding="utf-8"))
DATA = os.environ.get("SMEFT_UNBINNED_DATA")


@pytest.mark.skipif(not DATA, reason="set SMEFT_UNBINNED_DATA to the folder with smefit_database")
@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_chi2_equals_smefit(case: str) -> None:
    golden = GOLDEN["cases"][case]
    root = Path(str(DATA)) / "smefit_database"
    ours = GaussianDataset.load(**golden["card"], data_path=root / "commondata", theory_path=root / "theory")
    c = np.array(golden["points"])
    np.testing.assert_allclose(ours.chi2(c), golden["chi2"], rtol=1e-9)
    np.testing.assert_allclose(ours.m2logl(c), ours.chi2(c) - ours.chi2(0 * c[0]), rtol=1e-9, atol=1e-9)
    for name, values in ours.chi2_by_group(c).items():
        np.testing.assert_allclose(values, golden["chi2_by_dataset"][name], rtol=1e-9, err_msg=name)
