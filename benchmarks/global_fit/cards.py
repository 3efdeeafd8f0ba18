"""The runcards of these benchmarks: the 41 datasets of LHC and LEP, alone and with an unbinned dataset."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

COEFFICIENTS = (
    "OpQM", "O3pQ3", "Opt", "OtW", "OtG", "Otp", "OtZ", "OQQ1", "OQQ8", "OQt1", "OQt8", "Ott1",
    "O81qq", "O11qq", "O83qq", "O13qq", "O8qt", "O1qt", "O8ut", "O1ut", "O8qu", "O1qu", "O8dt", "O1dt",
    "O8qd", "O1qd", "Op", "OpG", "OpB", "OpW", "OpWB", "OpBox", "OpD", "OpqMi", "O3pq", "Opui", "Opdi",
    "Ocp", "Obp", "Opl1", "Opl2", "Opl3", "O3pl1", "O3pl2", "O3pl3", "Ope", "Opmu", "Opta", "Otap",
    "Oll1221", "Oll1111", "OWWW",
)  # fmt: skip
"""Those of SMEFiT's global fit of LHC and LEP data, Oll1111 on its own."""
FLAT = ("Ott1",)
"""Enters at linear order in the same combination with OQQ1 everywhere: one of the two is left out there."""
HALF_WIDTH = 20.0
"""Of the prior ranges, TeV^-2; wide, since the fits here do not use them."""


def data() -> Path:
    """Return the folder smefit_database; raise SystemExit where SMEFT_UNBINNED_DATA does not name one."""
    root = os.environ.get("SMEFT_UNBINNED_DATA")
    if not root:
        raise SystemExit("set SMEFT_UNBINNED_DATA to the folder that holds smefit_database")
    return Path(root).resolve() / "smefit_database"


def entries() -> list[dict[str, str]]:
    """Return every dataset that has data and theory, at NLO in QCD where its table has that order."""
    result = []
    for file in sorted((data() / "commondata").glob("*.yaml")):
        table = json.loads((data() / "theory" / f"{file.stem}.json").read_text(encoding="utf-8"))
        result.append({"name": file.stem, "order": "NLO_QCD" if "NLO_QCD" in table else "LO"})
    return result


def card(quadratic: bool, folder: Path, **more: Any) -> dict[str, Any]:
    """Return the card of all datasets in all coefficients that they constrain; results go to a folder."""
    names = [n for n in COEFFICIENTS if quadratic or n not in FLAT]
    return {
        "result_ID": "quadratic" if quadratic else "linear",
        "result_path": str(folder),
        "data_path": str(data() / "commondata"),
        "theory_path": str(data() / "theory"),
        "use_quad": quadratic,
        "use_t0": True,
        "use_theory_covmat": True,
        "datasets": entries(),
        "coefficients": {n: {"min": -HALF_WIDTH, "max": HALF_WIDTH} for n in names},
        **more,
    }
