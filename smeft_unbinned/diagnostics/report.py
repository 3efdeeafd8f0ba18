"""Report: the checks of one estimator, as a table, as JSON, and as a folder with figures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .. import storage
from ..errors import InputError, require
from ..version import __version__
from .result import Check, plain, worst

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Report:
    """checks: in the order in which they ran. settings: JSON types, the points looked at among them."""

    checks: tuple[Check, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.text()

    def __getitem__(self, name: str) -> Check:
        """Return a check by name; raise InputError for one that was not made."""
        for check in self.checks:
            if check.name == name:
                return check
        raise InputError(f"no check {name!r} in this report; it has {', '.join(c.name for c in self.checks)}")

    @property
    def verdict(self) -> str:
        """The worst verdict of all checks."""
        return worst(check.verdict for check in self.checks)

    def table(self) -> pd.DataFrame:
        """Return one row per check: verdict and finding."""
        rows = [{"check": c.name, "verdict": c.verdict, "finding": c.sentence} for c in self.checks]
        return pd.DataFrame(rows).set_index("check")

    def json(self) -> str:
        """Return everything as JSON; numbers that are not finite are null."""
        content = {
            "kind": "diagnostics",
            "format": FORMAT,
            "smeft_unbinned": __version__,
            "verdict": self.verdict,
            "settings": self.settings,
            "checks": [
                {
                    "name": c.name,
                    "verdict": c.verdict,
                    "sentence": c.sentence,
                    "numbers": c.numbers,
                    "tables": c.tables,
                }
                for c in self.checks
            ],
        }
        return json.dumps(plain(content), indent=1, allow_nan=False)

    def text(self) -> str:
        """Return the report for reading."""
        lines = [f"verdict: {self.verdict}", ""]
        lines += [f"{key}: {_short(value)}" for key, value in self.settings.items()]
        for check in self.checks:
            lines += ["", f"{check.name}: {check.verdict}", f"  {check.sentence}"]
            for name, frame in check.tables.items():
                if name != "histograms":
                    table = frame.to_string(index=False, float_format=lambda x: f"{x:.4g}")
                    lines += ["", f"  {name}", *(f"    {line}".rstrip() for line in table.splitlines())]
        return "\n".join(lines) + "\n"

    def save(self, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write report.txt, report.json and, with matplotlib, a figure of every check; return the paths."""
        target = storage.make_folder(folder)
        paths = [target / "report.txt", target / "report.json"]
        storage.write_text(paths[0], self.text())
        storage.write_text(paths[1], self.json() + "\n")
        try:
            require("matplotlib", "plot")
        except InputError:
            return tuple(paths)
        from .figures import draw

        return (*paths, *draw(self, target))


def _short(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
