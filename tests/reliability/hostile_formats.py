"""Every file format that the package reads: a small sound file, how to damage it, and how to read it.

A reader gives the arrays that a likelihood or a training would be made of; all of their numbers have to be
finite. Seed files are made once, in a folder, by `make`.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from hostile_mutations import (
    Mutation,
    damaged,
    damaged_container,
    damaged_gz,
    damaged_json,
    damaged_text,
    damaged_yaml,
)  # fmt: skip

sys.path.insert(0, str(Path(__file__).parents[1] / "events"))

from event_writers import random_events

from smeft_unbinned import (
    Events,
    FitResult,
    GaussianDataset,
    PoissonDataset,
    Runcard,
    SumOfSquares,
    UnbinnedDataset,
)  # fmt: skip
from smeft_unbinned.comparison import Comparison, ComparisonCard
from smeft_unbinned.datasets.files import load_dataset
from smeft_unbinned.errors import InputError
from smeft_unbinned.events import (
    Nuisances,
    Samples,
    parse_reweight_card,
    read_lhe,
    read_madminer,
    read_nuisances,
    read_root,
    read_table,
)
from smeft_unbinned.events.dispatch import read_points
from smeft_unbinned.projection_card import ProjectionCard
from smeft_unbinned.rg_matrix import read_rg_matrix
from smeft_unbinned.rge_file import read_matrices

Arrays = Iterable[Any]
OPERATORS = ("OtG", "OpQM")
SAMPLE = random_events(6)


@dataclass(frozen=True)
class Format:
    """A file format.

    file: name of the seed file, which damaged ones get too. damage: what is done to its bytes.
    read: reads a file and returns arrays. share: of all cases, relative to the other formats.
    """

    file: str
    damage: Mutation
    read: Callable[[Path], Arrays]
    share: float = 1.0


def of_events(events: Events) -> Arrays:
    forms = [f.coefficients for f in (events.truth, events.cross_section) if f is not None]
    return [events.features.to_numpy(), events.weights, *forms]


def of_dataset(dataset: Any) -> Arrays:
    """Evaluate a dataset, and return what it is made of."""
    n = len(dataset.parameters)
    for point in (np.zeros(n), np.full(n, 0.01)):
        dataset.m2logl(point), dataset.gradient(point)
    if isinstance(dataset, GaussianDataset):
        return [dataset.data, dataset.covariance, dataset.theory.coefficients]
    responses = [dataset.response, getattr(dataset, "expected_response", None)]
    for b in dataset.backgrounds:
        responses += [b.response, b.expected_response]
    forms = [
        dataset.ratios,
        dataset.expected,
        *(f for b in dataset.backgrounds for f in (b.ratios, b.expected)),
    ]
    forms += [getattr(dataset, "replicas", None)]
    return [
        dataset.weights,
        *(a for a in [getattr(dataset, "spread", None)] if a is not None),
        *(a for r in responses if r is not None for a in (r.linear, r.quadratic)),
        *(
            f.factors if isinstance(f, SumOfSquares) else f.dense().coefficients
            for f in forms
            if f is not None
        ),
    ]


def unbinned(path: Path) -> Arrays:
    return of_dataset(UnbinnedDataset.load(path))


def poisson(path: Path) -> Arrays:
    return of_dataset(PoissonDataset.load(path))


def samples(path: Path) -> Arrays:
    return [a for events in Samples.load(path).events for a in of_events(events)]


def comparison_card(path: Path) -> Arrays:
    card = ComparisonCard.load(path)
    return [[card.luminosity, card.efficiency], card.levels, list(card.at.values())]


def runcard(path: Path) -> Arrays:
    card = Runcard.load(path)
    likelihood = card.likelihood()
    n = len(likelihood.parameters)
    likelihood.m2logl(np.zeros(n))
    return [list(pair) for pair in likelihood.bounds.values()] + [list(likelihood.fixed.values())]


def gaussian(path: Path) -> Arrays:
    """Read SMEFiT's pair of files of a dataset, one of which is damaged, the other one beside it."""
    return of_dataset(
        GaussianDataset.load(["A"], data_path=path.parent, theory_path=path.parent, use_t0=False)
    )


def rotated(path: Path) -> Arrays:
    return of_dataset(GaussianDataset.load(["A"], data_path=path.parent, rot_to_fit_basis=path))


def fit_result(path: Path) -> Arrays:
    result = FitResult.load(path)
    with contextlib.suppress(ValueError):  # levels that are not stored
        result.table(tuple(result.stored_intervals))
    repr(result), result.correlation
    return []


def comparison(path: Path) -> Arrays:
    found = Comparison.load(path)
    repr(found), found.versions
    return []


def estimator(path: Path) -> Arrays:
    from smeft_unbinned import Estimator

    found = Estimator.load(path)
    found(frame())
    return [found.calibration, *(p for p in found.parameters if p.dtype != np.uint8)]


def responses(path: Path) -> Arrays:
    from smeft_unbinned import ResponseEstimator

    found = ResponseEstimator.load(path)
    found(frame())
    return [found.calibration, *found.parameters]


def checkpoint(path: Path) -> Arrays:
    return of_estimator(trained(path))


def of_estimator(found: Any) -> Arrays:
    return [found.calibration, *found.parameters]


def frame() -> pd.DataFrame:
    return pd.DataFrame({"pt": [50.0, 120.0], "eta": [0.1, -1.0]})


