"""A bundle: a folder with all that another program needs of an unbinned measurement, as ONNX graphs.

`estimator.onnx` (if there is an estimator) maps features to coefficients of r(x|c), `events.onnx` holds the
coefficients and the weights of the dataset's events, `likelihood.onnx` maps coefficients, weights and c to
-2 log L, and `manifest.json` says what they are.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .. import storage
from ..datasets import UnbinnedDataset
from ..errors import InputError
from .likelihood import check_representable, events_graph, likelihood_graph
from .manifest import ESTIMATOR, EVENTS, LIKELIHOOD, MANIFEST, manifest

if TYPE_CHECKING:
    from ..estimators import Estimator


def check_bundle_target(path: str | os.PathLike[str]) -> Path:
    """Return the path if a folder can be made there; raise InputError where something is already."""
    target = Path(path)
    if target.exists():
        raise InputError(f"{target} exists; remove it, or give the name of a new folder")
    return storage.check_target(target)


def to_bundle(
    dataset: UnbinnedDataset,
    path: str | os.PathLike[str],
    estimator: Estimator | None = None,
    *,
    members: bool = False,
) -> Path:
    """Write a dataset, and the estimator that its ratios come from, as a new folder, and return its path.

    The folder is there whole or not at all. members: see `to_onnx`.
    Raises InputError without the package onnx, for a path that exists or cannot be written, for a dataset
    with nuisance parameters or too large for ONNX, and for an estimator that the dataset is not made with.
    """
    target = check_bundle_target(path)
    check_representable(dataset)
    notes = [] if estimator is None else check_pair(dataset, estimator)
    try:
        place = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    try:
        if estimator is not None:
            from ..estimators.onnx_export import to_onnx

            to_onnx(estimator, place / ESTIMATOR, members=members)
        storage.write_bytes(place / EVENTS, events_graph(dataset))
        storage.write_bytes(place / LIKELIHOOD, likelihood_graph(dataset))
        content = manifest(dataset, estimator, place, notes)
        storage.write_text(place / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        umask = os.umask(0)
        os.umask(umask)
        place.chmod(0o777 & ~umask)
        place.rename(target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; nothing was changed") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return target


def check_pair(dataset: UnbinnedDataset, estimator: Estimator) -> list[str]:
    """Return notes on where the ratios of a dataset differ from those of an estimator.

    Raises InputError for an estimator of other operators, or another than the dataset is known to be made
    with, and for a dataset with backgrounds, of whose rates an estimator says nothing.
    """
    if dataset.operators != estimator.operators:
        raise InputError(
            f"dataset {dataset.name!r} depends on {', '.join(dataset.operators)}, the model on "
            f"{', '.join(estimator.operators)}; give the dataset as it was exported with this model"
        )
    if dataset.backgrounds:
        raise InputError(
            f"dataset {dataset.name!r} has backgrounds, of which the model knows nothing; write the bundle "
            "from the dataset alone, whose events are there with all backgrounds"
        )
    record = dataset.metadata.get("estimator", {})
    made, own = record.get("checksums"), estimator.metadata.get("checksums")
    if made and own and made != own:
        raise InputError(
            f"dataset {dataset.name!r} was exported with another model; give that one, or export again"
        )
    notes = []
    if not made or not own:
        source = "the truth of simulated events" if record.get("method") == "truth" else "not recorded"
        notes.append(f"where the ratios of {EVENTS} come from: {source}; those of {ESTIMATOR} may differ")
    if dataset.metadata.get("ensemble", {}).get("central") == "median":
        notes.append(f"ratios are the median over networks in {EVENTS}, their mean in {ESTIMATOR}")
    return notes
