"""Cards of the shapes that SMEFiT ships: UV completions, equal coefficients, running, rotations."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smeft_unbinned import GaussianDataset, InputError, PoissonDataset, Runcard
from smeft_unbinned.rg_matrix import Matrix
from smeft_unbinned.rge import Running
from smeft_unbinned.rge_parse import RunningBlock

TABLES = Path(str(files("theory_tables")))
BINNED = "ZH_14TeV_STXS"
NAMES = ("OpW", "OpqMi", "O3pq")
UV_CARD = r"""
Model name: \text{T1}
UV Collection: Granada
UV model: 48
coefficients:
  O3pq:
    constrain:
    - lamT1:
      - 0.0625
      - 2
    max: 10
    min: -10
  OpqMi:
    constrain:
    - lamT1:
      - -9.637265560406904e-10
      - 0
    - lamT1:
      - -0.25
      - 2
      yT1:
      - 1
      - 1
    max: 10
    min: -10
  Oll1331: {constrain: [{lamT1: 1}], min: -20.0, max: 20.0}
  lamT1:
    max: 10
    min: -10
  yT1:
    max: 1e1
    min: -1e1
datasets:
- ZH_14TeV_STXS
- {name: WH_14TeV_STXS, order: LO, theory_cov: current}
frac_remain: 0.001
lepsilon: 0.001
nlive: 5000
target_evidence_unc: 0.5
target_post_unc: 0.5
bounds: Null
use_quad: true
use_t0: false
use_theory_covmat: true
uv_couplings: true
rot_to_fit_basis: null
"""


@pytest.fixture
def exported(tmp_path: Path, make_unbinned: Any) -> Path:
    """Two exported datasets in the Warsaw basis, one of them with a scale."""
    d = make_unbinned(1, operators=("cHW", "cHq1", "cHq3"))
    d.metadata["scale"] = 500.0
    d.save(tmp_path / "zh.dataset")
    make_unbinned(2, operators=("cHW",)).save(tmp_path / "wh.dataset")
    return tmp_path


def card(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "datasets": [BINNED, {"name": "zh", "unbinned": "zh.dataset"}],
        "coefficients": {name: {"min": -1, "max": 1} for name in NAMES},
    }
    return {**content, **changes}


def write(folder: Path, content: Any, name: str = "card.yaml") -> Path:
    (folder / name).write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return folder / name


def test_a_card_of_a_uv_completion(tmp_path: Path) -> None:
    runcard = Runcard.load(write(tmp_path, UV_CARD, "Granada_48.yaml"))
    assert (runcard.result_ID, runcard.nlive) == ("Granada_48", 5000)
    assert runcard.bounds == {"lamT1": (-10.0, 10.0), "yT1": (-10.0, 10.0)}
    likelihood = runcard.likelihood()
    assert likelihood.parameters == ("lamT1", "yT1")
    assert not likelihood.linear_rules
    direct = GaussianDataset.load([BINNED, "WH_14TeV_STXS"], operators=["O3pq", "OpqMi"])
    lam, y = 1.3, -0.4
    c = {"O3pq": 0.0625 * lam**2, "OpqMi": -9.637265560406904e-10 - 0.25 * lam**2 * y}
    assert likelihood.m2logl([lam, y]) == pytest.approx(float(direct.m2logl(c)), rel=1e-12)
    assert likelihood.coefficients([lam, y])["Oll1331"] == pytest.approx(lam)


def test_the_card_is_kept_as_it_was_read(tmp_path: Path) -> None:
    content = yaml.safe_load(UV_CARD)
    runcard = Runcard.load(write(tmp_path, UV_CARD))
    assert runcard.content == content
    runcard = Runcard.from_dict(content)
    content["nlive"] = 1
    assert runcard.content["nlive"] == 5000
    assert runcard.result_ID == "fit"
    assert Runcard.load(write(tmp_path, {**content, "result_ID": "own"})).result_ID == "own"


def test_groups_of_equal_coefficients_in_fits_of_one() -> None:
    """A rule of a coefficient that the card lacks, as one of SMEFiT's cards of individual fits has it."""
    content = card(
        datasets=[BINNED],
        coefficients={
            "OpW": {"min": -1, "max": 1},
            "Opui": {"constrain": [{"Opu": 1}, {"OpW": 0.5}], "min": -1, "max": 1},
            "Opdi": {"constrain": {"Opu": 1}},
        },
        n_samples=200000,
        single_parameter_fits=True,
    )
    runcard = Runcard.from_dict(content)
    assert (runcard.single_parameter_fits, runcard.n_samples) == (True, 200_000)
    likelihood = runcard.likelihood()
    assert [note.split(":")[0] for note in likelihood.notes] == [
        "Opui is constrained by Opu, not in the card",
        "Opdi is constrained by Opu, not in the card",
    ]
    assert likelihood.only(["OpW"]).notes == likelihood.notes
    direct = GaussianDataset.load(BINNED, operators=["OpW", "Opui"])
    assert likelihood.m2logl([0.3]) == pytest.approx(float(direct.m2logl({"OpW": 0.3, "Opui": 0.15})))
    with pytest.raises(InputError, match=r"Opui is constrained by 'Opu', not .*Did you mean 'Opui'|'OpW'"):
        Runcard.from_dict({**content, "single_parameter_fits": False})
    pairs = Runcard.from_dict({**content, "single_parameter_fits": False, "pairwise_fits": True})
    assert pairs.pairwise_fits


