"""Situations in which SMEFiT would hand over other numbers than the coefficients of the fit: refused.

Found with SMEFiT 4.0: nested sampling evaluates at zero for coefficients that are fixed to a value, and
for a coefficient that is constrained by another constrained one; fits in rotated coordinates do not tell an
external chi2 the rotation; jax computes in single precision unless told otherwise.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smeft_unbinned import yamlfile
from smeft_unbinned.datasets import load_dataset
from smeft_unbinned.datasets.overlap import check_overlap
from smeft_unbinned.errors import InputError
from smeft_unbinned.polynomial import Array

_DOUBLE = (
    "-2 log L of an unbinned dataset needs double precision: run `smefit NS` without --float32, or in Python "
    "call jax.config.update('jax_enable_x64', True) before SMEFiT loads anything"
)


def refuse_single_precision() -> None:
    """Raise InputError when jax is in use and set to single precision."""
    jax = sys.modules.get("jax")
    if jax is not None and not jax.config.jax_enable_x64:
        raise InputError(_DOUBLE)


def refuse_values(values: Array, names: Sequence[str]) -> None:
    """Raise InputError for values that are not (..., n) float64 in n names."""
    if values.dtype != np.float64:
        raise InputError(f"{_DOUBLE} (got {values.dtype})")
    if values.ndim == 0 or values.shape[-1] != len(names):
        raise InputError(
            f"got {tuple(values.shape)} values for {len(names)} coefficients: {', '.join(names)}"
        )


def refuse_rotated(names: Sequence[str], argv: Sequence[str]) -> None:
    """Raise InputError when the fit is in rotated coordinates, as far as names and command line show it."""
    cards = [path for path in argv[1:] if _rotates(Path(path))]
    if "--rotate_to_pca" in argv or cards or any(re.fullmatch(r"PC\d+", name) for name in names):
        where = f" ({', '.join(cards)})" if cards else ""
        raise InputError(
            "an unbinned dataset needs the coefficients themselves, but SMEFiT does not hand over the "
            f"rotation of rot_to_fit_basis or --rotate_to_pca{where}; fit without it"
        )


def _rotates(path: Path) -> bool:
    return bool(_card(path).get("rot_to_fit_basis"))


def _card(path: Path) -> dict[str, Any]:
    """Return the content of a card, nothing for any other file."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return {}
    try:
        card = yamlfile.read(path, "card")
    except InputError:
        return {}
    return card if isinstance(card, dict) else {}


def refuse_overlap(argv: Sequence[str]) -> None:
    """Raise InputError where the external chi2 of a card on the command line count the same events twice."""
    for path in argv[1:]:
        check_card(_card(Path(path)))


def check_card(card: Mapping[str, Any]) -> None:
    """Raise InputError where the external chi2 of a card count the same events twice.

    `allow_overlap`, a key of ours that SMEFiT does not look at, lists groups of names that may. Files that
    are not there are left to whoever reads them.
    """
    entries = card.get("external_chi2") or {}
    files = {
        str(name): Path(entry["file"])
        for name, entry in entries.items()
        if isinstance(entry, Mapping) and "plugins.smefit" in str(entry.get("path")) and entry.get("file")
    }
    datasets = {name: load_dataset(file) for name, file in files.items() if file.is_file()}
    for name, dataset in datasets.items():
        dataset.name = name
    check_overlap(datasets.values(), card.get("allow_overlap") or ())


def refuse_unresolved(coefficients: Any) -> None:
    """Raise InputError for coefficients that nested sampling evaluates at zero instead of their value."""
    fixed, nested = [], []
    entries = list(_bound(coefficients))
    bound = {str(entry.name) for entry in entries}
    for entry in entries:
        if entry.constrain is None:
            fixed += [str(entry.name)] if entry.value else []
        elif any(str(name) in bound for term in entry.constrain for name in term):
            nested.append(str(entry.name))
    if fixed:
        raise InputError(
            "SMEFiT treats coefficients that are fixed to a value as zero in nested sampling: "
            f"{', '.join(fixed)}. Remove them from the card, fix them to 0, or free them in a narrow range"
        )
    if nested:
        raise InputError(
            "SMEFiT evaluates a coefficient that is constrained by another constrained one at zero: "
            f"{', '.join(nested)}. Write its constraint in free coefficients only"
        )


def _bound(coefficients: Any) -> Iterator[Any]:
    """Yield the coefficients of the card that are not free; SMEFiT has no public list of them."""
    entries = getattr(coefficients, "_objlist", ())
    return (entry for entry in entries if not getattr(entry, "is_free", True))
