"""Write tests/datasets/golden_smefit_chi2.json; run it where SMEFiT is installed, from the repository root:

PYTHONPATH=. SMEFT_UNBINNED_DATA=... python tests/smefit_env/make_golden.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from smefit_reference import CARDS, every_dataset, points, smefit_chi2

TARGET = Path(__file__).parents[1] / "datasets" / "golden_smefit_chi2.json"

if __name__ == "__main__":
    cases = {}
    for name, card in {**CARDS, "every dataset": every_dataset()}.items():
        c = points(len(card["operators"]), n=20 if name in CARDS else 5)
        total, parts = smefit_chi2(card, c)
        by_dataset = {k: v.tolist() for k, v in parts.items()}
        cases[name] = {
            "card": card, "points": c.tolist(), "chi2": total.tolist(), "chi2_by_dataset": by_dataset
        }  # fmt: skip
    head = {"made_by": "tests/smefit_env/make_golden.py", "smefit": version("smefit")}
    TARGET.write_text(json.dumps({**head, "cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")
