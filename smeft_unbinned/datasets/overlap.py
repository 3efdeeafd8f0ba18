"""Which events datasets were made of, so that no fit counts the same ones twice without being told to.

`metadata["sources"]` of an exported dataset lists checksums of the files or of the sample that its events
come from (`Events.sources`). Selections, compressions, other precisions and other forms keep them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, TypeAlias

from ..errors import InputError, brief, nearest

Overlaps: TypeAlias = "Sequence[Sequence[str]]"
"""Groups of names of datasets that may have events in common."""

_ARRAYS = ("ratios", "factors", "yields")
"""Arrays of a file that no two measurements share by chance."""


def sources_of(dataset: Any) -> frozenset[object]:
    """Return what identifies the events of a dataset; nothing where it is not known.

    Besides what the metadata record, these are the checksums of the ratios or yields in its own file and in
    the one that it is a compression of, and the ratios themselves, which copies in memory share.
    """
    metadata = getattr(dataset, "metadata", {})
    files = metadata.get("checksums", {}), metadata.get("compression", {}).get("original_checksums", {})
    ratios = getattr(dataset, "ratios", None)
    return frozenset(
        [
            *metadata.get("sources", ()),
            *(sums[name] for sums in files for name in _ARRAYS if name in sums),
            *([] if ratios is None else [id(ratios)]),
        ]
    )


def check_overlap(datasets: Iterable[Any], allowed: Overlaps = ()) -> None:
    """Raise InputError, naming both, for two datasets with a source in common that no group of names allows.

    datasets: anything with a name and metadata. allowed: see `check_allowed`.
    """
    known = [(str(d.name), sources_of(d)) for d in datasets]
    groups = check_allowed(allowed, [name for name, _ in known])
    for (a, one), (b, other) in combinations(known, 2):
        if one & other and not any({a, b} <= group for group in groups):
            raise InputError(
                f"datasets {a!r} and {b!r} are made of the same events, which would count twice; keep one of "
                f"them, or, where their events are different parts of one sample, allow_overlap: [[{a}, {b}]]"
            )


def check_allowed(allowed: Any, names: Sequence[str]) -> list[set[str]]:
    """Return the groups; raise InputError for what is no list of lists of two or more known names."""
    if not isinstance(allowed, list | tuple) or not all(
        isinstance(group, list | tuple) and len(group) > 1 and all(isinstance(n, str) for n in group)
        for group in allowed
    ):
        raise InputError(
            "allow_overlap is a list of groups of names of datasets, such as [[a, b]], got " + brief(allowed)
        )
    for name in (n for group in allowed for n in group):
        if name not in names:
            raise InputError(
                f"allow_overlap: no dataset is called {name!r}; there are {', '.join(names)}."
                + nearest(name, names)
            )
    return [set(group) for group in allowed]
