"""Backbones: networks and other learners. One file each, see `base.Backbone`; `catalogue` has their names."""

from ...catalogue import BACKBONES
from .base import Backbone, Network
from .lgatr import LGATr
from .mlp import MLP
from .trees import Trees

__all__ = ["BACKBONES", "MLP", "Backbone", "LGATr", "Network", "Trees"]
