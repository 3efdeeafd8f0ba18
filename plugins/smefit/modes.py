"""Modes of the command `smefit` in which an external chi2 counts, and those that leave it out without a word.

Found with SMEFiT 4.0.0: NS and SCAN call it. All others know binned data alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smeft_unbinned import yamlfile
from smeft_unbinned.errors import InputError, nearest

from . import checks

COUNTED = ("NS", "SCAN")
"""Modes that evaluate an external chi2."""
IGNORED = {
    "A": "its solution is that of the binned data alone; take NS, or `smeft-unbinned fit` without SMEFiT",
    "MC": "it fails in SMEFiT 4.0, also without them; take NS, or `smeft-unbinned fit` without SMEFiT",
    "PREFIT": "its chi2 is that of the binned data alone; `smeft-unbinned chi2` has all of them",
    "PCA": "principal components are those of the binned data alone; `smeft-unbinned fisher` has all of them",
    "R": "its card names results and no datasets; run NS first",
}
"""Modes that leave it out, with what to do."""
PARTS = ("chi2_plots", "PCA", "fisher")
"""Keys of a card of reports that ask for what is computed from data."""


def refuse(mode: str, card: Mapping[str, Any], options: Sequence[str] = ()) -> None:
    """Raise InputError for a mode or an option of smefit that does not go with the external chi2 of a card.

    card: for SMEFiT, with `external_chi2`. Raises for an unknown mode, too.
    """
    known = (*COUNTED, *IGNORED)
    if mode not in known:
        raise InputError(
            f"unknown mode {mode!r} of smefit; known are {', '.join(known)}.{nearest(mode, known)}"
        )
    terms = ", ".join(card.get("external_chi2") or ())
    if not terms:
        return
    if mode in IGNORED:
        raise InputError(f"smefit {mode} leaves out {terms}: {IGNORED[mode]}")
    if mode == "SCAN" and not card.get("datasets"):
        raise InputError(
            f"smefit SCAN needs a binned dataset beside {terms}; add one, or take `smeft-unbinned scan`"
        )
    if "--float32" in options:
        raise InputError(f"--float32 is not enough for -2 log L of {terms}; leave it off")
    checks.refuse_rotated((), ("smefit", *options))


def refuse_report(card: Path) -> None:
    """Raise InputError where a card of reports asks for numbers that lack the external chi2 of its fits."""
    content = _read(card)
    asked = [part for part in PARTS if part in content]
    results = Path(str(content.get("result_path", ".")))
    fits = [str(fit) for fit in content.get("result_IDs") or ()]
    kept = {fit: results / fit / f"{fit}.yaml" for fit in fits}
    lost = [fit for fit, path in kept.items() if path.is_file() and _read(path).get("external_chi2")]
    if asked and lost:
        raise InputError(
            f"smefit R computes {', '.join(asked)} from binned data alone, but there are external chi2 in "
            f"{', '.join(lost)}; remove these keys from its card, what it makes from samples is right"
        )


def _read(card: Path) -> Mapping[str, Any]:
    content = yamlfile.read(card, "runcard")
    return content if isinstance(content, Mapping) else {}
