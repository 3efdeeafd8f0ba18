"""Files in the format of SMEFiT, read to what a GaussianDataset is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from ..errors import InputError, nearest
from ..polynomial import Polynomial, check_operators
from .commondata import (
    CommonData,
    TheoryTable,
    experimental_covariance,
    read_commondata,
    read_theory,
    shared_sources,
)

__all__ = ["Dataset", "Rules", "read"]

Dataset = str | Mapping[str, Any]
"""An entry of `datasets`: a name, or a mapping {name, order, theory_cov}."""


@dataclass(frozen=True)
class Rules:
    """Options of a SMEFiT runcard; see `GaussianDataset.load`."""

    use_quad: bool = True
    use_t0: bool = False
    use_theory_covmat: bool = True
    use_multiplicative_prescription: bool = False
    default_order: str = "LO"


@dataclass(frozen=True)
class _Entry:
    name: str
    order: str
    theory_cov: str = "current"


def read(
    datasets: Dataset | Sequence[Dataset],
    data_path: str | Path | None,
    theory_path: str | Path | None,
    rules: Rules,
    operators: Sequence[str] | None,
    nuisances: Sequence[str],
) -> dict[str, Any]:
    """Return the arguments of a GaussianDataset but for its name; arguments as for `GaussianDataset.load`."""
    entries = _entries(datasets, rules.default_order)
    sets, tables = _read(entries, data_path, theory_path, rules.use_theory_covmat)
    found = sorted({o for t in tables for o in (t.operators if rules.use_quad else t.linear)})
    wanted = tuple(found) if operators is None else check_operators(operators)
    kept = tuple(o for o in wanted if o in found)
    t0 = [t.sm for t in tables] if rules.use_t0 else None
    shared = shared_sources(sets, t0)
    explicit = {k: shared[k] for k in _known(nuisances, list(shared))}
    covariance = experimental_covariance(sets, t0, leave_out=tuple(explicit))
    covariance += block_diag(*(t.covariance for t in tables))
    coefficients = [_packed(t, kept, rules.use_quad, rules.use_multiplicative_prescription) for t in tables]
    about = [
        {
            "name": t.name,
            "order": t.order,
            "points": t.sm.size,
            "scales": None if np.any(np.isnan(t.scales)) else t.scales.tolist(),  # GeV
        }
        for t in tables
    ]
    metadata = {
        "datasets": about,
        **{k: v for k, v in asdict(rules).items() if k != "default_order"},
        "operators_set_to_zero": [o for o in found if o not in kept],
        "operators_without_effect": [o for o in wanted if o not in found],
        "correlated_systematics": list(shared),
    }
    return {
        "data": np.concatenate([d.data for d in sets]),
        "theory": Polynomial(kept, np.concatenate(coefficients)),
        "covariance": covariance,
        "basis": "smefit",
        "metadata": metadata,
        "nuisances": explicit,
    }


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


def _entries(datasets: Dataset | Sequence[Dataset], default_order: str) -> list[_Entry]:
    listed = [datasets] if isinstance(datasets, str | Mapping) else list(datasets)
    known = ("name", "order", "theory_cov")
    entries = []
    for item in listed:
        fields = {"name": item} if isinstance(item, str) else item
        if not isinstance(fields, Mapping) or not isinstance(fields.get("name"), str):
            raise InputError(f"a dataset is a name or a mapping {{name, order, theory_cov}}, got {item!r}")
        for key, value in fields.items():
            if key not in known:
                raise InputError(f"dataset {fields['name']}: unknown key {key!r}.{nearest(str(key), known)}")
            if not isinstance(value, str):
                raise InputError(f"dataset {fields['name']}: {key} must be text, got {value!r}")
        entries.append(_Entry(**{"order": default_order, **fields}))
    names = [e.name for e in entries]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not names:
        raise InputError(
            f"datasets must be distinct and not none at all; given twice: {', '.join(twice) or '-'}"
        )
    return entries


def _folder(path: str | Path | None, default: str) -> dict[str, Path]:
    """Return the files of a folder by name without suffix."""
    folder = Path(path) if path is not None else Path(str(files("theory_tables"))) / default
    if not folder.is_dir():
        raise InputError(f"no such folder: {folder}; give data_path and theory_path")
    suffix = ".yaml" if default == "commondata" else ".json"
    return {p.stem: p for p in folder.iterdir() if p.suffix == suffix}


def _read(
    entries: Sequence[_Entry],
    data_path: str | Path | None,
    theory_path: str | Path | None,
    with_covariance: bool,
) -> tuple[list[CommonData], list[TheoryTable]]:
    data_files = _folder(data_path, "commondata")
    theory_files = _folder(data_path if theory_path is None else theory_path, "theory")
    known = [n for n in data_files if n in theory_files]
    missing = []
    for entry in entries:
        lacks = [w for w, have in (("data", data_files), ("theory", theory_files)) if entry.name not in have]
        if lacks:
            missing.append(f"{entry.name} (no {' and no '.join(lacks)}).{nearest(entry.name, known)}")
    if missing:
        raise InputError(
            f"datasets not found (data_path: {data_path or 'theory_tables'}, "
            f"theory_path: {theory_path or data_path or 'theory_tables'}):\n  " + "\n  ".join(missing)
        )
    sets = [read_commondata(data_files[e.name], e.name) for e in entries]
    tables = [
        read_theory(
            theory_files[e.name], e.name, d.data.size, e.order, e.theory_cov if with_covariance else None
        )
        for e, d in zip(entries, sets, strict=True)
    ]
    return sets, tables


def _packed(
    table: TheoryTable, operators: tuple[str, ...], use_quad: bool, multiplicative: bool
) -> np.ndarray:
    """Return the packed coefficients (n, P) of one table in the given operators."""
    m = len(operators)
    if multiplicative and np.any(table.normalisation == 0):
        raise InputError(f"{table.name}: SM of order {table.order} is zero in a bin, so that no ratio exists")
    factor = table.sm / table.normalisation if multiplicative else np.ones_like(table.sm)
    rows, columns = np.triu_indices(m + 1)
    out = np.zeros((table.sm.size, rows.size))
    out[:, 0] = table.sm
    position = {o: i + 1 for i, o in enumerate(operators)}
    place = {(int(i), int(j)): k for k, (i, j) in enumerate(zip(rows, columns, strict=True))}
    for o, values in table.linear.items():
        if o in position:
            out[:, position[o]] = values * factor
    for (a, b), values in table.quadratic.items() if use_quad else ():
        if a in position and b in position:
            i, j = sorted((position[a], position[b]))
            out[:, place[i, j]] = values * factor
    return out
