"""export: an estimator and observed events become one file that a global fit reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .data_options import DataChoice, DataOptions
from .datasets import UnbinnedDataset
from .ensemble import check_ensemble, negative, networks
from .errors import InputError
from .events import Events, Nuisances
from .polynomial import Array, Polynomial, QuadraticForm
from .systematics import GROUPS, with_responses
from .version import __version__

if TYPE_CHECKING:
    from typing_extensions import Unpack

ENOUGH = 10
"""Effective simulated events per expected one below which Asimov data come with a note."""
FAR = 10.0
"""Ratio of measured to expected events beyond which data come with a note."""
Ratio = Callable[[pd.DataFrame], QuadraticForm]


class ExportOptions(DataOptions, total=False):
    """`DataOptions`, and what is made of an ensemble of networks.

    replicas: also store the polynomials of every network, for `fit.fit_replicas`; default False.
    central: "mean", the default, or "median" over the networks, coefficient by coefficient, is what -2 log L
        is made of. A median may turn negative where no network does; the number of such events is noted.

    The estimator needs `replicas(features)`, batch (M, N), for either of these.
    """

    replicas: bool
    central: str


@dataclass(frozen=True)
class ExportChoice(DataChoice):
    """`ExportOptions` with a value for each."""

    replicas: bool = False
    central: str = "mean"


def export(
    estimator: Ratio | None,
    observed: Events | pd.DataFrame,
    expected: QuadraticForm | None = None,
    luminosity: float | None = None,
    *,
    name: str = "unbinned",
    responses: Callable[[pd.DataFrame], Nuisances] | None = None,
    groups: int = GROUPS,
    **options: Unpack[ExportOptions],
) -> UnbinnedDataset:
    """Return the unbinned dataset of observed events, or of pseudo-data made from simulated ones.

    estimator: features -> ratio polynomials (an Estimator, or any such function); None takes the truth of
        the simulated events, the exact answer where it is known.
    observed: a frame of measured events, each of weight one; or simulated Events, weights in pb, from which
        `pseudo_data` makes "asimov" data (every event with its expected, fractional weight) or a "toy"
        (a Poisson number of events drawn with the given seed) at the coefficients `at` (default the SM).
    expected: nu(c), the expected number of events, depending on every operator that the ratios depend on;
        default luminosity x efficiency x sigma(c) of `observed`, for Asimov data with truth summed over the
        same events, so that the best fit is `at`.
    luminosity: in fb^-1.
    responses: features -> responses to nuisance parameters, a ResponseEstimator say, of the events and, in
        `groups` groups, of the yield. The simulated events need truth; to measured ones
        `systematics.with_responses` adds them.
    options: efficiency, pseudo_data, at, seed, basis, replicas and central, see `ExportOptions`.
    Raises InputError for a missing yield, for `at` without truth, for operators that do not fit, and for
    replicas or a median of what is no ensemble.
    """
    choice = ExportChoice(**options)
    scale = None if luminosity is None else choice.scale(luminosity)
    check_ensemble(estimator, choice.replicas, choice.central)
    if responses is not None and not (isinstance(observed, Events) and observed.truth is not None):
        raise InputError(
            "responses need simulated events with truth for the yield; for measured events export without "
            "and add them by systematics.with_responses(dataset, ...)"
        )
    events = observed if isinstance(observed, Events) else None
    weights: Array | None = None
    if events is not None:
        if scale is None:
            raise InputError("pseudo-data from simulated events need a luminosity in fb^-1")
        events, weights = _pseudo_data(events, scale, choice)
    elif choice.at:
        raise InputError("`at` chooses the coefficients of pseudo-data; measured events have none")
    features = events.features if events is not None else observed_frame(observed)
    ratios, spread, kept = _ratios(estimator, features, events, choice)
    if expected is None:
        whole = observed if isinstance(observed, Events) else None
        expected = _expected(whole, scale, ratios.operators, choice.pseudo_data)
    missing = [n for n in ratios.operators if n not in expected.operators]
    if missing:
        raise InputError(f"the expected yield does not know {', '.join(missing)}, on which the ratios depend")
    source = events.metadata if events is not None else {}
    notes = _notes(weights) if events is not None and choice.pseudo_data == "asimov" else []
    if events is None:
        notes = counted(len(features), float(np.sum(expected.dense().constant)))
    if unfamiliar := getattr(estimator, "unfamiliar", None):
        notes += unfamiliar(features)
    metadata = {
        **origin(estimator, source, features, luminosity, choice),
        "sources": list((observed if isinstance(observed, Events) else Events(features)).sources),
        "data": choice.pseudo_data if events is not None else "observed",
        "notes": [*notes, *negative(ratios, choice.central)],
        "ensemble": {
            "central": None if spread is None else choice.central,
            "replicas": None if kept is None else kept.batch_shape[0],
        },
    }
    dataset = UnbinnedDataset(
        name,
        ratios,
        expected.restrict(ratios.operators),
        weights,
        basis=choice.basis or source.get("basis", "warsaw"),
        spread=spread,
        replicas=kept,
        metadata=metadata,
    )
    if responses is None or not isinstance(observed, Events):
        return dataset
    return with_responses(dataset, responses(features), observed, responses(observed.features), groups=groups)


def origin(
    estimator: Ratio | None,
    source: Mapping[str, Any],
    features: pd.DataFrame,
    luminosity: float | None,
    choice: DataChoice,
) -> dict[str, Any]:
    """Return what every exported dataset records of where it comes from, JSON types.

    source: metadata of the simulated events.
    """
    return {
        "source": dict(source),
        "estimator": _describe(estimator),
        "energy_GeV": source.get("energy_GeV", source.get("energy")),
        "scale": source.get("scale"),
        "input_scheme": source.get("input_scheme"),
        "luminosity_fb-1": luminosity,
        "efficiency": choice.efficiency,
        "features": list(features.columns),
        "at": {k: float(v) for k, v in (choice.at or {}).items()},
        "seed": choice.seed,
        "smeft_unbinned": __version__,
    }


def observed_frame(observed: Any) -> pd.DataFrame:
    """Return the features of measured events; raise InputError for what is no frame with rows."""
    if not isinstance(observed, pd.DataFrame) or observed.empty:
        raise InputError(f"observed must be Events or a frame with rows, got {type(observed).__name__}")
    return Events(observed).features


def _pseudo_data(events: Events, scale: float, choice: DataChoice) -> tuple[Events, Array]:
    """Return the events of the pseudo-data and their weights, expected number of events at c each."""
    rate = scale * np.asarray(events.weights)
    if choice.at:
        if events.truth is None:
            raise InputError("pseudo-data away from the SM need events with truth polynomials")
        rate = rate * np.asarray(events.truth.evaluate(choice.at))
    if not rate.sum() > 0:
        raise InputError(f"{rate.sum():g} events are expected; the weights must sum to something positive")
    if np.any(rate < 0):
        raise InputError(f"{np.sum(rate < 0)} events have a negative rate; unweight the sample first")
    if choice.pseudo_data == "asimov":
        return events, rate
    rng = np.random.default_rng(choice.seed)
    drawn = np.sort(rng.choice(len(events), size=rng.poisson(rate.sum()), p=rate / rate.sum()))
    if drawn.size == 0:
        raise InputError(f"the toy holds no event ({rate.sum():.3g} expected); raise the luminosity")
    return events[drawn], np.ones(drawn.size)


def _ratios(
    estimator: Ratio | None, features: pd.DataFrame, events: Events | None, choice: ExportChoice
) -> tuple[QuadraticForm, Array | None, QuadraticForm | None]:
    """Return the ratios, batch (N,), their spread, (N, P), and those of every network, batch (M, N)."""
    if estimator is None:
        if events is None or events.truth is None:
            raise InputError("without an estimator the events must carry truth polynomials")
        if np.abs(np.asarray(events.truth.constant) - 1).max() > 1e-6:
            raise InputError("the truth of every event must be relative to the SM: 1 at the SM")
        return events.truth, None, None
    if choice.replicas or choice.central != "mean":
        return networks(estimator, features, choice.replicas, choice.central)
    if hasattr(estimator, "predict"):
        ratios, spread = estimator.predict(features)
        return ratios, spread, None
    return estimator(features), None, None


def _expected(
    events: Events | None, scale: float | None, operators: tuple[str, ...], kind: str
) -> Polynomial:
    if events is None or events.cross_section is None or scale is None:
        raise InputError(
            "the expected yield nu(c) is not known: pass expected=..., or simulated Events with a "
            "cross section, and a luminosity"
        )
    sigma = events.cross_section
    if kind == "asimov" and events.truth is not None:
        sigma = events.truth.sum(np.asarray(events.weights))
    missing = [n for n in operators if n not in sigma.operators]
    if missing:
        raise InputError(
            f"the cross section of the events does not know {', '.join(missing)}; pass expected=..."
        )
    return sigma.restrict(operators).dense() * scale


def _notes(weights: Array) -> list[str]:
    """Return what is to be said of Asimov data made of few events: those fluctuate, the data should not."""
    expected, effective = float(np.sum(weights)), float(np.sum(weights) ** 2 / np.sum(weights**2))
    if effective >= ENOUGH * expected:
        return []
    return [
        f"{effective:.0f} effective simulated events stand for {expected:.0f} expected ones, and their "
        f"fluctuation shifts the fit; take {ENOUGH} times as many, or a lower luminosity"
    ]


def counted(observed: float, expected: float) -> list[str]:
    """Return what is to be said of a number of measured events far from the one expected at the SM."""
    if expected / FAR <= observed <= expected * FAR:
        return []
    return [
        f"{observed:.0f} events were measured and {expected:.3g} are expected at the SM; check the "
        "luminosity (fb^-1), the cross section (pb) and the efficiency"
    ]


def _describe(estimator: Ratio | None) -> dict[str, Any]:
    """Return where the ratios come from, for the manifest."""
    if estimator is None:
        return {"method": "truth"}
    metadata = getattr(estimator, "metadata", {})
    kept = {k: v for k, v in metadata.items() if k not in ("history", "events")}
    return {"method": type(estimator).__name__, **kept}
