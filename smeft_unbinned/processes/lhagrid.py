"""Parton densities from a grid file in the LHAPDF format `lhagrid1` (arXiv:1412.7420, Section 4).

A member file holds a header and sub-grids separated by lines `---`. Each sub-grid, between two flavour
thresholds, lists its x knots, Q knots (GeV) and flavours, and then x f(x, Q) with one flavour per column, Q
running fastest.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline

from ..errors import InputError
from ..inputfile import read_text
from .densities import ALPHA_S_MZ, FLAVOURS, MZ2, one_loop

Real = NDArray[np.float64]

_HUGE = 1e30
_SEPARATOR = re.compile(r"^\s*---\s*$", re.MULTILINE)


class _SubGrid(NamedTuple):
    log_x: Real
    log_q2: Real
    splines: dict[int, RectBivariateSpline]  # by flavour, only those present


class LHAGrid:
    """Densities of one member of a set, interpolated with bicubic splines in (log x, log Q2).

    path: a member file (`..._0000.dat`), or the folder of a set, of which `member` is read.
    alpha_s_mz: strong coupling at the Z mass that goes with the set; member files do not hold it.
    Points outside the grid take the value at its nearest edge; negative densities are set to zero.
    Raises InputError for a file that is missing or not in this format.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, member: int = 0, alpha_s_mz: float = ALPHA_S_MZ
    ) -> None:
        self._file = _member_file(Path(path), member)
        self._alpha_s_mz = float(alpha_s_mz)
        self._grids = _read(self._file)

    @property
    def name(self) -> str:
        """Name of the member file."""
        return self._file.stem

    def alpha_s(self, q2: ArrayLike) -> Real:
        """Strong coupling at `q2` (GeV^2), one loop with five flavours from `alpha_s_mz`."""
        return one_loop(q2, alpha_s=self._alpha_s_mz, reference_q2=MZ2)

    def xf(self, x: ArrayLike, q2: ArrayLike) -> Real:
        """x f(x, Q2), shape (..., 11); see `densities.Density`."""
        xs, scales = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(q2, dtype=float))
        log_x, log_q2 = np.log(xs.ravel()), np.log(scales.ravel())
        starts = [grid.log_q2[0] for grid in self._grids[1:]]
        section = np.searchsorted(starts, log_q2, side="right")
        result = np.zeros((log_x.size, len(FLAVOURS)))
        for index in np.unique(section):
            grid, rows = self._grids[int(index)], np.flatnonzero(section == index)
            a = np.clip(log_x[rows], grid.log_x[0], grid.log_x[-1])
            b = np.clip(log_q2[rows], grid.log_q2[0], grid.log_q2[-1])
            for column, flavour in enumerate(FLAVOURS):
                if flavour in grid.splines:
                    result[rows, column] = grid.splines[flavour].ev(a, b)
        return np.asarray(np.maximum(result, 0.0).reshape(*xs.shape, len(FLAVOURS)))


def _member_file(path: Path, member: int) -> Path:
    if os.path.isdir(path):  # False, not an error, for an impossible name
        path = path / f"{path.name}_{member:04d}.dat"
    if not os.path.isfile(path):
        raise InputError(
            f"no grid file {path}; give a member file such as NAME_0000.dat, or the folder of a set"
        )
    return path


def _read(file: Path) -> list[_SubGrid]:
    try:
        parts = [part.strip().splitlines() for part in _SEPARATOR.split(read_text(file, "grid file"))]
        if not any(line.split() == ["Format:", "lhagrid1"] for line in parts[0]):
            raise ValueError("its header has no line 'Format: lhagrid1'")
        grids = [_parse(part) for part in parts[1:] if part]
        if not grids:
            raise ValueError("it has no sub-grid")
    except InputError:
        raise
    except (ValueError, IndexError) as error:
        raise InputError(f"{file} is not a grid file in the LHAPDF format lhagrid1: {error}") from error
    return grids


def _parse(lines: list[str]) -> _SubGrid:
    x, q = (np.array([float(word) for word in line.split()]) for line in lines[:2])
    flavours = [int(word) for word in lines[2].split()]
    values = np.array([[float(word) for word in line.split()] for line in lines[3:]])
    for array in (x, q, values):
        if not np.all(np.abs(array) < _HUGE):
            raise ValueError(f"it holds numbers that are not finite, or above {_HUGE:g}")
    if not (np.all(np.diff(x, prepend=0.0) > 0) and np.all(np.diff(q, prepend=0.0) > 0)):
        raise ValueError("its knots are not positive and increasing")
    cube = values.reshape(x.size, q.size, len(flavours))
    log_x, log_q2 = np.log(x), 2.0 * np.log(q)
    splines = {
        21 if flavour == 0 else flavour: RectBivariateSpline(
            log_x, log_q2, cube[:, :, i], kx=min(3, x.size - 1), ky=min(3, q.size - 1)
        )
        for i, flavour in enumerate(flavours)
    }
    return _SubGrid(log_x, log_q2, splines)
