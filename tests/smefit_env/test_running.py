"""Running of the coefficients against SMEFiT: matrices, its files, and chi2 of measurements."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from smefit_reference import folders, points

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.errors import InputError
from smeft_unbinned.rg_matrix import read_rg_matrix
from smeft_unbinned.rge import Running
from smeft_unbinned.rge_compute import known

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")
    from smefit.rge import rge as theirs
    from smefit.rge.wcxf import wcxf_translate

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ("OtG", "OpQM", "OpG")
"""Of the card, in no order."""
FAST = {"init_scale": 1000.0, "obs_scale": "dynamic", "smeft_accuracy": "leadinglog", "adm_QCD": False}
DATASETS = ("CMS_ttZ_8TeV", "ATLAS_ZH_Hbb_13TeV", "LEP1_EWPOs_2006")
"""24 points at five scales."""


@pytest.fixture(autouse=True)
def doubles() -> Iterator[None]:
    """SMEFiT stacks its matrices with jax, in single precision unless told otherwise; as in a new process."""
    import jax

    parameters = theirs.wilson.run.smeft.smpar.p
    before = dict(parameters)
    jax.config.update("jax_enable_x64", True)
    parameters.update(theirs.default_params)
    yield
    parameters.update(before)


def reference(
    block: dict[str, Any], names: tuple[str, ...] = NAMES, **more: Any
) -> tuple[list[str], np.ndarray]:
    """Return generated coefficients and matrices (n, m, coefficients) of SMEFiT, in the order of names."""
    matrices, generated = theirs.load_rge_matrix(block, list(names), **more)
    order = [sorted(names).index(name) for name in names]
    return sorted(generated), np.asarray(matrices)[:, :, order]


def stacked(running: Running, scales: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the same of ours: the union of what is generated at all scales, with zeros in between."""
    ours = [running.matrix(scale) for scale in scales]
    union = sorted({name for generated, _ in ours for name in generated})
    result = np.zeros((len(ours), len(union), len(running.operators)))
    for k, (generated, matrix) in enumerate(ours):
        result[k, [union.index(name) for name in generated]] = matrix
    return union, result


def test_every_name_of_the_running_is_known() -> None:
    assert {name for name in wcxf_translate if known(name)} == set(wcxf_translate)
    assert not known("gUV")


@pytest.mark.parametrize(
    "block",
    [
        {"obs_scale": 345.0, "smeft_accuracy": "leadinglog"},
        {"obs_scale": 91.1876, "smeft_accuracy": "leadinglog", "adm_QCD": False, "yukawa": "none"},
        {"init_scale": 5000, "obs_scale": 3000, "smeft_accuracy": "leadinglog", "adm_QCD": False},
        {"obs_scale": 500.0, "adm_QCD": True, "scale_variation": 2.0},
        {"obs_scale": 1000.0, "adm_QCD": False},
        {"smeft_accuracy": "leadinglog"},
    ],
)  # fmt: skip
def test_matrices_at_a_fixed_scale(block: dict[str, Any]) -> None:
    names = (*NAMES, "gUV")
    running = Running.parse(block, names)
    union, expected = reference(block, names)
    ours, matrices = stacked(running, running.point_scales([np.nan, 200.0]))
    assert ours == union
    np.testing.assert_array_equal(matrices[0], expected[0])
    np.testing.assert_array_equal(matrices[1], expected[0])
    assert not matrices[:, :, -1].any()


def test_coefficients_of_every_kind_run_as_in_smefit() -> None:
    names = tuple(wcxf_translate)[::9]
    block = {**FAST, "obs_scale": 173.0}
    union, expected = reference(block, names)
    ours, matrix = Running.parse(block, names).matrix(173.0)
    assert list(ours) == union
    np.testing.assert_array_equal(matrix, expected[0])


def test_a_run_with_other_settings_before_does_not_matter() -> None:
    """The parameters of the standard model are global to the process, and SMEFiT changes some of them."""
    block = {**FAST, "obs_scale": 345.0}
    fresh = textwrap.dedent(f"""
        import json
        from smefit.rge.rge import RGE
        frame = RGE({list(NAMES)!r}, 1000.0, "leadinglog", False, "top").RGEmatrix(345.0)
        print(json.dumps([list(frame.index), frame[{list(NAMES)!r}].to_numpy().tolist()]))
    """)
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", fresh], capture_output=True, text=True, check=True
    ).stdout
    rows, values = json.loads(out.splitlines()[-1])
    theirs.RGE(list(NAMES), 1000.0, "leadinglog", True, "none")
    spoilt = dict(theirs.wilson.run.smeft.smpar.p)
    assert spoilt["alpha_e"] == 0.0
    ours, matrix = Running.parse(block, NAMES).matrix(345.0)
    assert theirs.wilson.run.smeft.smpar.p == spoilt
    assert list(ours) == rows
    np.testing.assert_array_equal(matrix, values)
    assert len(theirs.RGE(list(NAMES), 1000.0, "leadinglog", False, "top").RGEmatrix(345.0)) < len(rows)


@pytest.mark.parametrize("variation", [1.0, 0.5])
def test_matrices_of_measurements(variation: float, data_root: Path) -> None:
    block = {**FAST, "scale_variation": variation}
    scales = np.concatenate([table_scales(name) for name in DATASETS])
    running = Running.parse(block, NAMES)
    union, expected = reference(
        block, datasets=[{"name": n} for n in DATASETS], theory_path=str(folders()["theory_path"])
    )
    ours, matrices = stacked(running, running.point_scales(scales))
    assert ours == union
    np.testing.assert_array_equal(matrices, expected)
    assert len(running._cache) == len(np.unique(scales))


