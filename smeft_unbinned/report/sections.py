"""The sections of the report: their words, their tables, their figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pandas as pd

from .. import plots, scan_plots
from . import compared_contours, figures, frames
from .compared import comparisons
from .found import Found
from .markup import slug
from .planes import pairs, planes
from .recomputed import Recomputed
from .section import Draw, Section
from .texts import diagnostics, failures
from .words import strongest

LEADS = {
    "intervals": "Thick bars are the smallest level, thin ones the largest; the tick is the best value. "
    "A coefficient that a fit does not have is marked as absent.",
    "nuisances": "In their own units; before the fit, those with a constraint are 0 ± 1 unless the card says "
    "otherwise.",
    "profiles": "The profile of −2 log L where it was scanned, and the density of the posterior where there "
    "are samples.",
    "plane": "Solid curves are contours as they were computed, dashed ones ellipses of the covariance at "
    "95 %, which hold as far as the fit is parabolic. Points are samples. In fits of two coefficients at a "
    "time all others are zero.",
    "correlations": "Of the coefficients at the best fit, or of the samples. A click on a cell shows the "
    "two above.",
    "fisher": "Shares of the expected Fisher information on every coefficient alone at {}, in percent. Rows "
    "add up to 100; a share is negative where a measurement serves to know the error of another.",
    "components": "Directions whose errors are independent of each other, the best constrained first, with "
    "the expected error of each.",
    "chi2": "chi2 per point of every measurement, filled at the best fit, hollow at the SM. p belongs to a "
    "measurement on its own. Events have −2 log L relative to the SM, in the table only.",
    "training": "The loss of every network, thin, and the mean of all, on the events of the training and on "
    "others.",
}
LEADING = 40
"""Rows of the tables of pairs on the page; the CSV files have all."""


def sections(found: Sequence[Found], again: Mapping[str, Recomputed]) -> list[Section]:
    """Return the sections that have something to show, in the order of the page."""
    everything = list(found)
    return [
        *_intervals(everything),
        *_scans(everything),
        *_plane(everything, again),
        *_correlations(everything),
        *_fisher(everything, again),
        *_chi2(everything, again),
        *_training(everything),
        *diagnostics(everything),
        *comparisons(everything),
        *compared_contours.sections(everything),
    ]


def _intervals(found: list[Found]) -> Iterator[Section]:
    for key, title, nuisances in (
        ("intervals", "Intervals", False),
        ("nuisances", "Nuisance parameters", True),
    ):
        table = frames.intervals(found, nuisances)
        if len(table):
            valid = (table["status"] == "valid").any()
            drawings = {key: (title, partial(figures.intervals, table))} if valid else {}
            caption = title if nuisances else f"{title}, TeV⁻²"
            body = "" if nuisances else failures(found)
            tables = {key: (caption, table)}
            lead = LEADS[key] if valid else "No fit converged: there is nothing to draw."
            yield Section(key, title, lead, tables, drawings, interactive=bool(valid), body=body)


def _scans(found: list[Found]) -> Iterator[Section]:
    drawings: dict[str, tuple[str, Draw]] = {}
    tables: dict[str, pd.DataFrame] = {}
    for one in found:
        curves: dict[str, list[pd.DataFrame]] = {}
        for name, kind, frame in one.scans:
            frame.attrs["kind"] = kind
            curves.setdefault(figures.literal(name), []).append(frame)
            tables[f"scan_{slug(name)}_{kind}_{slug(one.label)}"] = frame
        if curves:
            draw = partial(scan_plots.scans, curves, (0.68, 0.95))
            drawings[f"scans_{slug(one.label)}"] = (f"scans, {one.label}", draw)
        if one.result is not None and one.result.valid and one.result.samples is not None:
            samples = one.result.samples[list(one.result.operators)]
            draw = partial(figures.posteriors, samples)
            drawings[f"posteriors_{slug(one.label)}"] = (f"posteriors, {one.label}", draw)
    if drawings:
        yield Section(
            "profiles", "One coefficient", LEADS["profiles"],
            drawings=drawings, whole=tables,
        )  # fmt: skip


def _plane(found: list[Found], again: Mapping[str, Recomputed]) -> Iterator[Section]:
    tables: dict[str, tuple[str, pd.DataFrame]] = {}
    drawings: dict[str, tuple[str, Draw]] = {}
    whole: dict[str, pd.DataFrame] = {}
    known, labels = planes(found, again), frames.labels(found)
    for a, b in pairs(found):
        draw = partial(figures.plane, known, labels, (a, b))
        drawings[f"plane_{slug(a)}_{slug(b)}"] = (f"{a} and {b}", draw)
    for one in found:
        for kind, curves in (("contour", one.contours), ("contour_alone", again[one.label].contours)):
            for a, b, frame in curves:
                whole[f"{kind}_{slug(a)}_{slug(b)}_{slug(one.label)}"] = frame
        if one.pairs:
            stem, frame = f"pairwise_{slug(one.label)}", frames.pairwise(one)
            whole[stem] = frame
            first = f", the first {LEADING} rows" if len(frame) > LEADING else ""
            caption = f"Fits of two coefficients at a time, {one.label}, TeV⁻²{first}"
            tables[stem] = (caption, frame.head(LEADING))
    if drawings or tables:
        yield Section(
            "plane", "Two coefficients", LEADS["plane"], tables, drawings, whole, interactive=bool(drawings),
        )  # fmt: skip


def _correlations(found: list[Found]) -> Iterator[Section]:
    tables: dict[str, tuple[str, pd.DataFrame]] = {}
    drawings: dict[str, tuple[str, Draw]] = {}
    whole: dict[str, pd.DataFrame] = {}
    for one in found:
        result = one.result
        if result is None or not result.valid or len(result.operators) < 2:
            continue
        stem = f"correlations_{slug(one.label)}"
        names = list(result.operators)
        frame = result.correlation.loc[names, names]
        drawings[stem] = (one.label, partial(figures.matrix, frame, signed=True, label="correlation"))
        whole[stem] = frame
        tables[f"pairs_{slug(one.label)}"] = (
            f"Strongest correlations, {one.label}",
            strongest(result).head(LEADING),
        )
    if tables:
        yield Section("correlations", "Correlations", LEADS["correlations"], tables, drawings, whole)


def _fisher(found: list[Found], again: Mapping[str, Recomputed]) -> Iterator[Section]:
    known = {one.label: info for one in found if (info := again[one.label].information) is not None}
    if not known:
        return
    places = " and ".join(dict.fromkeys(again[label].where for label in known))
    tables: dict[str, tuple[str, pd.DataFrame]] = {}
    drawings: dict[str, tuple[str, Draw]] = {}
    for label, information in known.items():
        stem = f"fisher_{slug(label)}"
        tables[stem] = (f"Errors in TeV⁻², shares in percent, {label}", frames.shares(information))
        table = information.table.loc[list(information.operators)]
        drawings[stem] = (label, partial(figures.matrix, table, signed=False, label="percent"))
    yield Section(
        "fisher", "Who constrains what", LEADS["fisher"].format(places), tables, drawings,
    )  # fmt: skip
    tables, drawings = {}, {}
    for label, information in known.items():
        stem, frame = f"components_{slug(label)}", frames.components(information)
        tables[stem] = (f"Principal components, {label}", frame)
        drawings[stem] = (label, partial(figures.components, frame))
    yield Section(
        "components", "Principal components", LEADS["components"], tables, drawings,
    )  # fmt: skip


def _chi2(found: list[Found], again: Mapping[str, Recomputed]) -> Iterator[Section]:
    tables: dict[str, tuple[str, pd.DataFrame]] = {}
    drawings: dict[str, tuple[str, Draw]] = {}
    for one in found:
        if again[one.label].best is None and again[one.label].sm is None:
            continue
        stem, frame = f"chi2_{slug(one.label)}", frames.chi2(again[one.label])
        at = "at the best fit" if again[one.label].best is not None else "at the SM, since the fit failed"
        tables[stem] = (f"Agreement with the data {at}, {one.label}", frame)
        if (frame["points"] > 0).any():
            drawings[stem] = (one.label, partial(figures.agreement, frame))
    if tables:
        yield Section(
            "chi2", "Agreement with the data", LEADS["chi2"], tables, drawings, interactive=bool(drawings),
        )  # fmt: skip


def _training(found: list[Found]) -> Iterator[Section]:
    drawings: dict[str, tuple[str, Draw]] = {}
    whole: dict[str, pd.DataFrame] = {}
    for one in found:
        for name, history in one.trainings.items():
            stem = f"training_{slug(one.label)}_{slug(name)}"
            drawings[stem] = (f"{one.label}: {name}", partial(plots.training_curves, history))
            whole[stem] = pd.DataFrame(
                {
                    f"{kind} {k}": [entry[kind][k] for entry in history]
                    for kind in ("training", "validation")
                    for k in range(len(history[0][kind]))
                },
                index=pd.RangeIndex(1, len(history) + 1, name="epoch"),
            )
    if drawings:
        yield Section("training", "Training", LEADS["training"], drawings=drawings, whole=whole)
