"""The small sound files that are damaged: cards, tables, datasets, events, models and results."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from event_writers import madminer_fields, write_madminer, write_root
from hostile_formats import OPERATORS, SAMPLE, events_of, trained
from lhe_writer import Lhe, text_of

from smeft_unbinned import PoissonDataset, Polynomial, SumOfSquares, UnbinnedDataset
from smeft_unbinned.comparison import Comparison
from smeft_unbinned.datasets.files import load_dataset
from smeft_unbinned.events import Nuisances, Samples
from smeft_unbinned.rg_matrix import Matrix
from smeft_unbinned.rge_file import write_matrices


def make(folder: Path) -> None:
    """Write the seed files of all formats into a folder."""
    (folder / "report").mkdir(parents=True)
    _cards(folder)
    _datasets(folder)
    _events(folder)
    _models(folder)
    _results(folder)


def _cards(folder: Path) -> None:
    texts = {
        "card.yaml": """result_ID: a
result_path: out
data_path: .
theory_path: .
use_quad: true
use_t0: false
use_theory_covmat: true
cutoff_scale: 900.0
default_order: LO
single_parameter_fits: false
nlive: 50
frac_remain: 0.01
seed: 3
datasets:
  - {name: A, order: LO, theory_cov: current}
  - {name: U, unbinned: u.dataset, scale: 500.0}
  - {name: P, poisson: p.dataset}
coefficients:
  OtG: {min: -1.0, max: 1.0}
  OpQM: {constrain: [{OtG: 2.0}, {OtG: [1.5, 2]}]}
nuisances:
  lumi: {constraint: [0.0, 1.0]}
""",
        "projection.yaml": """commondata_path: .
theory_path: .
projections_path: out
datasets: [{name: A, order: LO}]
coefficients: {OtG: {constrain: true, value: 0.1}}
use_quad: true
fred_tot: 0.5
fred_sys: 0.3
""",
        "comparison.yaml": """process: {name: ZH, n: 100, seed: 1, operators: [cHW], pt_min: 75.0}
luminosity: 300
efficiency: 0.1
operators: [cHW]
levels: [0.68, 0.95]
at: {cHW: 0.1}
quadratic: both
contours: [[cHW, cHB]]
members: none
seed: 5
schemes:
  - rate
  - {bins: {pt_z: [0, 75, 150, .inf]}, likelihood: both, name: wide}
  - {equal: [m_zh], n: [2, 4]}
  - {score: 10}
""",
        "A.yaml": """dataset_name: A
