"""Files rg_matrix as every version of pandas writes them: the same frames, in rg_matrix_files.json.

Adds those of the pandas that runs it; from the repository root, once with each version:

python tests/running/rg_matrix_frames.py
"""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TARGET = Path(__file__).with_name("rg_matrix_files.json")
SETTINGS = {"init_scale": 1000.0, "smeft_accuracy": "integrate", "adm_QCD": False, "yukawa": "top"}
PROTOCOLS = (2, 3, 4, 5)


def frame(rows: str, columns: str, start: float = 0.25) -> pd.DataFrame:
    """Return a frame of distinct numbers with these row and column names."""
    names, n = rows.split(), len(columns.split())
    values = start + np.arange(len(names) * n, dtype=float).reshape(len(names), n) / 7
    return pd.DataFrame(values, index=names, columns=columns.split())


def content() -> dict[Any, Any]:
    """Return settings and frames by scale, among them every way in which SMEFiT makes one."""
    whole = frame("OpB OpD OpW OtG", "OpB OpW OtG")
    grown = whole.copy()
    grown.loc["Obp"] = np.zeros(3)
    more = frame("Ott1 OpB", "OQQ1 Ott1", 5.0)
    fortran = pd.DataFrame(np.asfortranarray(whole.to_numpy()), index=whole.index, columns=whole.columns)
    return {
        "rge_settings": SETTINGS,
        91.1876: whole,
        172: grown.sort_index(),
        np.float64(345.5): whole[["OtG"]],
        500.0: pd.concat([whole[["OtG", "OpB"]], more], axis=1).fillna(0).sort_index(),
        600.0: pd.concat([whole[["OtG", "OpB"]], more], axis=1).fillna(0)[["Ott1", "OtG", "OQQ1"]],
        700.0: whole.iloc[:0],
        800.0: whole.loc[(whole > 0.7).any(axis=1)],
        900.0: fortran,
        1000.0: whole,
    }


def plain(frames: dict[Any, Any]) -> dict[str, Any]:
    """Return rows, columns and values by scale."""
    return {
        repr(float(scale)): [list(f.index), list(f.columns), f.to_numpy().tolist()]
        for scale, f in frames.items()
        if scale != "rge_settings"
    }


if __name__ == "__main__":
    made = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {"files": {}}
    storages = ("pyarrow", "python") if pd.__version__ >= "3" else ("",)
    for storage in storages:
        if storage:
            pd.set_option("mode.string_storage", storage)
        name = f"pandas {pd.__version__}, numpy {np.__version__}{storage and ', ' + storage}"
        data = {str(p): zlib.compress(pickle.dumps(content(), p), 9) for p in PROTOCOLS}
        made["files"][name] = {p: base64.b64encode(b).decode() for p, b in data.items()}
    made.update(made_by="tests/running/rg_matrix_frames.py", frames=plain(content()))
    TARGET.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
