"""The shipped binned tables are what their command makes, and are consistent with themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from smeft_unbinned.errors import InputError
from smeft_unbinned.polynomial import Polynomial
from theory_tables import make

FOLDER = Path(make.__file__).parent


@pytest.mark.parametrize("name", make.TABLES)
def test_regenerated_tables_agree(name: str, tmp_path: Path) -> None:
    make.main([str(tmp_path), "--only", name])
    new, old = (json.loads((folder / "theory" / f"{name}.json").read_text()) for folder in (tmp_path, FOLDER))
    assert new.keys() == old.keys()
    assert new["LO"].keys() == old["LO"].keys()
    for key, values in old["LO"].items():
        np.testing.assert_allclose(new["LO"][key], values, rtol=1e-6, atol=1e-9, err_msg=key)
    assert new["provenance"] == old["provenance"]
    data_new, data_old = (
        yaml.safe_load((folder / "commondata" / f"{name}.yaml").read_text()) for folder in (tmp_path, FOLDER)
    )
    assert data_new.keys() == data_old.keys()
    for key in ("data_central", "statistical_error", "systematics"):
        np.testing.assert_allclose(data_new[key], data_old[key], rtol=1e-6)


@pytest.mark.parametrize("name", make.TABLES)
def test_tables_are_quadratic_forms(name: str) -> None:
    order = json.loads((FOLDER / "theory" / f"{name}.json").read_text())["LO"]
    operators = [key for key in order if "*" not in key and key != "SM"]
    assert set(operators) == {"OpW", "OpB", "OpWB", "OpqMi", "O3pq", "Opui", "Opdi", "OpBox", "OpD"}
    columns = [order["SM"], *(order[o] for o in operators)]
    columns += [order[f"{a}*{b}"] for i, a in enumerate(operators) for b in operators[i:]]
    matrix = np.asarray(Polynomial(operators, np.array(columns).T).matrix())
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert np.all(eigenvalues[:, 0] > -1e-8 * eigenvalues[:, -1])


@pytest.mark.parametrize("energy", ["13TeV", "14TeV"])
def test_fine_bins_add_up_to_coarse_ones(energy: str) -> None:
    fine, coarse = make.TABLES[f"ZH_{energy}_fine"], make.TABLES[f"ZH_{energy}_STXS"]
    orders = [
        json.loads((FOLDER / "theory" / f"ZH_{energy}_{kind}.json").read_text())["LO"]
        for kind in ("fine", "STXS")
    ]
    which = np.searchsorted(coarse.edges, fine.edges[:-1], side="right") - 1
    for key, values in orders[1].items():
        summed = np.bincount(which, weights=orders[0][key])
        np.testing.assert_allclose(summed, values, rtol=1e-6, atol=1e-9, err_msg=key)


def test_unknown_table() -> None:
    with pytest.raises(InputError, match="Did you mean 'ZH_13TeV_STXS'"):
        make.theory("ZH_13TeV_SXTS")
