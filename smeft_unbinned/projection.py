"""Projections: what measurements would be at other luminosities, or if nature were a point in the EFT.

The numbers are those of `smefit PROJ`. Data become the prediction p, statistical uncertainties scale with
sqrt(p / data) and with sqrt(L_old / L_new), multiplicative systematics with p / data, and all systematics
with a reduction factor. What is written are files in the format of SMEFiT.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .datasets.commondata import CommonData, experimental_covariance, parse_commondata
from .datasets.entries import Files, find_files
from .datasets.gaussian_load import theory_of
from .datasets.record import Record, Vector, read_yaml
from .datasets.rotation import Maps, Running, read_rotation
from .datasets.theory import TheoryTable, read_theory
from .errors import InputError, brief, nearest
from .projection_card import ProjectionCard
from .storage import check_folder, check_target, make_folder, write_bytes

NOISE = ("L0", "L1")
"""L0: data are the prediction. L1: data fluctuate about it."""
THEORY = ("projections", "beside")
"""Where the predictions of NAME_proj are written: with the projections, or beside those of NAME."""


@dataclass(frozen=True)
class Projections:
    """What a projection made: the new measurements by name, the files, and notes for the user."""

    datasets: Mapping[str, CommonData]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def project(
    card: ProjectionCard,
    *,
    luminosity: float | None = None,
    noise: str = "L0",
    seed: int | None = None,
    theory: str = "projections",
    running: Running | None = None,
) -> Projections:
    """Write the projections of a card: all of its files, or none.

    luminosity: fb^-1; NAME_proj.yaml at that luminosity, and NAME_proj.json, a copy of the predictions.
        Without it NAME.yaml with the uncertainties of today, for closure tests; NAME.json serves on.
    noise: L0 or L1. The noise of L1 is drawn dataset by dataset: a source that two of them share fluctuates
        in each on its own, as in SMEFiT, which draws the same numbers from the same seed.
    seed: of the noise; with a seed the measurements go to the folder seed_N of the card's.
    theory: see `THEORY`. running: in place of the one that the card's block `rge` describes.
    Raises InputError for cards and datasets that cannot be used, and where a file would replace an input.
    """
    _check_options(luminosity, noise, seed, theory)
    target = card.folder / card.projections_path
    folder = check_folder(target if seed is None else target / f"seed_{seed}")
    files = find_files(card.entries, card.paths("commondata_path"), card.paths("theory_path"))
    if folder.resolve() in {f.data.parent.resolve() for f in files}:
        raise InputError(f"projections_path {folder} is the folder of the measurements; choose another")
    records = [read_yaml(f.data) for f in files]
    sets = [parse_commondata(r, e.name) for r, e in zip(records, card.entries, strict=True)]
    tables = [
        read_theory(f.theory, e.name, d.data.size, e.order, e.theory_cov if card.use_theory_covmat else None)
        for f, e, d in zip(files, card.entries, sets, strict=True)
    ]
    predictions = _predictions(card, tables, running)
    generator = None if noise == "L0" else np.random.RandomState(seed)
    made: dict[str, CommonData] = {}
    notes: list[str] = []
    for measured, table, prediction in zip(sets, tables, predictions, strict=True):
        new, remarks = projected(
            measured, prediction, luminosity, fred_sys=card.fred_sys, fred_tot=card.fred_tot
        )
        if generator is not None:
            covariance = experimental_covariance([new]) + table.covariance
            new = replace(new, data=generator.multivariate_normal(prediction, covariance))
        made[new.name] = new
        notes += remarks
    content = _content(records, list(made.values()), folder, luminosity)
    if luminosity is not None:
        content |= {
            (f.theory.parent if theory == "beside" else target) / f"{name}_proj.json": f.theory.read_bytes()
            for name, f in zip(made, files, strict=True)
        }
    _write(content, files)
    return Projections(made, tuple(content), tuple(notes))


def projected(
    measured: CommonData,
    prediction: Vector,
    luminosity: float | None = None,
    *,
    fred_sys: float = 1.0,
    fred_tot: float = 1.0,
) -> tuple[CommonData, list[str]]:
    """Return a measurement with data equal to a prediction (n,), all systematics additive, and notes.

    luminosity: the new one, fb^-1; without it, and always for measurements without statistical uncertainty,
        the statistical one is not scaled by it. With it systematics are multiplied by fred_sys, or by
        fred_tot where there is no statistical uncertainty. As many systematics as points, some of them
        negative, are the factor of a covariance in SMEFiT's database: then only its diagonal is kept.
    Raises InputError where the luminosity of the measurement is needed and unknown.
    """
    name, notes = measured.name, []
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = prediction / measured.data
    usable = np.isfinite(ratio) & (ratio >= 0)
    if not usable.all() and np.any(measured.statistical):
        notes.append(
            f"{name}: data or prediction of {np.count_nonzero(~usable)} points is zero or of the other sign; "
            "their statistical uncertainty is not scaled with the prediction"
        )
    statistical = measured.statistical * np.sqrt(np.where(usable, ratio, 1.0))
    shifts = measured.shifts(prediction)
    if luminosity is not None:
        if np.any(statistical):
            if np.any(np.isnan(measured.luminosity)):
                raise InputError(
                    f"{name}: a projection needs the luminosity of the measurement; write its field "
                    "'luminosity' in fb^-1, or leave it out"
                )
            statistical = statistical * np.sqrt(measured.luminosity / luminosity)
        else:
            notes.append(f"{name}: no statistical uncertainty; all are multiplied by fred_tot {fred_tot:g}")
        factor = fred_sys if np.any(statistical) else fred_tot
        if shifts.shape[0] == shifts.shape[1] and np.any(shifts < 0):
            notes.append(f"{name}: its systematics are the factor of a covariance; correlations are dropped")
            shifts = np.diag(np.sqrt(np.sum(shifts**2, axis=0)))
        shifts = shifts * factor
    return replace(
        measured,
        data=prediction,
        statistical=statistical,
        systematics=shifts,
        multiplicative=np.zeros_like(measured.multiplicative),
        luminosity=measured.luminosity if luminosity is None else np.full(prediction.size, luminosity),
    ), notes


def _check_options(luminosity: float | None, noise: str, seed: int | None, theory: str) -> None:
    for what, value, known in (("noise", noise, NOISE), ("theory", theory, THEORY)):
        if value not in known:
            raise InputError(
                f"{what} must be {' or '.join(known)}, got {brief(value)}.{nearest(value, known)}"
            )
    if luminosity is not None and not 0 < luminosity < float("inf"):
        raise InputError(f"the luminosity must be a positive number in fb^-1, got {brief(luminosity)}")
    if seed is None and noise == "L1":
        raise InputError("noise L1 is random; give its seed")
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError(f"seed must lie between 0 and {2**32 - 1}, got {brief(seed)}")


def _predictions(card: ProjectionCard, tables: list[TheoryTable], running: Running | None) -> list[Vector]:
    """Return the prediction at the coefficients of the card for each dataset, (n,) each."""
    values = card.values
    if running is None and card.rge is not None and values:
        from .rge import Running as Computed

        running = Computed.parse(card.rge, list(values), card.folder)
    path = card.rot_to_fit_basis
    rotation = None if path is None else read_rotation(card.folder / path)
    theory, effects = theory_of(tables, card.rules, list(values), Maps(rotation, running))
    idle = effects["operators_without_effect"]
    if idle and running is None:
        known = sorted({*effects["operators_set_to_zero"], *theory.operators})
        raise InputError(
            f"no dataset depends on {', '.join(idle)}; known operators are {', '.join(known)}."
            + nearest(idle[0], known)
        )
    prediction = theory.evaluate({name: values[name] for name in theory.operators})
    if not theory.operators:
        prediction = theory.coefficients[:, 0]
    return np.split(np.asarray(prediction), np.cumsum([t.sm.size for t in tables])[:-1])


def _content(
    records: list[Record], made: list[CommonData], folder: Path, luminosity: float | None
) -> dict[Path, bytes]:
    """Return the files of the measurements, all fields kept but those that changed."""
    suffix = "" if luminosity is None else "_proj"
    content = {}
    for record, new in zip(records, made, strict=True):
        many, sources = new.data.size > 1, len(new.names)
        data, statistical = new.data.tolist(), new.statistical.tolist()
        changed: dict[str, Any] = {
            "data_central": data if many else data[0],
            "statistical_error": statistical,
            "systematics": new.systematics.tolist() if many else new.systematics.ravel().tolist(),
        }
        if sources:
            changed["sys_type"] = ["ADD"] * sources if sources > 1 else "ADD"
        if luminosity is not None:
            changed["luminosity"] = float(luminosity)
        text = yaml.safe_dump({**record.fields, **changed}, sort_keys=False, allow_unicode=True)
        content[folder / f"{new.name}{suffix}.yaml"] = text.encode()
    return content


def _write(content: Mapping[Path, bytes], inputs: list[Files]) -> None:
    """Write all files or none: each under another name in its folder first, then all are renamed."""
    taken = {path.resolve() for f in inputs for path in (f.data, f.theory)}
    for path in content:
        if path.resolve() in taken:
            raise InputError(f"{path} would be overwritten, but it is an input; choose another folder")
    places: dict[Path, Path] = {}
    try:
        for path in content:
            if path.parent not in places:
                where = make_folder(path.parent)
                places[path.parent] = Path(tempfile.mkdtemp(prefix=".projection.", dir=where))
        for path, data in content.items():
            check_target(path)
            write_bytes(places[path.parent] / path.name, data)
        for path in content:
            os.replace(places[path.parent] / path.name, path)
    except OSError as error:
        raise InputError(f"cannot write projections: {error}; nothing was changed") from error
    finally:
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
