"""Samples with responses to nuisance parameters, to learn these from; which of them have an effect."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError
from ..polynomial import Polynomial
from .assembly import as_paths, distinct
from .events import Events
from .madminer import read_madminer, read_nuisances
from .morphing import NonPositive
from .nuisance import Nuisances

__all__ = ["effects", "largest", "one_sided", "read_with_nuisances"]


def read_with_nuisances(
    paths: Sequence[str | os.PathLike[str]],
    *,
    names: Sequence[str] | None = None,
    non_positive: NonPositive = "error",
) -> tuple[Events, Nuisances]:
    """Return the events of one or several MadMiner files, N in all, and their responses, N rows.

    Every file counts with its own weights. names, non_positive: as for `read_nuisances`.
    Raises InputError as the readers do, and for files whose observables or nuisances differ.
    """
    files = as_paths(paths, "MadMiner")
    parts = [
        (
            read_madminer(path, non_positive=non_positive),
            read_nuisances(path, names=names, non_positive=non_positive),
        )
        for path in files
    ]
    events, nuisances = (list(part) for part in zip(*parts, strict=True))
    if len(parts) == 1:
        return events[0], nuisances[0]
    for path, one, response in zip(files, events, nuisances, strict=True):
        for what, found, first in (
            ("observables", list(one.features), list(events[0].features)),
            ("nuisance parameters", list(response.names), list(nuisances[0].names)),
            ("nuisance parameters of one side", list(one_sided(response)), list(one_sided(nuisances[0]))),
        ):
            if found != first:
                raise InputError(
                    f"{path.name} and {files[0].name} have different {what}: {', '.join(found) or 'none'} "
                    f"and {', '.join(first) or 'none'}; give samples of one set-up, or one of them alone"
                )
    truths = [one.truth for one in events]
    same = all(t is not None and truths[0] is not None and t.operators == truths[0].operators for t in truths)
    joined = Events(
        pd.concat([one.features for one in events], ignore_index=True),
        Polynomial(events[0].operators, np.concatenate([t.coefficients for t in truths if t is not None]))
        if same
        else None,
        np.concatenate([np.asarray(one.weights) for one in events]),
        None,
        {**events[0].metadata, "files": distinct([f for one in events for f in one.metadata["files"]])},
    )
    responses = Nuisances(
        nuisances[0].names,
        np.concatenate([response.linear for response in nuisances]),
        np.concatenate([response.quadratic for response in nuisances]),
    )
    return joined, responses


def one_sided(nuisances: Nuisances) -> tuple[str, ...]:
    """Return the names of nuisances without quadratic response, those of which one side is known."""
    two = np.atleast_1d(nuisances.quadratic.any(axis=0))
    return tuple(name for name, both in zip(nuisances.names, two, strict=True) if not both)


def effects(events: Events, nuisances: Nuisances) -> pd.Series:
    """Return the effect of each nuisance: by name: root mean square of log r at theta = 1 and -1.

    Events count with their weights. nuisances: their responses, N rows. Raises InputError for another number.
    """
    if len(nuisances) != len(events):
        raise InputError(f"there are responses of {len(nuisances)} events for {len(events)} events")
    w = np.abs(np.asarray(events.weights))
    squares = nuisances.linear**2 + nuisances.quadratic**2
    return pd.Series(np.sqrt(w @ squares / w.sum()), index=list(nuisances.names))


def largest(events: Events, nuisances: Nuisances, count: int) -> Nuisances:
    """Return the responses to the `count` nuisances of largest effect, see `effects`, in their order.

    Raises InputError for more than there are, or less than one.
    """
    if not 1 <= count <= len(nuisances.names):
        raise InputError(
            f"the largest {count} nuisances are asked for, but there are {len(nuisances.names)}: "
            f"{', '.join(nuisances.names)}"
        )
    order = np.argsort(-effects(events, nuisances).to_numpy(), kind="stable")
    kept = np.sort(order[:count])
    names = tuple(nuisances.names[k] for k in kept)
    return Nuisances(names, nuisances.linear[:, kept], nuisances.quadratic[:, kept])