luminosity: 100.0
num_data: 2
num_sys: 3
data_central: [10.0, 20.0]
statistical_error: [1.0, 2.0]
systematics: [[0.5, 0.6], [0.4, 0.2], [0.3, 0.1]]
sys_names: [CORR, lumi, UNCORR]
sys_type: [ADD, MULT, MULT]
""",
        "A.json": json.dumps(
            {
                "best_sm": [12.0, 18.0],
                "scales": [500.0, 800.0],
                "theory_cov_current": [[0.5, 0.1], [0.1, 0.5]],
                "LO": {
                    "SM": [12.0, 18.0],
                    "OtG": [1.0, -2.0],
                    "OtG*OtG": [0.5, 0.5],
                    "OpQM": [0.3, 1.0],
                    "OpQM*OtG": [0.1, 0.2],
                },
            }
        ),
        "rotation.json": json.dumps(
            {"xpars": ["OtG", "OpQM"], "ypars": ["A", "B"], "matrix": [[0.6, 0.8], [-0.8, 0.6]]}
        ),
        "points.yaml": "w0: {}\nw1: {cHW: 0.5, cHB: -1.0e-1}\nw2: {cHW: 1}\n",
        "reweight.dat": "# points\nlaunch --rwgt_name=a\nset SMEFT 1 0.5\nset SMEFT 2 -1e-2 # x\n"
        "launch\nset SMEFT 1 -1e-2\n",
        "param_card.dat": "BLOCK SMEFT # the model's own\n  1 5.0e-01 # chw\n  2 0.0 # chb\n"
        "BLOCK SMEFTCUTOFF #\n  1 1.0e+03 # lambdasmeft\nDECAY 25 4.0e-03\n",
        "g.dat": "PdfType: central\nFormat: lhagrid1\n---\n1e-3 1e-2 0.1 0.5 1.0\n10.0 50.0 100.0 200.0 500.0"
        "\n1 2 21\n" + "0.1 0.2 0.3\n" * 25 + "---\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _form(n: int, seed: int, operators: tuple[str, ...]) -> SumOfSquares:
    rng = np.random.default_rng(seed)
    k = len(operators) + 1
    factors = 0.3 * rng.normal(size=(n, k, k))
    factors[:, :, 0] = np.eye(k)[0]
    return SumOfSquares(operators, factors)


def _nuisances(n: int, seed: int) -> Nuisances:
    rng = np.random.default_rng(seed)
    return Nuisances(("lumi", "scale"), 0.1 * rng.normal(size=(n, 2)), 0.01 * rng.normal(size=(n, 2)))


def _datasets(folder: Path) -> None:
    from smeft_unbinned.datasets import Component
    from smeft_unbinned.graphs.likelihood import likelihood_graph

    form = _form(5, 1, OPERATORS)
    background = Component(
        Polynomial((), np.full((5, 1), 0.3)), Polynomial((), [1.5]), _nuisances(5, 2), _nuisances(1, 3)
    )
    metadata = {"scale": 500.0, "data": "asimov", "at": {"OtG": 0.1}, "notes": ["x"]}
    common = {"basis": "smefit", "metadata": metadata}
    UnbinnedDataset(
        "U", form, form.dense().sum(), np.full(5, 0.9), response=_nuisances(5, 4),
        expected_response=_nuisances(1, 5), backgrounds=[background], **common,
    ).save(folder / "u.dataset")  # fmt: skip
    dense = UnbinnedDataset(
        "D",
        form.dense(),
        form.dense().sum(),
        None,
        spread=np.full((5, 6), 0.1),
        replicas=Polynomial(OPERATORS, np.stack([form.dense().coefficients] * 2)),
        **common,
    )
    dense.save(folder / "d.dataset")
    (folder / "likelihood.onnx").write_bytes(likelihood_graph(dense))
    PoissonDataset(
        "P", form.dense() * 10.0, np.arange(5.0), response=_nuisances(5, 6), **common
    ).save(folder / "p.dataset")  # fmt: skip
    matrix = Matrix(OPERATORS, ("OtG", "OpQM", "OpW"), np.arange(6.0).reshape(2, 3))
    settings = {"init_scale": 1000.0, "smeft_accuracy": "integrate", "adm_QCD": True, "yukawa": "top"}
    write_matrices(folder / "r.running", {91.2: matrix, 500.0: matrix}, {"settings": settings})


def _events(folder: Path) -> None:
    events = events_of(6)
    events.save(folder / "e.events")
    Samples.build([({}, events), ({"cHW": 1.0}, events)]).save(folder / "s.samples")
    _nuisances(6, 7).save(folder / "n.nuisances")
    texts = {label: text_of(p) for label, p in zip(SAMPLE.labels, SAMPLE.points.tolist(), strict=True)}
    lhe = Lhe(SAMPLE.weights[:3], texts, SAMPLE.weights[:3, 0])
    for name in ("a.lhe", "a.lhe.gz"):
        lhe.write(folder / name)
    b, fields = len(SAMPLE.points), madminer_fields(SAMPLE)
    write_madminer(folder / "a.h5", fields)
    shifted = {
        "benchmarks/names": np.array([*SAMPLE.labels, "up"], dtype="S16"),
        "benchmarks/values": np.vstack([SAMPLE.points, SAMPLE.points[:1]]),
        "benchmarks/is_nuisance": (np.arange(b + 1) == b).astype(int),
        "benchmarks/is_reference": (np.arange(b + 1) == 0).astype(int),
        "nuisance_parameters/names": np.array(["scale"], dtype="S16"),
        "nuisance_parameters/benchmark_positive": np.array(["up"], dtype="S16"),
        "nuisance_parameters/benchmark_negative": np.array([""], dtype="S16"),
        "samples/weights": np.hstack([SAMPLE.weights, 1.1 * SAMPLE.weights[:, :1]]),
    }
    write_madminer(folder / "n.h5", {**fields, **shifted})
    write_root(folder / "a.root", SAMPLE)
    SAMPLE.frame().to_parquet(folder / "a.parquet")
    for name in ("a.csv", "a.csv.gz"):
        SAMPLE.frame().to_csv(folder / name, index=False)


def _models(folder: Path) -> None:
    from smeft_unbinned import train, train_responses

    trained(folder / "c.checkpoint").save(folder / "m.model")
    trees = {"name": "trees", "trees": 3, "leaves": 4, "min_leaf": 1}
    train(events_of(), replicas=1, head="quadratic", backbone=trees).save(folder / "t.model")
    events = events_of()
    train_responses(events, _nuisances(len(events), 8), replicas=1, epochs=2, batch=32, hidden=(3,)).save(
        folder / "r.model"
    )
    files = json.loads((Path(__file__).parents[1] / "running" / "rg_matrix_files.json").read_text())["files"]
    made = files[sorted(files)[-1]]
    (folder / "rg.pkl").write_bytes(zlib.decompress(base64.b64decode(made["4"])))


def _results(folder: Path) -> None:
    from smeft_unbinned.fit.methods import fit
    from smeft_unbinned.likelihood import Likelihood

    result = fit(Likelihood([load_dataset(folder / "p.dataset")], list(OPERATORS)), "minuit")
    for name in ("fit_result.json", "report/fit_result.json"):
        result.with_runcard({"result_ID": "a"}).save(folder / name)
    row = {
        "fit": "one at a time",
        "terms": "linear",
        "global": False,
        "version": "rate",
        "operator": "a",
        "level": 0.95,
    }
    table = pd.DataFrame([{**row, "piece": 0, "lower": -1.0, "upper": 1.0, "note": ""}])
    gains = pd.DataFrame([{**row, "bins": 2, "width": 2.0, "width_ratio": 1.0, "information": 1.0}])
    curve = pd.DataFrame({"version": ["rate"], "level": [0.95], "a": [0.1], "b": [0.2]})
    made = Comparison(
        table, gains, table, {("a", "b"): curve}, {"rate": ""}, {"rate": None}, {"reference": "rate"}
    )
    (folder / "comparison.json").write_text(json.dumps(made._content()))  # without figures
