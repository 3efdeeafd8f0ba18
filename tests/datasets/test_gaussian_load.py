"""GaussianDataset.load: the rules of the SMEFiT format against hand-made sums, and the errors of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smeft_unbinned.datasets import GaussianDataset, entries, record
from smeft_unbinned.errors import InputError
from smeft_unbinned.likelihood import Likelihood

A = {
    "num_data": 2,
    "num_sys": 4,
    "data_central": [10.0, 20.0],
    "statistical_error": [1.0, 2.0],
    "systematics": [[0.5, 0.6], [0.3, -0.4], [1.0, 2.0], [0.1, 0.2]],
    "sys_names": ["UNCORR", "CORR", "LUMI", "THEORYCORR"],
    "sys_type": ["ADD", "MULT", "MULT", "ADD"],
}
B = {  # one point with one source: scalars
    "num_data": 1,
    "num_sys": 1,
    "data_central": 5,
    "statistical_error": 0.5,
    "systematics": [0.7],
    "sys_names": "LUMI",
    "sys_type": "MULT",
}
C = {"num_data": 1, "num_sys": 0, "data_central": [1.0], "statistical_error": [0.1]}
THEORY_A = {
    "best_sm": [11.0, 18.0],
    "scales": [200.0, 300.0],
    "theory_cov_current": [[0.4, 0.1], [0.1, 0.3]],
    "theory_cov_aggressive": [[0.2, 0.0], [0.0, 0.2]],
    "LO": {"SM": [10.0, 20.0], "OpW": [1.0, 2.0], "OtG*OpW": [3.0, 4.0], "OtG*OtG": [5.0, 6.0]},
    "NLO_QCD": {"SM": [10.0, 20.0], "OpW": [1.5, 2.5]},
}
THEORY_B = {"best_sm": [6.0], "theory_cov": [[0.0]], "LO": {"SM": [6.0], "OpB": [1.0], "OpB*OpW": [0.5]}}
THEORY_C = {"best_sm": 1.0, "theory_cov_current": 0.0, "LO": {"SM": [1.0], "OpB": [1.0]}}


def write(folder: Path, name: str, data: Any, theory: Any) -> None:
    for sub, suffix, text in (
        ("commondata", "yaml", data if isinstance(data, str) else yaml.safe_dump(data)),
        ("theory", "json", theory if isinstance(theory, str) else json.dumps(theory)),
    ):
        (folder / sub).mkdir(exist_ok=True)
        (folder / sub / f"{name}.{suffix}").write_text(text, encoding="utf-8")


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    for name, data, theory in (("A", A, THEORY_A), ("B", B, THEORY_B), ("C", C, THEORY_C)):
        write(tmp_path, name, data, theory)
    return {"data_path": tmp_path / "commondata", "theory_path": tmp_path / "theory"}


def test_covariance_of_two_datasets_with_a_shared_source(paths: dict[str, Path]) -> None:
    d = GaussianDataset.load(["A", {"name": "B"}, "C"], **paths)
    corr, lumi, theory = np.array([0.3, -0.4]), np.array([1.0, 2.0, 0.7]), np.array([0.1, 0.2])
    expected = np.diag([1 + 0.25, 4 + 0.36, 0.25, 0.01])
    expected[:2, :2] += np.outer(corr, corr) + np.outer(theory, theory) + [[0.4, 0.1], [0.1, 0.3]]
    expected[:3, :3] += np.outer(lumi, lumi)
    np.testing.assert_allclose(d.covariance, expected, rtol=1e-14)
    np.testing.assert_array_equal(d.data, [10, 20, 5, 1])
    assert d.operators == ("OpB", "OpW", "OtG")
    assert d.basis == "smefit"
    assert d.metadata["datasets"][0] == {"name": "A", "order": "LO", "points": 2, "scales": [200.0, 300.0]}
    assert d.metadata["datasets"][1]["scales"] is None
    json.dumps(d.metadata)


def test_t0_scales_multiplicative_uncertainties_only(paths: dict[str, Path]) -> None:
    d = GaussianDataset.load(["A", "B"], **paths, use_t0=True, use_theory_covmat=False)
    corr, theory = np.array([0.3 * 1.1, -0.4 * 0.9]), np.array([0.1, 0.2])
    lumi = np.array([1.0 * 1.1, 2.0 * 0.9, 0.7 * 1.2])
    expected = np.diag([1 + 0.25, 4 + 0.36, 0.25])
    expected[:2, :2] += np.outer(corr, corr) + np.outer(theory, theory)
    np.testing.assert_allclose(d.covariance, expected + np.outer(lumi, lumi), rtol=1e-14)


def test_theory_is_the_best_sm_plus_the_corrections(paths: dict[str, Path]) -> None:
    c = {"OpW": 0.5, "OtG": -0.2}
    d = GaussianDataset.load("A", **paths)
    np.testing.assert_allclose(d.theory.evaluate(c), [11 + 0.5 - 0.3 + 0.2, 18 + 1 - 0.4 + 0.24])
    d = GaussianDataset.load({"name": "A"}, **paths, use_multiplicative_prescription=True)
    np.testing.assert_allclose(d.theory.evaluate(c), [11 * (1 + 0.04), 18 * (1 + 0.042)])
    d = GaussianDataset.load("A", **paths, use_quad=False)
    assert d.operators == ("OpW",)
    np.testing.assert_allclose(d.theory.evaluate({"OpW": 0.5}), [11.5, 19])
    d = GaussianDataset.load([{"name": "A", "order": "NLO_QCD"}, "B"], **paths)
    np.testing.assert_allclose(d.theory.evaluate({"OpW": 0.5}), [11.75, 19.25, 6])
    d = GaussianDataset.load({"name": "A", "theory_cov": "aggressive"}, **paths)
    plain = GaussianDataset.load("A", **paths, use_theory_covmat=False)
    np.testing.assert_allclose(d.covariance - plain.covariance, 0.2 * np.eye(2), atol=1e-14)


def test_operators_outside_the_fit_are_zero_and_named(paths: dict[str, Path]) -> None:
    d = GaussianDataset.load(["A", "B"], **paths, operators=["OtG", "OpW", "OpQ"], name="binned")
    assert d.operators == ("OtG", "OpW")
    assert d.metadata["operators_set_to_zero"] == ["OpB"]
    assert d.metadata["operators_without_effect"] == ["OpQ"]
    every = GaussianDataset.load(["A", "B"], **paths)
    c = {"OtG": 0.3, "OpW": -0.7}
    assert d.chi2(c) == pytest.approx(float(every.chi2(c)))
    assert GaussianDataset.load("B", **paths, operators=[]).chi2(np.zeros(0)) > 0


def test_folders_default_to_the_package_and_to_each_other(
    paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "files", lambda package: paths["data_path"].parent)
    assert len(GaussianDataset.load(["A", "B"])) == 3
    (paths["data_path"] / "A.json").write_text(json.dumps(THEORY_A), encoding="utf-8")
    assert len(GaussianDataset.load("A", data_path=paths["data_path"])) == 2


@pytest.mark.parametrize("use_t0", [False, True])
def test_a_systematic_as_nuisance_profiles_to_the_full_covariance(
    use_t0: bool, paths: dict[str, Path]
) -> None:
    full = GaussianDataset.load(["A", "B", "C"], **paths, use_t0=use_t0)
    assert full.metadata["correlated_systematics"] == ["LUMI"]
    d = GaussianDataset.load(["A", "B", "C"], **paths, use_t0=use_t0, nuisances=["LUMI"])
    assert (d.nuisances, d.parameters) == (("LUMI",), ("OpB", "OpW", "OtG", "LUMI"))
    scale = [1.1, 0.9, 1.2] if use_t0 else [1, 1, 1]
    np.testing.assert_allclose(d.shifts, [[1.0 * scale[0], 2.0 * scale[1], 0.7 * scale[2], 0.0]])
    np.testing.assert_allclose(full.covariance - d.covariance, d.shifts.T @ d.shifts, atol=1e-14)
    profiled = Likelihood([d]).profiled()
    c = np.random.default_rng(1).normal(size=(6, 3))
    np.testing.assert_allclose(profiled.m2logl(c), full.m2logl(c), rtol=1e-10)
    np.testing.assert_allclose(profiled.hessian(c), full.hessian(c), rtol=1e-9, atol=1e-9)
    inverse = np.linalg.inv(d.covariance)  # the pull of the closed form
    residual = full.data - full.theory.evaluate(c[0])
    s = d.shifts[0]
    pull = s @ inverse @ residual / (1 + s @ inverse @ s)
    assert profiled.at(c[0])["LUMI"] == pytest.approx(pull, rel=1e-9)


def test_nuisances_of_files_that_cannot_be(paths: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"'LUMY' is no systematic .* they have LUMI. Did you mean 'LUMI'"):
        GaussianDataset.load(["A", "B"], **paths, nuisances=["LUMY"])
    for name in ("CORR", "UNCORR", "THEORYCORR"):
        with pytest.raises(InputError, match=f"{name}' is no systematic"):
            GaussianDataset.load(["A", "B"], **paths, nuisances=[name])
    write(paths["data_path"].parent, "D", {**B, "statistical_error": 0.0}, THEORY_B)
    assert len(GaussianDataset.load("D", **paths)) == 1
    with pytest.raises(InputError, match="Without LUMI, now nuisance parameters, some point has no uncert"):
        GaussianDataset.load("D", **paths, nuisances=["LUMI"])


def test_systematics_of_the_real_database_profile_to_its_chi2(data_root: Path) -> None:
    database = data_root / "smefit_database"
    folders = {"data_path": database / "commondata", "theory_path": database / "theory"}
    names = [
        "ATLAS_WW_13TeV_2016_memu",
        "ATLAS_WZ_13TeV_2016_mTWZ",
        "CMS_t_tch_8TeV_inc",
        "CMS_tt2D_8TeV_dilep_MttYtt",
    ]
    kept = ["O3pq", "OWWW", "OtG", "OtW"]
    full = GaussianDataset.load(names, **folders, operators=kept, use_t0=True)
    shared = full.metadata["correlated_systematics"]
    assert shared
    d = GaussianDataset.load(names, **folders, operators=kept, use_t0=True, nuisances=shared)
    profiled = Likelihood([d]).profiled()
    c = np.random.default_rng(2).normal(scale=0.3, size=(5, 4))
    np.testing.assert_allclose(profiled.m2logl(c), full.m2logl(c), rtol=1e-10, atol=1e-10)


def test_missing_datasets_are_listed_together(paths: dict[str, Path]) -> None:
    (paths["theory_path"] / "C.json").unlink()
    write(paths["data_path"].parent, "CMS_tt_13TeV", A, THEORY_A)
    with pytest.raises(InputError) as error:
        GaussianDataset.load(["A", "CMS_tt_13", "C", "../A"], **paths)
    text = str(error.value)
    assert "CMS_tt_13 (no data and no theory). Did you mean 'CMS_tt_13TeV'?" in text
    assert "C (no theory)" in text
    assert "../A (no data and no theory)" in text
    with pytest.raises(InputError, match="no such folder"):
        GaussianDataset.load("A", data_path="/does/not/exist")


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["A", "A"], "given twice: A"),
        ([], "not none at all"),
        ([3], "a dataset is a name"),
        ([{"order": "LO"}], "a dataset is a name"),
        ([{"name": "A", "oder": "LO"}], "unknown key 'oder'. Did you mean 'order'"),
        ([{"name": "A", "order": 1}], "order must be text"),
        (
            [{"name": "A", "order": "NLO"}],
            r"no order 'NLO'; the file has LO, NLO_QCD",
        ),
        ([{"name": "A", "theory_cov": "bold"}], "field 'theory_cov_bold' is missing"),
    ],
)
def test_wrong_entries_are_refused(datasets: Any, message: str, paths: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=message):
        GaussianDataset.load(datasets, **paths)


@pytest.mark.parametrize(
    ("data", "theory", "message"),
    [
        ("a: [", THEORY_A, "X.yaml is not valid YAML"),
        ("- 1\n- 2\n", THEORY_A, "expected a mapping of fields, found list"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", THEORY_A, "merge keys"),
        ("!!python/object/apply:os.getcwd []", THEORY_A, "not valid YAML"),
        ("[" * 5000, THEORY_A, "not valid YAML"),
        ({k: v for k, v in A.items() if k != "data_central"}, THEORY_A, "'data_central' is missing"),
        ({**A, "num_data": 0}, THEORY_A, "'num_data' must be a whole number of at least 1, found 0"),
        ({**A, "num_sys": True}, THEORY_A, "'num_sys' must be a whole number"),
        ({**A, "data_central": [1.0]}, THEORY_A, "'data_central' must have 2 numbers"),
        ({**A, "data_central": [1.0, "1e-3"]}, THEORY_A, "write 1.0e-3"),
        ({**A, "data_central": [1.0, True]}, THEORY_A, "must hold numbers, found bool"),
        ({**A, "statistical_error": [1.0, float("nan")]}, THEORY_A, "'statistical_error' must be finite"),
        ({**A, "systematics": [[0.5, 0.6]]}, THEORY_A, "'systematics' must have 4 rows"),
        ({**A, "systematics": [[0.5]] * 4}, THEORY_A, "'systematics' must have 2 numbers"),
        ({**A, "sys_names": ["CORR"]}, THEORY_A, "'sys_names' must have 4 entries"),
        ({**A, "sys_names": ["LUMI"] * 4}, THEORY_A, "holds 'LUMI' twice"),
        ({**A, "sys_names": [1, 2, 3, 4]}, THEORY_A, "'sys_names' holds int, expected text"),
        ({**A, "sys_type": ["ADD", "MUL", "ADD", "ADD"]}, THEORY_A, "holds 'MUL', expected one of ADD, MULT"),
        (A, "{", "X.json is not valid JSON"),
        (A, "[" * 100_000, "not valid JSON"),
        (A, "[1]", "expected a mapping of fields"),
        (A, '{"a": 1, "a": 2}', "field 'a' is given twice"),
        (A, {**THEORY_A, "best_sm": [1.0]}, "'best_sm' must have 2 numbers"),
        (A, {**THEORY_A, "best_sm": [1.0, float("inf")]}, "'best_sm' must be finite"),
        (A, {**THEORY_A, "scales": [1.0]}, "'scales' must have 2"),
        (A, {**THEORY_A, "LO": {"OpW": [1.0, 2.0]}}, "field 'LO/SM' is missing"),
        (A, {**THEORY_A, "LO": {"SM": [1.0, 2.0], "OpW": [1.0]}}, "field 'LO/OpW' must have 2"),
        (
            A,
            {**THEORY_A, "LO": {"SM": [1.0, 2.0], "a*b*c": [1.0, 2.0]}},
            "'LO/a\\*b\\*c' must be an operator",
        ),
        (
            A,
            {**THEORY_A, "LO": {"SM": [1.0, 2.0], "a*b": [1.0, 2.0], "b*a": [1.0, 2.0]}},
            "'LO/b\\*a' is given twice, in both orders",
        ),
        (A, {k: v for k, v in THEORY_A.items() if "cov" not in k}, "'theory_cov_current' is missing"),
        (A, {**THEORY_A, "theory_cov_current": [[1.0, 2.0]]}, "'theory_cov_current' must have 2 rows"),
    ],
)
def test_files_that_cannot_be_used(data: Any, theory: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, "X", data, theory)
    with pytest.raises(InputError, match=message):
        GaussianDataset.load("X", data_path=tmp_path / "commondata", theory_path=tmp_path / "theory")


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    bomb = "x0: &x0 [1, 1]\n" + "".join(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]\n" for i in range(1, 60))
    write(tmp_path, "X", bomb + "num_data: 2\nnum_sys: 0\ndata_central: *x59\n", THEORY_A)
    with pytest.raises(InputError, match="must hold numbers"):
        GaussianDataset.load("X", data_path=tmp_path / "commondata", theory_path=tmp_path / "theory")


def test_huge_and_unreadable_files_are_refused(
    paths: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="more than the 100"):
        GaussianDataset.load("A", **paths)
    monkeypatch.undo()
    (paths["data_path"] / "A.yaml").unlink()
    (paths["data_path"] / "A.yaml").mkdir()
    with pytest.raises(InputError, match="cannot read"):
        GaussianDataset.load("A", **paths)


def test_ratios_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "X", {**B, "data_central": 0.0}, {**THEORY_B, "LO": {"SM": [0.0], "OpB": [1.0]}})
    paths = {"data_path": tmp_path / "commondata", "theory_path": tmp_path / "theory"}
    with pytest.raises(InputError, match="switch use_t0 off"):
        GaussianDataset.load("X", **paths, use_t0=True)
    with pytest.raises(InputError, match="SM of order LO is zero"):
        GaussianDataset.load("X", **paths, use_multiplicative_prescription=True)
    assert len(GaussianDataset.load("X", **paths)) == 1
