"""Write tests/golden_smefit_names.json; run it where SMEFiT is installed, from the repository root:

python tests/smefit_env/make_golden_names.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from smefit_names import backward, forward, point

TARGET = Path(__file__).parents[1] / "golden_smefit_names.json"

if __name__ == "__main__":
    c = point()
    values = forward(c)
    head = {"made_by": "tests/smefit_env/make_golden_names.py", "smefit": version("smefit")}
    content = {**head, "smefit_point": c, "warsaw_point": values, "back": backward(values)}
    TARGET.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
