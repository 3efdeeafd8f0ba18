"""What every exactly known process offers: names, truth, samples and cross sections.

A process is a module with these functions, or an object with the same methods. A new one is one module and
one line in `catalogue.PROCESSES`, or an entry point of the group `smeft_unbinned.processes` in a package of
its own; tests/processes/test_process_contract.py checks it either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeGuard

import pandas as pd
from numpy.typing import ArrayLike

from ..events import Events
from ..polynomial import Polynomial
from .collision import CollisionOptions, SampleOptions, SelectionOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

METADATA = ("process", "energy", "seed", "operators", "basis", "input_scheme", "scale", "units")
"""Keys that the metadata of every generated sample holds.

basis: name of the operator basis. scale: typical hard scale of the events in GeV (the median mass of the
final state), at which coefficients may be taken to be defined. energy and scale are None where they have no
meaning.
"""


class Process(Protocol):
    """A process whose dependence on the coefficients is known event by event."""

    @property
    def OPERATORS(self) -> tuple[str, ...]:
        """Every coefficient, c/Lambda^2 in TeV^-2."""

    @property
    def DEFAULT(self) -> tuple[str, ...]:
        """The coefficients of a sample unless others are asked for."""

    def columns(self) -> tuple[str, ...]:
        """Names of the features, in order."""

    def truth(
        self, points: pd.DataFrame | Mapping[str, ArrayLike], *, operators: Iterable[str] = ...
    ) -> Polynomial:
        """Ratio of the differential rate to the SM one at N points, batch (N,), constant 1."""

    def generate(self, n: int, *, seed: int, operators: Iterable[str] = ..., progress: bool = ...) -> Events:
        """Draw n SM events; their weights sum to the SM value of `cross_section`, in pb."""

    def cross_section(self, *, operators: Iterable[str] = ...) -> Polynomial:
        """Total cross section in pb, no batch."""


class HadronProcess(Process, Protocol):
    """A process in proton-proton collisions, with the options that all of them share."""

    @property
    def HADRONIC(self) -> bool:
        """True, by which `hadronic` knows it."""

    def truth(
        self, points: pd.DataFrame | Mapping[str, ArrayLike], **options: Unpack[CollisionOptions]
    ) -> Polynomial:
        """As for `Process`; see `CollisionOptions`."""

    def generate(self, n: int, *, seed: int, **options: Unpack[SampleOptions]) -> Events:
        """As for `Process`, weighted or unweighted, after cuts; see `SampleOptions`."""

    def cross_section(self, *, order: int = ..., **options: Unpack[SelectionOptions]) -> Polynomial:
        """As for `Process`, after cuts; see `SelectionOptions`. order: quadrature nodes per panel."""


def hadronic(process: Process) -> TypeGuard[HadronProcess]:
    """Whether a process takes the options of proton-proton collisions: energy, densities, scale and cuts."""
    return bool(getattr(process, "HADRONIC", False))
