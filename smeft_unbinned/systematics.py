"""Nuisance parameters put into an exported dataset: responses of its events, and of its expected yield.

The yield nu(c, theta) is a sum over groups of simulated events (`yields`). What the dataset says of the yield
at theta = 0, an integral of higher precision perhaps, stays as it is: the difference to the sum over the
simulated events becomes one more group, which responds like all of them together.
"""

from __future__ import annotations

import numpy as np

from .datasets import UnbinnedDataset
from .errors import InputError
from .events import Events, Nuisances
from .polynomial import Polynomial
from .yields import yields

GROUPS = 200
"""Groups of simulated events that stand for the yield."""


def with_responses(
    dataset: UnbinnedDataset,
    response: Nuisances,
    simulated: Events,
    simulated_response: Nuisances,
    *,
    groups: int = GROUPS,
) -> UnbinnedDataset:
    """Return the dataset with nuisance parameters.

    response: D_k(x) of the N events of the dataset. simulated: events with truth that represent the same
    selection, of any luminosity. simulated_response: of these, by the same model as `response`.
    groups: of simulated events, see `yields`.
    Raises InputError for other numbers of events or names, and for simulated events whose rate at the SM is
    not positive.
    """
    if response.names != simulated_response.names:
        raise InputError(
            f"dataset {dataset.name!r}: the events respond to {', '.join(response.names)}, the simulated "
            f"ones to {', '.join(simulated_response.names)}; both need the same nuisances in the same order"
        )
    if simulated.truth is None:
        raise InputError("the yield with nuisances needs simulated events with truth polynomials")
    missing = [name for name in dataset.operators if name not in simulated.truth.operators]
    if missing:
        raise InputError(
            f"dataset {dataset.name!r}: the simulated events do not know {', '.join(missing)}; "
            "restrict() the dataset or simulate them"
        )
    total = float(np.sum(np.asarray(simulated.weights) * np.asarray(simulated.truth.constant)))
    nominal = dataset.expected if not dataset.expected.batch_shape else dataset.expected.sum()
    if not total > 0:
        raise InputError(
            f"the simulated events have a total rate of {total:g} at the SM; check their weights"
        )
    scale = float(nominal.constant) / total
    form, own = yields(simulated, simulated_response, scale, groups=groups)
    form = form.restrict(dataset.operators).dense()
    rest = (nominal - form.sum()).align(dataset.operators).dense()
    share = np.asarray(simulated.weights) * np.asarray(simulated.truth.constant) / total
    mean = share @ simulated_response.linear
    spread = share @ (simulated_response.linear - mean) ** 2
    average = share @ simulated_response.quadratic + 0.5 * spread
    return dataset.replace(
        expected=Polynomial(dataset.operators, np.concatenate([form.coefficients, rest.coefficients[None]])),
        expected_response=Nuisances(
            own.names,
            np.concatenate([own.linear, mean[None]]),
            np.concatenate([own.quadratic, average[None]]),
        ),
        response=response,
    )
