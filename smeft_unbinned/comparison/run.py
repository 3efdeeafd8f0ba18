"""run: a card in, a Comparison out; the fits of every version are kept as they are done."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..fit.identity import identity
from ..likelihood import Likelihood
from ..progress import progress_bar
from ..runcard import Runcard
from ..storage import make_folder
from ..version import __version__
from .card import ComparisonCard
from .fits import Task, pairs_of, stored
from .gains import contours_of, gains_of, members_of, table_of
from .result import Comparison
from .sample import estimator_of, fingerprint, mark, sample_of
from .versions import EXACT, NETWORK, Version, versions_of

KEPT = 3
"""Raised where fits change, so that those that were kept before are made anew."""


def run(
    card: ComparisonCard | Mapping[str, Any] | str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Comparison:
    """Return the comparison that a card asks for.

    card: a ComparisonCard, the content of one, or the path of its file.
    folder: where generated events, the trained model and the fits are kept, default the card's `output`; a
        second call takes what is there if it is of the same card.
    Raises InputError for a card that cannot be used, before the first fit.
    """
    if not isinstance(card, ComparisonCard):
        card = ComparisonCard.from_dict(card) if isinstance(card, Mapping) else ComparisonCard.load(card)
    place = make_folder(card.folder / card.output if folder is None else Path(folder))
    rest = _rest(card)
    sample = sample_of(card, place, progress)
    pairs = pairs_of(card.contours, sample.operators)
    estimator = estimator_of(card, sample.events, place, progress)
    start = time.perf_counter()
    versions = versions_of(sample, card.schemes, card.terms, estimator)
    _check_rest(rest, versions)
    tasks = [
        Task(version, sample, other, card.levels, card.members, pairs)
        for other in ((None,) if rest is None else (None, rest))
        for version in versions
    ]
    records, fitted = _records(tasks, make_folder(place / "fits"), fingerprint(sample.events), progress)
    reference = EXACT if sample.exact else NETWORK
    events = sample.events
    about = {
        "reference": reference, "level": card.level, "luminosity": sample.luminosity,
        "efficiency": sample.efficiency, "operators": list(sample.operators), "at": sample.point,
        "events": len(events), "expected_events": float(sample.weights.sum()),
        "process": events.metadata.get("process"), "energy_GeV": events.metadata.get("energy"),
        "global": card.rest, "fitted": fitted, "seconds": time.perf_counter() - start,
        "smeft_unbinned": __version__,
    }  # fmt: skip
    return Comparison(
        table_of(records), gains_of(versions, records, sample, card.level, reference), members_of(records),
        contours_of(records), {v.name: v.family for v in versions},
        {v.name: v.binning for v in versions if v.binning}, about,
    )  # fmt: skip


def _records(
    tasks: list[Task], folder: Path, data: str, progress: bool
) -> tuple[dict[tuple[str, str, bool], dict[str, Any]], int]:
    """Return the records by version, terms and whether with the global fit, and how many were made now."""
    records: dict[tuple[str, str, bool], dict[str, Any]] = {}
    made = 0
    with progress_bar(progress) as bar:
        line = bar.add_task("versions", total=len(tasks), note="")
        for task in tasks:
            key = (task.version.name, task.version.terms, task.rest is not None)
            head = f"{key[0]}, {key[1]}{', global' if key[2] else ''}"

            def tell(text: str, head: str = head) -> None:
                bar.update(line, note=f"{head}: {text}")

            known_by = _mark(task, data)
            path = folder / f"{_slug(head)}-{known_by}.json"  # other cards may share the folder
            records[key], known = stored(task, path, known_by, tell)
            made += not known
            bar.advance(line)
    return records, made


def _rest(card: ComparisonCard) -> Likelihood | None:
    """Return the likelihood of the further datasets."""
    if card.rest is None:
        return None
    runcard = Runcard.load(card.folder / card.rest)
    if runcard.rge is not None or runcard.rot_to_fit_basis is not None:
        raise InputError(
            "global: the card has rge or rot_to_fit_basis, which the events know nothing of; take one without"
        )
    return runcard.likelihood()


def _check_rest(rest: Likelihood | None, versions: list[Version]) -> None:
    basis = versions[0].dataset.basis
    if rest is not None and rest.basis != basis:
        raise InputError(
            f"global: its coefficients are of basis {rest.basis!r}, those of the events of {basis!r}; write "
            f"basis: {basis} and names of that basis into the card, whose datasets are then translated"
        )


def _mark(task: Task, data: str) -> str:
    """Return by what the fits of a version are known again."""
    likelihood = task.likelihood(task.sample.operators)
    version = task.version
    settings = {
        "data": data, "version": [version.name, version.kind, version.terms, version.bins],
        "at": task.sample.point, "operators": list(task.sample.operators), "levels": list(task.levels),
        "pairs": [list(p) for p in task.pairs], "code": [__version__, KEPT],
        "members": task.members if version.networks is not None else None,
    }  # fmt: skip
    return mark({**settings, "likelihood": identity(likelihood)})


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:60]
