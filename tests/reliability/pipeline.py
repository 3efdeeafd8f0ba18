"""Every step from events to a report, in one process: `python pipeline.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from smeft_unbinned.cli import main

CARD = """\
basis: warsaw
datasets: [{name: zh, unbinned: zh.dataset}]
coefficients: {cHW: {min: -3, max: 3}, cHq3: {min: -1, max: 1}}
"""
COMPARISON = """\
events: zh.events
model: zh.model
luminosity: 300
efficiency: 0.01
schemes: [rate, {equal: [m_zh], n: [2, 4]}, {optimal: [pt_z, m_zh], n: 2}, {score: 2}]
output: compared
"""
STEPS = """\
generate ZH -n 3000 --operators cHW,cHq3 --seed 1 -o zh.events
train zh.events --replicas 2 --epochs 3 --hidden 16,16 --seed 2 -o zh.model
diagnose zh.model zh.events --seed 3 --checks expectation,spread -o diagnosed
export zh.events --model zh.model --luminosity 300 --efficiency 0.01 --replicas --name zh -o zh.dataset
export zh.events --model zh.model --luminosity 300 --efficiency 0.01 --data toy --seed 4 -o toy.dataset
compress zh.dataset --seed 5 -o small.dataset
fit card.yaml -o minuit
fit card.yaml --method laplace --seed 6 -o laplace
fit card.yaml --method ultranest --nlive 50 --seed 7 -o nested
compare comparison.yaml
report . -o page.html
"""


def run(folder: Path) -> None:
    """Write the cards and make all steps in a folder, relative to it."""
    (folder / "card.yaml").write_text(CARD)
    (folder / "comparison.yaml").write_text(COMPARISON)
    for step in STEPS.splitlines():
        main(step.split(), standalone_mode=False)


if __name__ == "__main__":
    import os

    os.chdir(sys.argv[1])
    run(Path())