def events_of(n: int = 40, seed: int = 1) -> Events:
    rng = np.random.default_rng(seed)
    factors = 0.3 * rng.normal(size=(n, 3, 3))
    factors[:, :, 0] = np.eye(3)[0]
    features = pd.DataFrame({"pt": rng.exponential(100.0, n) + 1.0, "eta": rng.normal(size=n)})
    return Events(
        features, SumOfSquares(("cHW", "cHB"), factors).dense(), rng.uniform(1, 2, n), None, {"a": 1}
    )


def trained(path: Path | None = None, **changes: Any) -> Any:
    from smeft_unbinned import train

    options = {"replicas": 1, "epochs": 2, "batch": 32, "hidden": (3,), "seed": 1} | changes
    return train(events_of(), checkpoint=path, **options)


def inspect(path: Path) -> Arrays:
    """Show a file as the command does."""
    from smeft_unbinned.cli import main

    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main(["inspect", str(path)], standalone_mode=False)
        except click.ClickException as error:
            if error.exit_code != 2:
                raise
            raise InputError(error.message) from error
    return []


def session(path: Path) -> Arrays:
    from smeft_unbinned.graphs.builder import session

    session(path)
    return []


def rg(path: Path) -> Arrays:
    _, matrices = read_rg_matrix(path)
    return [m.values for m in matrices.values()]


def running(path: Path) -> Arrays:
    matrices, _ = read_matrices(path)
    return [m.values for m in matrices.values()]


def densities(path: Path) -> Arrays:
    from smeft_unbinned.processes.lhagrid import LHAGrid

    return [LHAGrid(path).xf(np.array([0.1, 0.5]), np.array([1e4, 2e4]))]


def points(path: Path) -> Arrays:
    return [list(p.values()) for p in read_points(path).values()]


def reweight(path: Path) -> Arrays:
    return [list(p.values()) for p in parse_reweight_card(path).values()]


def parameter_card(path: Path) -> Arrays:
    card = path.with_name("reweight.dat")
    return [list(p.values()) for p in parse_reweight_card(card, param_card=path).values()]


def projection(path: Path) -> Arrays:
    from smeft_unbinned.projection import project

    project(ProjectionCard.load(path), seed=1)
    return []


def report(path: Path) -> Arrays:
    """Read a folder of results in which one file is damaged."""
    from smeft_unbinned.report.found import find

    find([path.parent], lambda _: None)
    return []


FORMATS: dict[str, Format] = {
    "runcard": Format("card.yaml", damaged_yaml, runcard, 8),
    "projection card": Format("projection.yaml", damaged_yaml, projection, 6),
    "comparison card": Format("comparison.yaml", damaged_yaml, comparison_card, 7),
    "commondata": Format("A.yaml", damaged_yaml, gaussian, 10),
    "theory": Format("A.json", damaged_json, gaussian, 10),
    "rotation": Format("rotation.json", damaged_json, rotated, 6),
    "points": Format("points.yaml", damaged_yaml, points, 8),
    "reweight card": Format("reweight.dat", damaged_text, reweight, 10),
    "parameter card": Format("param_card.dat", damaged_text, parameter_card, 8),
    "unbinned dataset": Format("u.dataset", damaged_container, unbinned, 10),
    "dense dataset": Format("d.dataset", damaged_container, lambda p: of_dataset(load_dataset(p)), 8),
    "Poisson dataset": Format("p.dataset", damaged_container, poisson, 8),
    "inspect": Format("d.dataset", damaged_container, inspect, 2),
    "events": Format("e.events", damaged_container, lambda p: of_events(Events.load(p)), 8),
    "samples": Format("s.samples", damaged_container, samples, 4),
    "nuisances": Format("n.nuisances", damaged_container, lambda p: [Nuisances.load(p).linear], 8),
    "running": Format("r.running", damaged_container, running, 8),
    "estimator": Format("m.model", damaged_container, estimator, 3),
    "trees": Format("t.model", damaged_container, estimator, 1.5),
    "response estimator": Format("r.model", damaged_container, responses, 3),
    "checkpoint": Format("c.checkpoint", damaged_container, checkpoint, 0.5),
    "fit result": Format("fit_result.json", damaged_json, fit_result, 8),
    "comparison": Format("comparison.json", damaged_json, comparison, 5),
    "report": Format("report/fit_result.json", damaged_json, report, 2),
    "inspect JSON": Format("fit_result.json", damaged_json, inspect, 1.5),
    "LHE": Format("a.lhe", damaged_text, lambda p: of_events(read_lhe(p)), 8),
    "LHE, packed": Format("a.lhe.gz", damaged_gz, lambda p: of_events(read_lhe(p)), 6),
    "MadMiner": Format("a.h5", damaged, lambda p: of_events(read_madminer(p)), 3),
    "MadMiner nuisances": Format("n.h5", damaged, lambda p: [read_nuisances(p).linear], 1),
    "ROOT": Format(
        "a.root",
        damaged,
        lambda p: of_events(read_root(p, observables=["pt", "Jet_pt[0]"], points=SAMPLE.named, missing=0)),
        1,
    ),
    "parquet": Format("a.parquet", damaged, lambda p: of_events(read_table(p, points=SAMPLE.named)), 5),
    "CSV": Format("a.csv", damaged_text, lambda p: of_events(read_table(p, points=SAMPLE.named)), 2),
    "CSV, packed": Format("a.csv.gz", damaged_gz, lambda p: of_events(read_table(p, points=SAMPLE.named)), 2),
    "rg_matrix": Format("rg.pkl", damaged, rg, 10),
    "LHAPDF grid": Format("g.dat", damaged_text, densities, 3),
    "ONNX": Format("likelihood.onnx", damaged, session, 2),
}  # fmt: skip
