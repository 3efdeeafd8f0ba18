"""Comparison: the intervals of all versions, what they gain, and their files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, require
from ..fit.result_file import finite_or_null
from ..inputfile import fitting, read_json
from ..storage import make_folder, write_text
from . import figures

FORMAT = 1
FILE = "comparison.json"


@dataclass(frozen=True, eq=False)
class Comparison:
    """All versions of a measurement, side by side; coefficients in TeV^-2.

    table: a row per interval, columns fit ("one at a time" or "all together"), terms ("linear" or
        "quadratic"), global (whether with the further datasets), version, operator, level, piece, lower,
        upper, note.
    gains: widths, informations and equivalent luminosities relative to the reference, see `gains.gains_of`.
    members: the intervals of every network of the ensemble.
    contours: by pair of coefficients, the others at zero: closed curves of each version and level.
    families: by version the family of schemes that differ in their number of bins alone, "" for none.
    binning: by version the edges of its bins. about: luminosity, events, versions of programs, seconds.
    """

    table: pd.DataFrame
    gains: pd.DataFrame
    members: pd.DataFrame
    contours: Mapping[tuple[str, str], pd.DataFrame]
    families: Mapping[str, str]
    binning: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The version that widths are relative to."""
        return str(self.about["reference"])

    @property
    def versions(self) -> list[str]:
        """The versions, in order."""
        return list(dict.fromkeys(self.table["version"]))

    @property
    def saturation(self) -> pd.DataFrame:
        """The rows of `gains` of schemes with several numbers of bins, with the column `family` in front."""
        part = self.gains.assign(family=self.gains["version"].map(dict(self.families)))
        part = part[part["family"] != ""]
        columns = ["family", *self.gains.columns]
        return part.sort_values(["family", "bins"], kind="stable", ignore_index=True)[columns]

    def ratios(self, fit: str, terms: str = "quadratic", together: bool = False) -> pd.DataFrame:
        """Return ratios of widths, a row per coefficient and a column per version."""
        g = self.gains
        part = g[(g["fit"] == fit) & (g["terms"] == terms) & (g["global"] == together)]
        frame = part.pivot(index="operator", columns="version", values="width_ratio")
        operators, versions = dict.fromkeys(part["operator"]), dict.fromkeys(part["version"])
        return frame.loc[list(operators), list(versions)]

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write comparison.json, tables as CSV, and figures as PNG and PDF; return the paths.

        Without matplotlib there are no figures.
        """
        place = make_folder(folder)
        tables = {"intervals": self.table, "gains": self.gains, "saturation": self.saturation}
        if len(self.members):
            tables["networks"] = self.members
        tables |= {f"contour_{a}_{b}": frame for (a, b), frame in self.contours.items()}
        paths = [place / FILE]
        write_text(paths[0], json.dumps(self._content(), allow_nan=False))
        for name, frame in tables.items():
            paths.append(place / f"{name}.csv")
            write_text(paths[-1], frame.to_csv(index=False))
        try:
            require("matplotlib", "plot")
        except InputError:
            return paths
        return [*paths, *figures.draw(self, place)]

    def _content(self) -> dict[str, Any]:
        content = {
            "kind": "comparison",
            "format": FORMAT,
            "about": dict(self.about),
            "families": dict(self.families),
            "binning": dict(self.binning),
            "intervals": _rows(self.table),
            "gains": _rows(self.gains),
            "networks": _rows(self.members),
            "contours": [{"pair": list(pair), "points": _rows(f)} for pair, f in self.contours.items()],
        }
        plain: dict[str, Any] = finite_or_null(content)
        return plain

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Comparison:
        """Read comparison.json, or the one in a folder; raise InputError for a missing or damaged one."""
        file = Path(path) / FILE if os.path.isdir(path) else Path(path)
        content = read_json(file, "comparison")
        if not isinstance(content, dict) or content.get("kind") != "comparison":
            raise InputError(f"{file} is not a comparison of this package; check the path")
        if content.get("format") != FORMAT:
            raise InputError(
                f"{file} has format {content.get('format')}, this package reads {FORMAT}; update it"
            )
        with fitting(file, "comparison"):
            table, gains = _frame(content["intervals"]), _frame(content["gains"])
            for frame, column in product((table, gains), ("fit", "terms", "version", "operator")):
                if not all(isinstance(x, str) for x in frame[column]):
                    raise ValueError(f"{column} must be texts")
            for column, value in (("lower", float("-inf")), ("upper", float("inf"))):
                table[column] = table[column].astype(float).fillna(value)
            gains["width"] = gains["width"].astype(float).fillna(float("inf"))
            gains["width_ratio"] = gains["width_ratio"].astype(float).fillna(float("inf"))
            gains["bins"] = gains["bins"].astype("Int64")
            pairs = {tuple(c["pair"]): _frame(c["points"]) for c in content["contours"]}
            return cls(
                table, gains, _frame(content["networks"]), pairs, content["families"], content["binning"],
                content["about"],
            )  # fmt: skip


def _rows(frame: pd.DataFrame) -> dict[str, Sequence[Any]]:
    """Return the columns of a frame, whose missing values become None."""
    return {str(c): [None if pd.isna(x) else x for x in frame[c].tolist()] for c in frame.columns}


def _frame(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(dict(columns))
