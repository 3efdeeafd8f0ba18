"""A likelihood with few of its events, in which to look for minima before all of them count.

Where minima lie is known from a few thousand events well enough to begin there; the descent to each of them
then takes a few steps with all events.
"""

from __future__ import annotations

import numpy as np

from ..datasets.unbinned import UnbinnedDataset
from ..likelihood import Likelihood

EVENTS = 4000
"""Of each unbinned dataset that are kept; one with at most twice as many is left as it is."""


def rough(likelihood: Likelihood) -> Likelihood:
    """Return the likelihood with EVENTS events of each large dataset, itself where there is none.

    Expected yields are those of all events.
    """
    datasets = [
        thinned(d, EVENTS) if isinstance(d, UnbinnedDataset) and len(d) > 2 * EVENTS else d
        for d in likelihood.datasets
    ]
    if all(a is b for a, b in zip(datasets, likelihood.datasets, strict=True)):
        return likelihood
    return likelihood.with_datasets(datasets)


def thinned(dataset: UnbinnedDataset, events: int) -> UnbinnedDataset:
    """Return the dataset with about `events` of its events, all of one weight, of the same sum.

    They are taken at equal steps of the running sum of weights, so that heavy ones are likelier to be there.
    """
    total = np.cumsum(dataset.weights)
    steps = (np.arange(events) + 0.5) / events * total[-1]
    index, copies = np.unique(np.searchsorted(total, steps), return_counts=True)
    few = dataset.take(index, copies * (total[-1] / events))
    assert isinstance(few, UnbinnedDataset)
    return few
