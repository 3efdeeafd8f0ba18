"""Ensembles: how the members of a stack differ. One file each, see `base.Ensemble`; names in `catalogue`."""

from ...catalogue import ENSEMBLES
from .base import Ensemble
from .bootstrap import Bootstrap
from .independent import Independent
from .repulsive import Repulsive
from .seeds import Seeds

__all__ = ["ENSEMBLES", "Bootstrap", "Ensemble", "Independent", "Repulsive", "Seeds"]
