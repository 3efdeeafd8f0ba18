"""Matrices of the running computed by SMEFiT's own code, on top of the package wilson (arXiv:1804.05033)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import InputError, require
from .operators_table import DEFINITIONS
from .rg_matrix import Matrix, Setting


def known(name: str) -> bool:
    """Return whether the running knows a coefficient by its SMEFiT name.

    SMEFiT takes any other one as a coupling of a model, which is no coefficient itself: it has no effect on
    data that run.
    """
    return name in DEFINITIONS["smefit"]


def compute(
    settings: Mapping[str, Setting],
    names: Sequence[str],
    scale: float,
    done: Callable[[], None] = lambda: None,
) -> Matrix:
    """Return the coefficients at a scale (GeV) that the given ones at the initial scale generate.

    settings: init_scale (GeV), smeft_accuracy, adm_QCD and yukawa, as SMEFiT takes them. done: called after
    each coefficient. Rows that are zero are left out. Every coefficient is run by itself, so that the result
    for one does not depend on which others are asked for, nor on what the process ran before.
    Raises InputError without SMEFiT, and where the running fails.
    """
    rge = require("smefit.rge.rge", "smefit")
    columns = {}
    with _as_if_fresh(rge):
        for name in names:
            try:
                runner = rge.RGE(
                    [name],
                    settings["init_scale"],
                    settings["smeft_accuracy"],
                    settings["adm_QCD"],
                    settings["yukawa"],
                )
                columns[name] = runner.RGEmatrix_dict(scale)[name]
            except (ValueError, ArithmeticError) as error:
                raise InputError(
                    f"SMEFiT cannot run {name} from {settings['init_scale']} GeV to {scale:g} GeV: {error}; "
                    "check the block rge"
                ) from error
            done()
    rows = sorted({row for column in columns.values() for row, x in column.items() if x != 0})
    values = np.array([[columns[n].get(r, 0.0) for n in names] for r in rows], dtype=float)
    return Matrix(tuple(rows), tuple(names), values.reshape(len(rows), len(names)))


@contextmanager
def _as_if_fresh(rge: Any) -> Iterator[None]:
    """Give the parameters of the standard model the values that they have in a new process, and back.

    They are global to wilson, and SMEFiT only ever overwrites some of them: a run with QCD alone would leave
    the electroweak couplings at zero for the next one. Its log of every coefficient is held back.
    """
    parameters, logger = rge.wilson.run.smeft.smpar.p, logging.getLogger(rge.__name__)
    before, level = dict(parameters), logger.level
    parameters.clear()
    parameters.update(rge.default_params)
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        parameters.clear()
        parameters.update(before)
        logger.setLevel(level)
