"""What the command line prints of fits, and the card that goes with a result."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ..datasets import GaussianDataset
from ..fit import FitResult
from ..fit.single import PartialFits
from ..likelihood import Likelihood
from ..runcard import Runcard
from ..storage import write_text
from .options import console, note, print_frame


def report(result: FitResult, levels: Sequence[float]) -> None:
    """Print intervals, further minima, and whatever is wrong with the fit."""
    units = "coefficients in TeV^-2" + (", nuisances in their own units" if result.nuisances else "")
    if result.valid:
        stored = result.samples is not None or result.interval_function is not None
        known = [x for x in levels if stored or x in result.stored_intervals]
        print_frame(result.table(tuple(known)), f"{result.method}: {units}")
    minima = result.minima
    if minima is not None and len(minima) > 1:
        frame = minima.assign(above=minima["m2logl"] - minima["m2logl"].min())
        frame.index = pd.Index(range(1, len(frame) + 1), name="minimum")
        print_frame(frame, f"{len(frame)} distinct minima of -2 log L", digits=3)
    console.print(f"-2 log L relative to the SM: {result.m2logl:.4g}", highlight=False)
    if result.logz is not None:
        console.print(f"log Z: {result.logz:.3f} +- {result.logz_error or 0.0:.3f}", highlight=False)
    if not result.valid:
        console.print("[bold red]the fit did not converge[/bold red]")
    for message in result.messages:
        note(message)


def report_partial(found: PartialFits, kind: str, levels: Sequence[float]) -> None:
    """Print the intervals of all fits, and which of them failed."""
    table = found.table(levels)
    if len(table):
        what = "one coefficient at a time" if kind == "individual" else "two coefficients at a time"
        if isinstance(table.index, pd.MultiIndex):
            table.index = pd.Index([f"{name}  ({fit})" for fit, name in table.index])
        print_frame(table, f"{what}, the others zero; TeV^-2")
    for names, result in found.items():
        for level in levels if result.valid else ():
            unions = result.intervals(level, "union")
            for name in names:
                pieces = unions.loc[name]
                if len(pieces) > 1:
                    text = " and ".join(f"[{low:.4g}, {high:.4g}]" for low, high in pieces.to_numpy())
                    note(f"{' '.join(names)}: {name} at {100 * level:.4g}%: {text}")
        if not result.valid:
            note(f"{' '.join(names)}: the fit did not converge: {'; '.join(result.messages)}")
    for names, why in found.failed.items():
        note(f"{' '.join(names)}: no fit: {why}")


def chi2_frames(likelihood: Likelihood, best: Mapping[str, float]) -> list[tuple[str, pd.DataFrame]]:
    """Return titled frames: chi2 of binned measurements with their total, and -2 log L of other datasets.

    best: by name, of all parameters of the fit and of profiled nuisances.
    """
    joint: Likelihood = getattr(likelihood, "joint", likelihood)
    places = joint.dataset_points({n: best.get(n, 0.0) for n in joint.parameters})
    binned: dict[str, list[float]] = {}
    other: dict[str, list[float]] = {}
    for d in joint.datasets:
        place = np.asarray(places[d.name])
        if isinstance(d, GaussianDataset):
            now, sm = d.chi2_by_group(place), d.chi2_by_group(np.zeros_like(place))
            for name, rows in d.groups:
                points = rows.stop - rows.start
                chi2 = float(now[name])
                binned[name] = [points, chi2, chi2 / points, float(sm[name])]
        else:
            other[d.name] = [float(d.m2logl(place))]
    frames = []
    if binned:
        frame = pd.DataFrame.from_dict(binned, orient="index", columns=["points", "chi2", "per point", "SM"])
        total = frame.sum()
        total["per point"] = total["chi2"] / total["points"]
        if len(frame) > 1:
            frame.loc["total"] = total
        frames.append(("chi2 at the best fit", frame.astype({"points": int})))
    if other:
        rows_of = pd.DataFrame.from_dict(other, orient="index", columns=["-2 log L"])
        frames.append(("-2 log L at the best fit, relative to the SM", rows_of))
    return frames


def save_card(card: Runcard, source: Path, folder: Path, **changed: Any) -> None:
    """Write the card beside its results, FOLDER/FOLDER.yaml, where SMEFiT looks for it, with full paths.

    source: the file of the card, which is left as it is if it is that very file.
    """
    name = folder.absolute().name
    target = folder / f"{name}.yaml"
    if target.exists() and target.samefile(source):
        return

    def full(value: Any) -> Any:
        if isinstance(value, list):
            return [full(v) for v in value]
        return str((card.folder / value).resolve()) if isinstance(value, str) else value

    content: dict[str, Any] = copy.deepcopy(dict(card.content))
    content |= {"result_ID": name, "result_path": str(folder.absolute().parent)}
    content |= {"use_quad": card.use_quad, "use_theory_covmat": card.use_theory_covmat, **changed}
    places: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        (content, ("data_path", "theory_path", "rot_to_fit_basis"))
    ]
    places += [(d, ("unbinned", "poisson")) for d in content.get("datasets") or () if isinstance(d, dict)]
    places += [(d, ("file",)) for d in (content.get("external_chi2") or {}).values() if isinstance(d, dict)]
    if isinstance(content.get("rge"), dict):
        places.append((content["rge"], ("rg_matrix",)))
    for block, keys in places:
        block.update({key: full(block[key]) for key in keys if block.get(key) is not None})
    write_text(target, yaml.safe_dump(content, sort_keys=False))