def running(folder: Path, seed: int = 1) -> dict[float, np.ndarray]:
    """Write matrices of the running of NAMES to every scale that the cards here meet, and return them."""
    rng = np.random.default_rng(seed)
    scales = json.loads((TABLES / "theory" / f"{BINNED}.json").read_text())["scales"]
    values = {float(s): np.eye(4, 3) + 0.2 * rng.normal(size=(4, 3)) for s in (*scales, 500.0, 800.0)}
    matrices = {s: Matrix((*NAMES, "OpB"), NAMES, v) for s, v in values.items()}
    block = RunningBlock.parse({"init_scale": 1e4, "obs_scale": "dynamic", "adm_QCD": False})
    Running(NAMES, block, matrices).save(folder / "rge_matrix_10000.dat")
    return values


RGE = {
    "init_scale": "1e4",
    "obs_scale": "dynamic",
    "smeft_accuracy": "integrate",
    "yukawa": "top",
    "adm_QCD": False,
    "rg_matrix": "./rge_matrix_10000.dat",
}


def test_coefficients_run_to_the_scale_of_every_point_and_dataset(exported: Path, make_unbinned: Any) -> None:
    values = running(exported)
    other = {"name": "wh", "unbinned": "wh.dataset", "scale": 800}
    content = card(rge=RGE, datasets=[BINNED, {"name": "zh", "unbinned": "zh.dataset"}, other])
    likelihood = Runcard.from_dict(content, exported).likelihood()
    c = np.array([0.2, -0.1, 0.05])
    zh = dict(zip((*NAMES, "OpB"), values[500.0] @ c, strict=True))
    wh = values[800.0] @ c
    terms = likelihood.terms(c)
    truth = make_unbinned(1, operators=("cHW", "cHq1", "cHq3")).in_basis("smefit")
    assert terms["zh"] == pytest.approx(float(truth.m2logl({n: zh[n] for n in NAMES})))
    assert terms["wh"] == pytest.approx(float(make_unbinned(2, operators=("cHW",)).m2logl([wh[0]])))
    table = GaussianDataset.load(BINNED)
    keep = [table.operators.index(n) for n in (*NAMES, "OpB")]
    full = np.zeros((4, len(table.operators)))
    for i, scale in enumerate(table.metadata["datasets"][0]["scales"]):
        full[i, keep] = values[scale] @ c
    theory = np.array([table.theory[i : i + 1].evaluate(full[i])[0] for i in range(4)])
    difference = table.data - theory
    chi2 = difference @ np.linalg.solve(table.covariance, difference)
    assert terms["binned"] == pytest.approx(chi2 - float(table.chi2(np.zeros(len(table.operators)))))
    number = [likelihood.gradient(c)[i] for i in range(3)]
    h = 1e-5 * np.eye(3)
    steps = [(likelihood.m2logl(c + s) - likelihood.m2logl(c - s)) / 2e-5 for s in h]
    np.testing.assert_allclose(number, steps, rtol=1e-6)


def test_running_needs_a_scale_and_tells_what_it_does_not_reach(exported: Path) -> None:
    running(exported)
    datasets = [BINNED, {"name": "wh", "unbinned": "wh.dataset"}]
    with pytest.raises(
        InputError, match=r"dataset wh has no scale; give the key scale \(in GeV\) in its entry"
    ):
        Runcard.from_dict(card(rge=RGE, datasets=datasets), exported).likelihood()
    chi2 = {"wh": {"path": "plugins.smefit.unbinned.py", "file": "wh.dataset", "scale": 800.0}}
    content = card(rge=RGE, datasets=[BINNED], external_chi2=chi2)
    assert "wh" in Runcard.from_dict(content, exported).likelihood().terms([0.1, 0.1, 0.1])
    yields = make_yields()
    PoissonDataset("h", yields, [5, 6]).save(exported / "h.dataset")
    content = card(rge=RGE, datasets=[{"name": "h", "poisson": "h.dataset", "scale": 800.0}])
    likelihood = Runcard.from_dict(content, exported).likelihood()
    assert likelihood.datasets[0].metadata["notes"] == [
        "Opui set to zero, the coefficients of the card do not move it at 800 GeV"
    ]
    assert any("adm_QCD" in note for note in note_of(exported, {"adm_QCD": "full"}))


def make_yields() -> Any:
    from smeft_unbinned import Polynomial

    return Polynomial(["cHW", "cHu"], [[5.0, 1.0, 1.0, 0.3, 0.0, 0.3], [6.0, 0.5, -1.0, 0.2, 0.0, 0.4]])


