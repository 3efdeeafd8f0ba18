"""Writes small LHE files with weights from known polynomials, in the words that MadGraph uses."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CARD = """
BLOCK MASS #
  25 1.25e+02 # mh
BLOCK SMEFT # the model's own
  5 5.000000e-01 # chdd
  7 6.000000e-01 # chw
BLOCK SMEFT #
  4 0.0 # chbox
  5 0.000000e+00 # chdd : 0.0
  7 0.000000e+00 # chw
BLOCK SMEFTCUTOFF #
  1 1.0e+03 # lambdasmeft
"""
PROCESS = """
import model sm
import model SMEFTsim_U35_MwScheme_UFO
generate p p > h j j
"""
IDS = (5, 7)
NAMES = ("cHD", "cHW")


def text_of(point: Sequence[float], ids: Sequence[int] = IDS) -> str:
    """Return what MadGraph writes for a point: one line per coefficient that is not zero."""
    return "\n".join(
        f"set param_card smeft {i} {x!r} # orig: 0.0" for i, x in zip(ids, point, strict=True) if x
    )


@dataclass
class Lhe:
    """An LHE file to be: weights (N, B) at points, an event record each.

    particles: of each event the final ones, {PDG number: (px, py, pz, E)}; without, a Higgs boson and jets.
    """

    weights: np.ndarray
    texts: dict[str, str]
    nominal: np.ndarray
    xsec: float = 2.5
    strategy: int = -4
    card: str = CARD
    process: str = PROCESS
    energy: float = 6500.0
    extra: str = ""
    jets: Sequence[int] = ()
    particles: Sequence[dict[int, Sequence[float]]] = ()
    replace: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the file; `replace` is applied last."""
        header = "".join(f"<weight id='{i}'>{t}\n</weight>\n" for i, t in self.texts.items())
        out = f"""<LesHouchesEvents version="3.0">
<header>
<MG5ProcCard>
<![CDATA[{self.process}]]>
</MG5ProcCard>
<slha>{self.card}</slha>
<initrwgt>
{self.extra}<weightgroup name='mg_reweighting'>
{header}</weightgroup>
</initrwgt>
</header>
<init>
2212 2212 {self.energy} {self.energy} 0 0 247000 247000 {self.strategy} 1
{self.xsec!r} 1.0e-03 {self.xsec!r} 1
<generator name='MadGraph5_aMC@NLO' version='3.5.6'>cite</generator>
</init>
"""
        out += "".join(self.event(e) for e in range(len(self.weights))) + "</LesHouchesEvents>\n"
        for old, new in self.replace.items():
            assert old in out
            out = out.replace(old, new, 1)
        return out

    def event(self, e: int) -> str:
        """Return one event: a Higgs boson and jets, with momenta drawn from the event's number."""
        rng = np.random.default_rng(e)
        jets = self.jets[e] if len(self.jets) else 2
        jets = len(self.particles[e]) - 1 if len(self.particles) else jets
        lines = [f"{3 + jets} 1 {self.nominal[e]!r} 91.0 0.0075 0.13"]
        lines.append("2 -1 0 0 501 0 0.0 0.0 500.0 500.0 0.0 0. -1.")
        lines.append("1 -1 0 0 502 0 0.0 0.0 -500.0 500.0 0.0 0. -1.")
        for k, (px, py, pz, energy) in self.particles[e].items() if len(self.particles) else ():
            lines.append(f"{k} 1 1 2 0 0 {px!r} {py!r} {pz!r} {energy!r} 0.0 0. 0.")
        for k, m in (
            () if len(self.particles) else zip([25] + [1] * jets, [125.0] + [0.0] * jets, strict=True)
        ):
            p = rng.normal(0.0, 100.0, 3)
            lines.append(f"{k} 1 1 2 0 0 {p[0]!r} {p[1]!r} {p[2]!r} {np.sqrt(p @ p + m * m)!r} {m} 0. 0.")
        weights = "".join(
            f"<wgt id='{i}'> {w!r} </wgt>\n"
            for i, w in zip(self.texts, self.weights[e].tolist(), strict=True)
        )
        body = "\n".join(lines).replace("np.float64(", "").replace(")", "")
        return f"<event>\n{body}\n<rwgt>\n{weights}</rwgt>\n</event>\n"

    def write(self, path: Path) -> Path:
        """Write the file, packed where the name ends in .gz, and return its path."""
        data = self.text().encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path
