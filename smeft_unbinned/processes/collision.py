"""Options of proton-proton collisions, of cuts on them and of samples: one list for all processes.

Functions take them as keywords (`**options: Unpack[CollisionOptions]`) and turn them into a `Collision`,
`Selection` or `Setup`, which hold the defaults that all processes share. Those that differ are the `Standard`
of a process. An option that is None takes its default.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict, TypeVar

import numpy as np

from ..errors import InputError, nearest
from .densities import Density, LesHouches

C = TypeVar("C", bound="Collision")


class CollisionOptions(TypedDict, total=False):
    """Options of a differential rate in proton-proton collisions.

    operators: any of the OPERATORS of the process, c/Lambda^2 in TeV^-2; default its DEFAULT.
    energy: hadronic centre-of-mass energy in GeV; default 14 000 for VH and 13 000 for t tbar.
    density: parton densities; default the Les Houches set.
    scale: factorisation scale, which for t tbar is the renormalisation scale too: one of the SCALES of the
        process, or in GeV; default its DEFAULT_SCALE.
    """

    operators: Iterable[str] | None
    energy: float
    density: Density | None
    scale: str | float


class SelectionOptions(CollisionOptions, total=False):
    """`CollisionOptions`, and cuts.

    pt_min: lower cut on the transverse momentum of V, or of the top quark, in GeV; default 0.
    mass_range: limits on the mass of VH, or of t tbar, in GeV; default none.
    """

    pt_min: float
    mass_range: tuple[float, float]


class SampleOptions(SelectionOptions, total=False):
    """`SelectionOptions`, and how events are drawn.

    unweighted: equal weights by accept-reject, the default; otherwise importance-sampled weights.
    tail: weighted events oversample high masses by (m/threshold)^tail, default 1.5; unweighted ones cannot.
    progress: show a progress bar; default False.
    """

    unweighted: bool
    tail: float | None
    progress: bool


class Standard(NamedTuple):
    """What is particular to a process: its name in messages, its operators, and its own defaults."""

    name: str
    known: tuple[str, ...]
    options: CollisionOptions


@dataclass(frozen=True)
class Collision:
    """`CollisionOptions` with a value for each; the operators are those of the process, each once."""

    operators: tuple[str, ...]
    energy: float
    scale: str | float
    density: Density = field(default_factory=LesHouches)

    @classmethod
    def of(cls: type[C], options: CollisionOptions, standard: Standard) -> C:
        """Return what the options of a process describe.

        Raises TypeError for an option that is not known, InputError for an operator that is not.
        """
        given: dict[str, Any] = {**standard.options, **{k: v for k, v in options.items() if v is not None}}
        given["operators"] = check_operators(given["operators"], standard.known, standard.name)
        return cls(**given)


@dataclass(frozen=True)
class Selection(Collision):
    """`SelectionOptions` with a value for each."""

    pt_min: float = 0.0
    mass_range: tuple[float, float] = (0.0, np.inf)


@dataclass(frozen=True)
class Setup(Selection):
    """`SampleOptions` with a value for each: what fixes a sample, besides its size and seed."""

    unweighted: bool = True
    tail: float | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        if self.unweighted and self.tail:
            raise InputError(f"tail={self.tail} needs unweighted=False: unweighted events follow the SM rate")

    @property
    def power(self) -> float:
        """The power of the mass by which high masses are oversampled."""
        return 0.0 if self.unweighted else 1.5 if self.tail is None else float(self.tail)


def check_operators(operators: Iterable[str], known: tuple[str, ...], process: str) -> tuple[str, ...]:
    """The names as a tuple; raises InputError for one that is not known and for repetitions."""
    names = (operators,) if isinstance(operators, str) else tuple(operators)
    for name in names:
        if name not in known:
            raise InputError(
                f"unknown operator {name!r} for {process}; known are {', '.join(known)}."
                f"{nearest(name, known)}"
            )
    if len(set(names)) != len(names):
        raise InputError(f"operators are repeated in {names}; name each once")
    return names
