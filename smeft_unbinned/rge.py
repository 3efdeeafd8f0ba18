"""Running of the coefficients from the scale where they are defined to those of the data: SMEFiT's `rge`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from . import storage
from .errors import InputError, nearest
from .operators_table import DEFINITIONS
from .progress import progress_bar
from .rg_matrix import Matrix, Setting, read_rg_matrix
from .rge_compute import compute, known
from .rge_file import KIND, read_matrices, write_matrices
from .rge_parse import DYNAMIC, RunningBlock, positive

SAVE_EVERY = 300.0
"""Seconds between two writes of a long computation."""


@dataclass(frozen=True, eq=False)
class Running:
    """Linear maps from the coefficients of a card to those at the scale of a point of the data.

    Matrices come from a file, and what it lacks is computed by SMEFiT if that is installed.
    """

    operators: tuple[str, ...]
    """Coefficients of the card (n), defined at the initial scale; TeV^-2."""
    block: RunningBlock
    """What the block `rge` of the card says."""
    matrices: Mapping[float, Matrix] = field(default_factory=dict, repr=False)
    """By scale in GeV, from a file; with any coefficients in any order."""
    source: str = ""
    """That file."""
    without_effect: frozenset[str] = frozenset()
    """Those of the coefficients that move no data by themselves, so that it is no news if they do not run."""
    _whole: dict[float, Matrix] = field(default_factory=dict, repr=False)
    _cache: dict[float, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(
        cls,
        block: Mapping[str, Any],
        names: Sequence[str],
        folder: str | os.PathLike[str] = ".",
        without_effect: Collection[str] = (),
    ) -> Running:
        """Read the block `rge` of a card with coefficients of these names, and its `rg_matrix`, if any.

        folder: where a relative path of that file starts; it is one of SMEFiT or of `save`.
        without_effect: those of the names about which no note is due.
        Raises InputError for an unknown key, a value that SMEFiT could not use, a file that cannot be read,
        and one that was made with other settings.
        """
        parsed, silent = RunningBlock.parse(block), frozenset(without_effect)
        if parsed.rg_matrix is None:
            return cls(tuple(names), parsed, without_effect=silent)
        path = Path(folder) / parsed.rg_matrix
        settings: Mapping[str, Setting]
        if storage.kind(path) == KIND:
            loaded = cls.load(path)
            settings, matrices = loaded.block.settings, loaded.matrices
        else:
            settings, matrices = read_rg_matrix(path)
        if wrong := parsed.conflicts(settings):
            raise InputError(
                f"rge: {path} was made with other settings than those of the card: {'; '.join(wrong)}. "
                "Change the card, or make the file anew"
            )
        return cls(tuple(names), parsed, matrices, str(path), silent)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user might not expect, in sentences."""
        result = list(self.block.notes)
        unknown = [n for n in self.operators if not known(n) and n not in self.without_effect]
        if unknown:
            result.append(
                f"rge: {', '.join(unknown)} run into nothing, because SMEFiT's running knows no such "
                "coefficients and takes them as couplings of a model."
                + "".join(nearest(name, DEFINITIONS["smefit"]) for name in unknown)
            )
        return tuple(result)

    def point_scales(self, scales: np.ndarray | Sequence[float]) -> np.ndarray:
        """Return the scales (n,) in GeV at which the coefficients of data points are needed.

        scales: (n,) as the tables of predictions give them, NaN where they give none. With obs_scale dynamic
        these times scale_variation, and in place of NaN the initial scale times it; else obs_scale for all.
        Raises InputError for a scale that is not positive and finite.
        """
        given = np.asarray(scales, dtype=float)
        if self.block.obs_scale != DYNAMIC:
            return np.full(given.shape, float(self.block.obs_scale))
        result = np.where(np.isnan(given), self.block.init_scale, given) * self.block.scale_variation
        bad = given[~((result > 0) & (result < np.inf))]
        if bad.size:
            raise InputError(f"a scale must be a positive number in GeV, got {bad[0]}; check the tables")
        return result

    def dataset_scale(
        self, scale: object, name: str, remedy: str = "export it with metadata['scale']"
    ) -> float:
        """Return the scale in GeV at which the coefficients of an unbinned or Poisson dataset are needed.

        scale: its own, in GeV. It is used whatever a fixed obs_scale says, which holds for the points of
        binned data; with obs_scale dynamic scale_variation multiplies it. remedy: what to do about None.
        Raises InputError for one that is missing or no positive number.
        """
        if scale is None:
            raise InputError(
                f"the card asks for running coefficients, but dataset {name} has no scale; {remedy}"
            )
        dynamic = self.block.obs_scale == DYNAMIC
        return positive(scale, f"dataset {name}: scale") * (self.block.scale_variation if dynamic else 1.0)

    def matrix(self, scale: float | None) -> tuple[tuple[str, ...], np.ndarray]:
        """Return coefficients at a scale in GeV (m) and the matrix (m, n) that gives them from the card's.

        scale: as `point_scales` or `dataset_scale` return it; None stands for a point without a scale. Only
        coefficients that the card's generate are listed, sorted by name. The array is read-only.
        Raises InputError where the file lacks the matrix and SMEFiT is not installed.
        """
        at = float(self.point_scales([np.nan])[0]) if scale is None else positive(scale, "a scale")
        if at not in self._cache:
            self._fill(at)
        return self._cache[at]

    def missing(self, scale: float) -> list[str]:
        """Return the coefficients of the card whose running to a scale has to be computed."""
        if scale in self._cache:
            return []
        there = self.matrices[scale].names if scale in self.matrices else ()
        return [name for name in self.operators if name not in there and known(name)]

    def prepare(
        self,
        scales: Iterable[float],
        *,
        file: str | os.PathLike[str] | None = None,
        progress: bool = False,
    ) -> None:
        """Compute what is missing for these scales in GeV now, and keep it.

        file: where to save everything, every few minutes and at the end, also when interrupted; as the
        rg_matrix of a card it spares the scales that were done. progress: show a bar.
        """
        todo = [scale for scale in dict.fromkeys(map(float, scales)) if scale not in self._cache]
        total = sum(len(self.missing(scale)) for scale in todo)
        if file is not None:
            storage.check_target(file)
        with progress_bar(progress) as bar:
            task = bar.add_task("running", total=total or None, note="")
            saved = monotonic()
            try:
                for scale in todo:
                    bar.update(task, note=f"to {scale:g} GeV")
                    self._fill(scale, lambda: bar.advance(task))
                    if file is not None and monotonic() - saved > SAVE_EVERY:
                        self.save(file)
                        saved = monotonic()
            finally:
                if file is not None:
                    self.save(file)

    def _fill(self, scale: float, done: Callable[[], None] = lambda: None) -> None:
        """Put the matrix of a scale together, of what the file has and what is computed."""
        whole = self.matrices.get(scale, Matrix((), (), np.empty((0, 0))))
        if missing := self.missing(scale):
            try:
                whole = whole.joined(compute(self.block.settings, missing, scale, done))
            except InputError as error:
                place = f"{self.source} has no matrix of" if self.source else "no file gives the running of"
                raise InputError(
                    f"rge: {place} {', '.join(missing)} to {scale:.10g} GeV, and it cannot be computed: "
                    f"{error}. Or name a file that has it as rg_matrix"
                ) from error
        self._whole[scale] = whole
        selected = whole.select(self.operators)
        selected.values.setflags(write=False)
        self._cache[scale] = selected.generated, selected.values

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the matrices of the file and those that were computed, with their settings.

        The result is an rg_matrix for cards with the same settings, and holds nothing that can be executed.
        """
        manifest = {"operators": list(self.operators), "rge": {**asdict(self.block), "rg_matrix": None}}
        write_matrices(path, {**self.matrices, **self._whole}, manifest)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Running:
        """Read what `save` wrote; raise InputError for a file that is missing, damaged or something else."""
        matrices, manifest = read_matrices(path)
        block = RunningBlock.parse(manifest["rge"])
        return cls(tuple(map(str, manifest["operators"])), block, matrices, str(path))
