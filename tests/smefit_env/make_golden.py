"""Write tests/datasets/golden_smefit_chi2.json; run it where SMEFiT is installed, from the repository root:

SMEFT_UNBINNED_DATA=... python tests/smefit_env/make_golden.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from smefit_reference import CARDS, points, smefit_chi2

TARGET = Path(__file__).parents[1] / "datasets" / "golden_smefit_chi2.json"

if __name__ == "__main__":
    cases = {}
    for name, card in CARDS.items():
        c = points(len(card["operators"]))
        cases[name] = {"card": card, "points": c.tolist(), "chi2": list(smefit_chi2(card, c))}
    head = {"made_by": "tests/smefit_env/make_golden.py", "smefit": version("smefit")}
    TARGET.write_text(json.dumps({**head, "cases": cases}, indent=1) + "\n", encoding="utf-8")
