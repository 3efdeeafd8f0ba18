"""The events of a comparison and its estimator, read, or made once and kept in the folder of the results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data_options import FB_PER_PB
from ..errors import InputError, nearest, require
from ..events import Events
from ..polynomial import Polynomial
from ..processes import find, hadronic
from ..processes.wh_observables import wh_observables
from ..storage import make_folder
from .card import ComparisonCard

Real = NDArray[np.float64]
WH_OBSERVABLES = ["m_t", "q_cos_delta"]
"""Observables that generated WH events have besides their phase space: the sign-sensitive one among them."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Simulated events with truth in the n coefficients of a comparison, and what they stand for.

    events: N of them, with truth of all their operators. luminosity: fb^-1. at: (n,), the point of the data,
    TeV^-2. seed: of random choices.
    Raises InputError for events without truth, unknown operators, and weights that no likelihood can take.
    """

    events: Events
    operators: tuple[str, ...]
    luminosity: float
    efficiency: float
    at: Real
    seed: int

    def __post_init__(self) -> None:
        truth = self.events.truth
        if truth is None:
            raise InputError("a comparison needs events with truth polynomials, which all yields are made of")
        for name in self.operators:
            if name not in truth.operators:
                raise InputError(
                    f"the events do not depend on {name}; they know {', '.join(truth.operators)}."
                    + nearest(name, truth.operators)
                )
        if np.any(self.weights < 0) or not self.weights.any():
            raise InputError(
                f"{np.sum(self.weights < 0)} events have negative weights, which no unbinned likelihood "
                "takes; unweight or resample them first"
            )
        if np.abs(np.asarray(truth.constant) - 1.0).max() > 1e-6:
            raise InputError("the truth of every event must be relative to the SM: 1 at the SM")

    @cached_property
    def truth(self) -> Polynomial:
        """Ratios in the coefficients of the comparison, batch (N,), 1 at the SM."""
        assert self.events.truth is not None
        return self.events.truth.restrict(self.operators).dense()

    @cached_property
    def weights(self) -> Real:
        """Expected events at the SM that each stands for, (N,)."""
        return np.asarray(self.events.weights) * (self.luminosity * FB_PER_PB * self.efficiency)

    @cached_property
    def score(self) -> Real:
        """d log r/dc at the SM, (N, n)."""
        return np.asarray(self.truth.linear, dtype=float)

    @property
    def exact(self) -> bool:
        """Whether the truth is r(x|c) of what is observed, and not a label from before a detector.

        Yields of bins can be summed of either, an unbinned likelihood can be made of the former alone.
        """
        return not str(self.events.metadata.get("truth", "")).startswith("label")

    @property
    def point(self) -> dict[str, float]:
        """The coefficients that the data stand for, by name, those that are not zero."""
        return {n: float(x) for n, x in zip(self.operators, self.at, strict=True) if x}


def sample_of(card: ComparisonCard, folder: Path, progress: bool = False) -> Sample:
    """Return the sample of a card; generated events are kept in the folder."""
    events = events_of(card, folder, progress)
    operators = card.operators or events.operators
    for name in card.at:
        if name not in operators:
            raise InputError(
                f"at: {name!r} is no coefficient of the comparison; those are {', '.join(operators)}."
                + nearest(name, operators)
            )
    at = np.array([float(card.at.get(name, 0.0)) for name in operators])
    return Sample(events, tuple(operators), float(card.luminosity), float(card.efficiency), at, card.seed)


def events_of(card: ComparisonCard, folder: Path, progress: bool = False) -> Events:
    """Return the events of the file, or of the process, from the folder where they were generated before."""
    if card.events is not None:
        return Events.load(card.folder / card.events)
    options = dict(card.process or {})
    path = make_folder(folder) / f"{options['name'].lower()}-{mark(options)}.events"
    if path.exists():
        return Events.load(path)
    name, n, seed = options.pop("name"), options.pop("n"), options.pop("seed")
    process = find(name)
    if hadronic(process):
        options["unweighted"] = not options.pop("weighted", True)
        if "mass_range" in options:
            options["mass_range"] = tuple(map(float, options["mass_range"]))
    elif odd := [key for key in options if key != "operators"]:
        raise InputError(f"process {name} takes no {', '.join(odd)}; leave it out")
    options.setdefault("operators", card.operators or process.DEFAULT)
    events = process.generate(n, seed=seed, progress=progress, **options)
    if events.metadata["process"] == "WH":
        more = wh_observables(events.features)[WH_OBSERVABLES]
        features = events.features.join(more)
        events = Events(features, events.truth, events.weights, events.cross_section, events.metadata)
    events.save(path)
    return events


def estimator_of(card: ComparisonCard, events: Events, folder: Path, progress: bool = False) -> Any:
    """Return the estimator of the card, None without one; a trained one is kept in the folder.

    A training that was interrupted goes on from its checkpoint.
    """
    if card.model is None and card.train is None:
        return None
    require("torch", "train")
    from ..estimators import Estimator, TrainSettings, train

    if card.model is not None:
        return Estimator.load(card.folder / card.model)
    options = {"seed": card.seed, **(card.train or {})}
    features, operators = options.pop("features", None), options.pop("operators", card.operators)
    settings = TrainSettings.of(**options)
    about = {"settings": settings.manifest(), "features": features, "operators": operators}
    key = mark({**about, "events": fingerprint(events)})
    path = make_folder(folder) / f"network-{key}.model"
    if path.exists():
        return Estimator.load(path)
    checkpoint = path.with_suffix(".checkpoint")
    estimator = train(
        events, settings, features=features, operators=operators, checkpoint=checkpoint, progress=progress
    )
    estimator.save(path)
    checkpoint.unlink(missing_ok=True)
    return estimator


def fingerprint(events: Events) -> str:
    """Return a hash of features, weights and truth."""
    digest = hashlib.sha256()
    truth = None if events.truth is None else events.truth.coefficients
    for array in (events.features.to_numpy(float), events.weights, truth):
        digest.update(np.ascontiguousarray(array if array is not None else 0.0).tobytes())
    names = [*events.features.columns, *events.operators]
    return hashlib.sha256((digest.hexdigest() + json.dumps(names)).encode()).hexdigest()[:16]


def mark(content: Mapping[str, Any]) -> str:
    """Return a short hash of JSON types, by which what was made is known again."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]