def note_of(folder: Path, changes: dict[str, Any]) -> tuple[str, ...]:
    block = {k: v for k, v in RGE.items() if k != "rg_matrix"} | changes
    found = Runcard.from_dict(card(rge=block, datasets=[BINNED]), folder).running
    assert found is not None
    return found.notes


def test_rotated_coefficients_reach_both_kinds_of_data(exported: Path) -> None:
    """c_table = R^T c_fit, with one coefficient of the table that the rotation does not know."""
    matrix = np.array([[0.6, 0.8], [-0.8, 0.6]])
    rotation = {"matrix": matrix.tolist(), "ypars": ["PC1", "PC2"], "xpars": ["OpW", "OpqMi"]}
    (exported / "rotation.json").write_text(json.dumps(rotation))
    content = card(rot_to_fit_basis="rotation.json", coefficients={"PC1": {}, "PC2": {}})
    likelihood = Runcard.from_dict(content, exported).likelihood()
    assert likelihood.parameters == ("PC1", "PC2")
    plain = Runcard.from_dict(card(), exported).likelihood()
    p = np.array([0.3, -0.2])
    c = dict(zip(["OpW", "OpqMi"], matrix.T @ p, strict=True))
    assert likelihood.terms(p) == pytest.approx({k: float(v) for k, v in plain.terms(c).items()})
    assert "O3pq set to zero" in likelihood.datasets[1].metadata["notes"][-1]


def test_points_above_the_cutoff_are_left_out(exported: Path) -> None:
    low = Runcard.from_dict(card(cutoff_scale="6e2"), exported).likelihood()
    assert len(low.datasets[0]) == 3
    with pytest.raises(InputError, match="zh is not below cutoff_scale = 400 GeV; remove it"):
        Runcard.from_dict(card(cutoff_scale=400.0), exported).likelihood()
    binned = [{"name": "wh", "unbinned": "wh.dataset"}, BINNED]  # wh has no scale
    assert (
        len(Runcard.from_dict(card(cutoff_scale=400.0, datasets=binned), exported).likelihood().datasets) == 2
    )


def test_data_in_several_folders(tmp_path: Path) -> None:
    for i, name in enumerate((BINNED, "WH_14TeV_STXS")):
        folder = tmp_path / f"set{i}"
        folder.mkdir()
        (folder / f"{name}.yaml").write_bytes((TABLES / "commondata" / f"{name}.yaml").read_bytes())
        (folder / f"{name}.json").write_bytes((TABLES / "theory" / f"{name}.json").read_bytes())
    content = card(datasets=[BINNED, "WH_14TeV_STXS"], data_path=["set0", "set1"])
    both = Runcard.from_dict(content, tmp_path).likelihood()
    shipped = Runcard.from_dict({k: v for k, v in content.items() if k != "data_path"}, tmp_path).likelihood()
    assert both.m2logl([0.1, 0.2, 0.3]) == pytest.approx(float(shipped.m2logl([0.1, 0.2, 0.3])))


def test_everything_that_is_missing_is_one_error(exported: Path) -> None:
    content = card(
        datasets=[
            BINNED,
            "ATLAS_none_13TeV",
            {"name": "CMS_none_13TeV", "order": "LO"},
            {"name": "zh", "unbinned": "zh.datset"},
            {"name": "h", "poisson": "histogram.dataset"},
        ],
        rot_to_fit_basis="rotation.json",
        rge={**RGE, "rg_matrix": "none.pkl"},
    )
    with pytest.raises(InputError) as caught:
        Runcard.from_dict(content, exported).likelihood()
    text = str(caught.value)
    for name in (
        "ATLAS_none_13TeV",
        "CMS_none_13TeV",
        "zh.datset. Did you mean 'zh.dataset'",
        "dataset h: no such file",
        "rotation.json",
        "none.pkl",
    ):
        assert name in text
    assert BINNED not in text.replace(f"Did you mean '{BINNED}'", "")


def test_without_binned_datasets_no_tables_are_needed(exported: Path) -> None:
    content = card(datasets=[{"name": "zh", "unbinned": "zh.dataset"}], data_path="absent", use_t0=True)
    assert Runcard.from_dict(content, exported).likelihood().m2logl([0.1, 0.1, 0.1]) != 0


def test_rules_and_profiling_together(exported: Path) -> None:
    coefficients = {"lam": {}, "OpW": {"constrain": [{"lam": [0.3, 2]}]}, "OpqMi": {"constrain": {"OpW": -1}}}
    likelihood = Runcard.from_dict(card(coefficients=coefficients, profile=True), exported).likelihood()
    plain = Runcard.from_dict(card(), exported).likelihood()
    assert likelihood.m2logl([0.8]) == pytest.approx(float(plain.m2logl({"OpW": 0.192, "OpqMi": -0.192})))
