"""Stage `table`: every method on every problem, from training to intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from common import PROBLEMS, Bench, cached, exact, measure
from separate import separate_samples

from smeft_unbinned.diagnostics.result import plain
from smeft_unbinned.estimators import TrainSettings, train
from smeft_unbinned.estimators.backbones import BACKBONES
from smeft_unbinned.estimators.losses import LOSSES
from smeft_unbinned.processes import vh_kinematics

STAGE = "table"
DEFAULT_REPLICAS = 10
REACH = 10.0
"""Where separate samples stand, in exact 95 % half-widths at 1,000 expected events."""
WITH_LINEAR = ("zh2", "zh6", "ttbar")
"""Problems whose ratio has a linear term."""
LGATR_EVENTS = 0.1
"""Fraction of the events that L-GATr learns from: it takes far more time per event."""
TRUTH, SEPARATE = "events with truth", "separate samples"


@dataclass(frozen=True)
class Method:
    """A row of the table.

    name: of the row. settings: of the training. problems: where it is measured. data: what it learns from.
    replicas: by problem, where they differ from those of the problem. events: fraction of the problem's.
    """

    name: str
    settings: Mapping[str, Any]
    problems: tuple[str, ...] = tuple(PROBLEMS)
    data: str = TRUTH
    replicas: Mapping[str, int] = field(default_factory=dict)
    events: float = 1.0


def methods() -> dict[str, Method]:
    """Return all methods by name of their file."""
    found: dict[str, Method] = {}
    for loss in LOSSES:
        fewer = {"zh6": 1} if loss == "decomposed" else {}
        replicas = dict.fromkeys(PROBLEMS, DEFAULT_REPLICAS) if loss == "derivative" else fewer
        kept = WITH_LINEAR if loss == "sally" else tuple(PROBLEMS)
        found[loss] = Method(loss, {"loss": loss}, kept, replicas=replicas)
    for head in ("quadratic", "linear", "morphing"):
        kept = WITH_LINEAR if head == "linear" else tuple(PROBLEMS)
        found[f"derivative-{head}"] = Method(f"derivative, {head} head", {"head": head}, kept)
    for ensemble in ("bootstrap", "independent", "repulsive", "seeds"):
        name = f"derivative, {ensemble} ensemble"
        found[f"ensemble-{ensemble}"] = Method(name, {"ensemble": ensemble}, ("zh2",))
    for loss in ("carl", "multiclass", "quadratic-classifier", "decomposed"):
        found[f"separate-{loss}"] = Method(loss, {"loss": loss}, ("zh2", "toy"), SEPARATE)
    if "trees" in BACKBONES:
        found["trees"] = Method("derivative, trees", {"backbone": "trees", "head": "quadratic"}, ("zh2",))
    if "lgatr" in BACKBONES:
        name, settings = "derivative, lgatr on four-momenta", {"backbone": "lgatr"}
        found["lgatr"] = Method(name, settings, ("zh2",), replicas={"zh2": 1}, events=LGATR_EVENTS)
    return found


def run(bench: Bench, *, problems: tuple[str, ...] = (), chosen: tuple[str, ...] = ()) -> None:
    """Measure the chosen methods (default all) on the chosen problems (default all)."""
    for problem in problems or tuple(PROBLEMS):
        cached(bench, STAGE, problem, {"problem": problem}, _reference(bench, problem))
        for key, method in methods().items():
            if problem in method.problems and (not chosen or key in chosen):
                settings = _settings(bench, problem, method)
                asked = {
                    "method": method.name, "data": method.data, "problem": problem, "train": settings,
                    "events": method.events, "reach": REACH if method.data == SEPARATE else None,
                }  # fmt: skip
                compute = _row(bench, problem, method, settings)
                cached(bench, STAGE, f"{problem}__{key}", asked, compute)


def _settings(bench: Bench, problem: str, method: Method) -> dict[str, Any]:
    """Return what the training is given besides its events."""
    replicas = method.replicas.get(problem, bench.replicas or PROBLEMS[problem].replicas)
    if bench.scale < 1:
        replicas = min(replicas, 2)
    if method.settings.get("backbone") == "trees":
        return {**method.settings, "replicas": replicas, "seed": bench.seed}
    return {**method.settings, "replicas": replicas, "seed": bench.seed, **bench.training()}


def _reference(bench: Bench, name: str) -> Callable[[], dict[str, Any]]:
    def compute() -> dict[str, Any]:
        reference = exact(name, bench.scale, bench.seed)
        return {
            "title": reference.problem.title,
            "operators": reference.problem.operators,
            "events": bench.count(reference.problem.events, 1000),
            "test": len(reference.test),
            "asimov": len(reference.asimov),
            "widths": reference.widths,
            "points": reference.points,
            "intervals": plain(reference.intervals.drop(columns="note")),
            "linear": plain(reference.linear.drop(columns="note")),
        }

    return compute


def four_momenta(features: pd.DataFrame) -> pd.DataFrame:
    """Return E, px, py, pz (GeV) of lepton, antilepton and Higgs boson of pp -> ZH events, (N, 12)."""
    particles = zip(("lepton", "antilepton", "h"), vh_kinematics.momenta(features), strict=True)
    return pd.DataFrame(
        {f"{q}[{name}]": p[:, k] for name, p in particles for k, q in enumerate(("E", "px", "py", "pz"))}
    )


def _row(bench: Bench, name: str, method: Method, settings: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    def compute() -> dict[str, Any]:
        problem, reference = PROBLEMS[name], exact(name, bench.scale, bench.seed)
        events = bench.count(round(method.events * problem.events), 1000)
        if method.data == SEPARATE:
            kind = "terms" if settings["loss"] == "decomposed" else "full"
            pool = problem.generate(3 * events, bench.seed + 3000)
            sample: Any = separate_samples(pool, kind, REACH * reference.widths, events, bench.seed)
        else:
            sample = problem.generate(events, bench.seed)
        momenta = settings.get("backbone") == "lgatr"
        if momenta:
            sample = replace(sample, features=four_momenta(sample.features))
        estimator = train(sample, **settings)
        seconds, history = estimator.metadata["seconds"], estimator.metadata["history"]
        return {
            "method": method.name,
            "data": method.data,
            "settings": TrainSettings.of(**settings).manifest(),
            "events": events,
            "replicas": estimator.members,
            "epochs": len(history),
            "cpu": seconds["cpu"],
            "wall": seconds["wall"],
            "training_notes": estimator.notes,
            **measure((lambda x: estimator(four_momenta(x))) if momenta else estimator, reference),
        }

    return compute
