"""The shipped binned tables are what their command makes, and are consistent with themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from smeft_unbinned.errors import InputError
from smeft_unbinned.operators import translation
from smeft_unbinned.polynomial import Polynomial
from theory_tables import make, predictions

FOLDER = Path(make.__file__).parent
EXPECTED = {
    "ZH": {"OpW", "OpB", "OpWB", "OpqMi", "O3pq", "Opui", "Opdi", "OpBox", "OpD"},
    "WH": {"OpW", "O3pq", "OpBox", "OpD"},
    "tt": {"OtG", *(f"O{c}{q}" for c in "18" for q in ("qt", "ut", "dt", "qu", "qd")), "O81qq", "O11qq"},
}


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
    assert set(operators) == EXPECTED[name[:2]]
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


def test_inclusive_top_pairs_are_the_sum_of_bins() -> None:
    """Up to 2 per mille of the SM, which lie above the last edge."""
    total, bins = (
        json.loads((FOLDER / "theory" / f"{name}.json").read_text())["LO"]
        for name in ("tt_13TeV_inclusive", "tt_13TeV_Mtt_CMS")
    )
    widths = np.diff(make.TABLES["tt_13TeV_Mtt_CMS"].edges)
    assert np.dot(bins["SM"], widths) == pytest.approx(total["SM"][0], rel=2e-3)
    assert np.dot(bins["OtG"], widths) == pytest.approx(total["OtG"][0], rel=2e-3)


def test_names_of_top_coefficients_agree_with_the_translation() -> None:
    """The SMEFiT name of a coefficient in the tables is what `operators` makes of it, up to bases."""
    for name, other in predictions.TTBAR_IN_SMEFIT.items():
        names, matrix = translation((name,), "smeftatnlo", "smefit")
        assert {n: x for n, x in zip(names, matrix[0], strict=True) if x} == {other: pytest.approx(1.0)}


def test_bins_and_units_are_those_of_the_measurements(database: Path) -> None:
    for name, measured in (
        ("tt_13TeV_Mtt_CMS", "CMS_tt_13TeV_ljets_2016_Mtt"),
        ("tt_13TeV_Mtt_ATLAS", "ATLAS_tt_13TeV_ljets_2016_Mtt"),
    ):
        data = yaml.safe_load((database / "commondata" / f"{measured}.yaml").read_text())
        scales = json.loads((database / "theory" / f"{measured}.json").read_text())["scales"]
        edges = np.array(make.TABLES[name].edges)
        assert data["num_data"] == len(edges) - 1
        assert data["units"] == "pb/GeV"
        np.testing.assert_allclose(0.5 * (edges[1:] + edges[:-1]), scales)