def table_scales(name: str) -> np.ndarray:
    """Return the scales in the table of predictions of a measurement, NaN where it has none."""
    table = json.loads((folders()["theory_path"] / f"{name}.json").read_text(encoding="utf-8"))
    return np.array([np.nan if s is None else s for s in table.get("scales", [None] * len(table["best_sm"]))])


def test_a_file_of_smefit(tmp_path: Path) -> None:
    """Written by SMEFiT with fewer coefficients than the card has, and with one that the card lacks."""
    block = {**FAST, "obs_scale": 345.0}
    theirs.load_rge_matrix(block, ["OpG", "OtG", "OtW", "gUV"], save_path=tmp_path)
    path = tmp_path / "rge_matrix.pkl"
    settings, matrices = read_rg_matrix(path)
    assert settings == {
        "init_scale": 1000.0,
        "smeft_accuracy": "leadinglog",
        "adm_QCD": False,
        "yukawa": "top",
    }
    assert list(matrices) == [345.0]
    assert matrices[345.0].names == ("OpG", "OtG", "OtW", "gUV")
    card = {**FAST, "rg_matrix": "rge_matrix.pkl"}
    few = Running.parse(card, ["OtG", "OpG"], tmp_path)
    assert few.missing(345.0) == []
    for names in (("OtG", "OpG"), NAMES):
        running = Running.parse(card, names, tmp_path)
        computed = Running.parse(FAST, names)
        for scale in (345.0, 500.0):
            assert running.matrix(scale)[0] == computed.matrix(scale)[0]
            np.testing.assert_array_equal(running.matrix(scale)[1], computed.matrix(scale)[1])
    _, expected = reference({**block, "rg_matrix": str(path)})
    generated, matrix = Running.parse(card, NAMES, tmp_path).matrix(345.0)
    assert matrix.shape[0] == len(generated)
    np.testing.assert_array_equal(matrix, expected[0][np.any(expected[0] != 0, axis=1)])
    with pytest.raises(InputError, match="smeft_accuracy is 'leadinglog' there, and 'integrate' in the card"):
        Running.parse({**card, "smeft_accuracy": "integrate"}, NAMES, tmp_path)


def test_a_file_of_the_command_of_smefit(tmp_path: Path, data_root: Path) -> None:
    """Dynamic scales, by way of the class behind `smefit RGE`."""
    from smefit.runner import Runner

    card = {
        "result_ID": "rge", "result_path": str(tmp_path), "rge": FAST,
        "data_path": str(folders()["data_path"]), "theory_path": str(folders()["theory_path"]),
        "datasets": [{"name": n} for n in DATASETS],
        "coefficients": {n: {"min": -1, "max": 1} for n in NAMES},
    }  # fmt: skip
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    Runner.from_file(tmp_path / "card.yaml").run_rge_matrix_calculation()
    (file,) = tmp_path.rglob("*.pkl")
    scales = np.unique(np.concatenate([table_scales(name) for name in DATASETS]))
    running = Running.parse({**FAST, "rg_matrix": str(file)}, NAMES)
    computed = Running.parse(FAST, NAMES)
    for scale in scales:
        assert running.missing(scale) == []
        assert running.matrix(scale)[0] == computed.matrix(scale)[0]
        np.testing.assert_array_equal(running.matrix(scale)[1], computed.matrix(scale)[1])


def test_computed_matrices_are_kept_in_a_file(tmp_path: Path) -> None:
    running = Running.parse(FAST, NAMES)
    running.prepare([345.0, 500.0, 345.0], file=tmp_path / "matrices")
    again = Running.parse({**FAST, "rg_matrix": "matrices"}, NAMES[::-1], tmp_path)
    assert again.missing(345.0) == again.missing(500.0) == []
    assert again.missing(600.0) == list(NAMES[::-1])
    np.testing.assert_array_equal(again.matrix(500.0)[1][:, ::-1], running.matrix(500.0)[1])


def test_a_failure_of_the_running_is_named() -> None:
    """With all Yukawa couplings the mixing of quarks makes some coefficients complex, and SMEFiT gives up."""
    block = {**FAST, "obs_scale": 3000.0, "yukawa": "full"}
    with pytest.raises(ValueError, match="Imaginary"):
        theirs.load_rge_matrix(block, ["OtG"])
    with pytest.raises(InputError, match=r"cannot run OtG from 1000.0 GeV to 3000 GeV: Imaginary"):
        Running.parse(block, ["OtG"]).matrix(3000.0)


@pytest.mark.parametrize("quadratic", [True, False])
def test_chi2_of_measurements(quadratic: bool, data_root: Path) -> None:
    from smefit.chi2 import compute_chi2
    from smefit.loader import load_datasets

    paths, entries = folders(), [{"name": n, "order": "LO"} for n in DATASETS]
    rules = {"use_quad": quadratic, "use_t0": True, "use_theory_covmat": True}
    matrices, generated = theirs.load_rge_matrix(dict(FAST), list(NAMES), entries, str(paths["theory_path"]))
    loaded = load_datasets(
        paths["data_path"], entries, generated, quadratic, True, True, False,
        theory_path=paths["theory_path"], rgemat=matrices,
    )  # fmt: skip
    ours = GaussianDataset.load(entries, **paths, **rules, running=Running.parse(FAST, NAMES))
    assert set(ours.operators) == set(NAMES)
    c = points(len(NAMES), n=10)
    order = [sorted(NAMES).index(name) for name in ours.operators]
    expected = [float(compute_chi2(loaded, row, quadratic, False)) for row in c]
    np.testing.assert_allclose(ours.chi2(c[:, order]), expected, rtol=1e-9)
    still = GaussianDataset.load(entries, **paths, **rules, operators=list(NAMES))
    assert abs(still.chi2(dict(zip(sorted(NAMES), c[1], strict=True))) - expected[1]) > 1e-3
