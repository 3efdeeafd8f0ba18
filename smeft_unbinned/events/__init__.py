"""Simulated events: features, weights and truth polynomials, and the readers that produce them.

The packages that read a format are imported when a file of it is read.
"""

from .basis import Basis, choose_basis
from .dispatch import read_events
from .events import Events
from .lhe import read_lhe
from .madminer import read_madminer, read_nuisances
from .nuisance import Nuisances
from .reweight_card import parse_reweight_card
from .root import read_root
from .samples import Samples
from .separate import draw_independent, draw_samples
from .table import iterate_table, read_table

__all__ = [
    "Basis",
    "Events",
    "Nuisances",
    "Samples",
    "choose_basis",
    "draw_independent",
    "draw_samples",
    "iterate_table",
    "parse_reweight_card",
    "read_events",
    "read_lhe",
    "read_madminer",
    "read_nuisances",
    "read_root",
    "read_table",
]
