"""Files in the format of SMEFiT, read to what a GaussianDataset is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from scipy.linalg import block_diag

from ..errors import InputError, brief, nearest
from ..polynomial import Polynomial, check_operators, pack, unpack
from .commondata import CommonData, experimental_covariance, read_commondata, shared_sources
from .entries import Dataset, Entry, Folders, find_files, parse_entries
from .rotation import Maps, Running, read_rotation, substituted
from .theory import TheoryTable, read_theory

__all__ = ["Dataset", "Folders", "Rules", "Running", "TableOptions", "read", "theory_of"]


class TableOptions(TypedDict, total=False):
    """How tables in the format of SMEFiT are read; all mean what they mean in a SMEFiT runcard.

    use_quad: keep the quadratic corrections; default True.
    use_t0: MULT uncertainties scale with the SM prediction; default False.
    use_theory_covmat: add the covariance of the SM prediction ("current" unless an entry says otherwise);
        default True.
    use_multiplicative_prescription: best SM times (1 + correction / SM at the order of the correction);
        default False.
    default_order: of the corrections of datasets that name none; default "LO".
    cutoff_scale: GeV; points whose scale is not below it are left out, and measurements without any other;
        metadata["points_above_cutoff"] counts them, ["datasets_above_cutoff"] names the latter. Default none.
    rot_to_fit_basis: JSON file {matrix, xpars, ypars} of the coefficients of the tables, xpars, in terms of
        those of the fit, ypars: c_x = sum_y matrix[y][x] c_y. Operators not in xpars are zero. Default none.
    """

    use_quad: bool
    use_t0: bool
    use_theory_covmat: bool
    use_multiplicative_prescription: bool
    default_order: str
    cutoff_scale: float | None
    rot_to_fit_basis: str | Path | None


@dataclass(frozen=True)
class Rules:
    """`TableOptions` with a value for each."""

    use_quad: bool = True
    use_t0: bool = False
    use_theory_covmat: bool = True
    use_multiplicative_prescription: bool = False
    default_order: str = "LO"
    cutoff_scale: float | None = None
    rot_to_fit_basis: str | Path | None = None


def read(
    datasets: Dataset | Sequence[Dataset],
    data_path: Folders,
    theory_path: Folders,
    rules: Rules,
    operators: Sequence[str] | None,
    nuisances: Sequence[str],
    running: Running | None = None,
) -> dict[str, Any]:
    """Return the arguments of a GaussianDataset but for its name; arguments as for `GaussianDataset.load`."""
    rotation = None if rules.rot_to_fit_basis is None else read_rotation(rules.rot_to_fit_basis)
    entries = parse_entries(datasets, rules.default_order)
    sets, tables = _read(entries, data_path, theory_path, rules)
    every = [(t.name, t.sm.size) for t in tables]
    if rules.cutoff_scale is not None:
        sets, tables = _below(sets, tables, rules.cutoff_scale)
    theory, effects = theory_of(tables, rules, operators, Maps(rotation, running))
    t0 = [t.sm for t in tables] if rules.use_t0 else None
    shared = shared_sources(sets, t0)
    explicit = {k: shared[k] for k in _known(nuisances, list(shared))}
    of_theory = block_diag(*(t.covariance for t in tables))
    plain = experimental_covariance(sets, None, leave_out=tuple(explicit)) + of_theory
    ends = np.cumsum([t.sm.size for t in tables]).tolist()
    metadata = {
        "datasets": [_about(t) for t in tables],
        **{k: v for k, v in asdict(rules).items() if k not in ("default_order", "rot_to_fit_basis")},
        "rot_to_fit_basis": None if rotation is None else str(rules.rot_to_fit_basis),
        "points_above_cutoff": _cut(every, tables),
        "datasets_above_cutoff": [n for n, _ in every if n not in [t.name for t in tables]],
        "running": running is not None,
        **effects,
        "correlated_systematics": list(shared),
    }
    return {
        "data": np.concatenate([d.data for d in sets]),
        "theory": theory,
        "covariance": plain
        if t0 is None
        else experimental_covariance(sets, t0, leave_out=tuple(explicit)) + of_theory,
        "sampling_covariance": None if t0 is None else plain,
        "basis": "smefit",
        "metadata": metadata,
        "nuisances": explicit,
        "groups": [(t.name, slice(end - t.sm.size, end)) for t, end in zip(tables, ends, strict=True)],
    }


def _about(table: TheoryTable) -> dict[str, Any]:
    lacking = np.isnan(table.scales)
    scales = [None if none else float(s) for s, none in zip(table.scales, lacking, strict=True)]
    return {
        "name": table.name,
        "order": table.order,
        "points": table.sm.size,
        "scales": None if lacking.all() else scales,  # GeV
    }


def _cut(every: Sequence[tuple[str, int]], left: Sequence[TheoryTable]) -> dict[str, int]:
    """Return how many points each dataset lost, for those that lost any."""
    now = {t.name: t.sm.size for t in left}
    lost = {name: points - now.get(name, 0) for name, points in every}
    return {name: points for name, points in lost.items() if points}


def _below(
    sets: Sequence[CommonData], tables: Sequence[TheoryTable], cutoff: float
) -> tuple[list[CommonData], list[TheoryTable]]:
    """Return the points with scales below a cutoff in GeV, and the datasets that have any."""
    if isinstance(cutoff, bool) or not isinstance(cutoff, int | float) or not 0 < cutoff < math.inf:
        raise InputError(f"cutoff_scale must be a positive number, a scale in GeV, got {brief(cutoff)}")
    unknown = [t.name for t in tables if np.any(np.isnan(t.scales))]
    if unknown:
        raise InputError(
            f"cutoff_scale needs the scale of every point, but the theory of {', '.join(unknown)} has none "
            "in its field 'scales'; add them there, leave these datasets out, or leave cutoff_scale out"
        )
    masks = [t.scales < cutoff for t in tables]
    kept = [i for i, mask in enumerate(masks) if mask.any()]
    if not kept:
        lowest = min(float(t.scales.min()) for t in tables)
        raise InputError(
            f"no point lies below cutoff_scale {cutoff:g} GeV, the lowest scale is {lowest:g} GeV; raise it"
        )
    return [sets[i].select(masks[i]) for i in kept], [tables[i].select(masks[i]) for i in kept]


def theory_of(
    tables: Sequence[TheoryTable], rules: Rules, operators: Sequence[str] | None, maps: Maps
) -> tuple[Polynomial, dict[str, list[str]]]:
    """Return the prediction for all points, and which operators are left out and which have no effect.

    rules: use_quad and use_multiplicative_prescription matter. operators: those to keep, None for all.
    """
    tables = tables if rules.use_quad else [t.linear() for t in tables]
    found = sorted({o for t in tables for o in t.operators})
    multiplicative = rules.use_multiplicative_prescription
    wanted = None if operators is None else check_operators(operators)
    if maps == Maps():
        kept = tuple(found if wanted is None else (o for o in wanted if o in found))
        parts = [t.packed(kept, multiplicative) for t in tables]
        coefficients = np.concatenate(parts)
    else:
        every = [maps.of(t) for t in tables]
        parts = [
            substituted(t.packed(t.operators, multiplicative), m) for t, m in zip(tables, every, strict=True)
        ]
        reached = {o for t, m in zip(tables, every, strict=True) for o in _reached(t.operators, m)}
        forms = unpack(np.concatenate(parts))
        effect = dict(zip(maps.operators, np.any(forms[:, 1:] != 0, axis=(0, 2)), strict=True))
        lost = [o for o in found if o not in reached]
        wanted = maps.operators if wanted is None else wanted
        kept = tuple(o for o in wanted if effect.get(o))
        where = [0, *(maps.operators.index(o) + 1 for o in kept)]
        coefficients = pack(forms[:, where][:, :, where])
        found = [*(o for o, x in effect.items() if x), *lost]
    return Polynomial(kept, coefficients), {
        "operators_set_to_zero": [o for o in found if o not in kept],
        "operators_without_effect": [o for o in wanted or () if o not in kept],
    }


def _reached(operators: Sequence[str], matrix: np.ndarray) -> list[str]:
    """Return the operators of a table that depend on any coefficient of the fit, matrix (..., k, n)."""
    some = np.any(matrix != 0, axis=-1).reshape(-1, len(operators)).any(axis=0)
    return [o for o, x in zip(operators, some, strict=True) if x]


def _known(nuisances: Sequence[str], systematics: Sequence[str]) -> tuple[str, ...]:
    """Return the names; raise InputError for one that is no systematic correlated across datasets."""
    names = check_operators(nuisances)
    for name in names:
        if name not in systematics:
            raise InputError(
                f"{name!r} is no systematic of these datasets that is correlated by name; they have "
                f"{', '.join(systematics) or 'none'}.{nearest(name, systematics)}"
            )
    return names


def _read(
    entries: Sequence[Entry], data_path: Folders, theory_path: Folders, rules: Rules
) -> tuple[list[CommonData], list[TheoryTable]]:
    files = find_files(entries, data_path, theory_path)
    sets = [read_commondata(f.data, e.name) for e, f in zip(entries, files, strict=True)]
    tables = [
        read_theory(f.theory, e.name, d.data.size, e.order, e.theory_cov if rules.use_theory_covmat else None)
        for e, f, d in zip(entries, files, sets, strict=True)
    ]
    return sets, tables
