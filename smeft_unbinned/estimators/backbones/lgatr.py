"""L-GATr: a transformer over particles whose layers commute with Lorentz transformations.

Particles are multivectors of the geometric algebra of space-time (arXiv:2405.14806, arXiv:2411.00446; the
layers are those of the package `lgatr`). The directions in which a collider breaks the symmetry, its beams
and its rest frame, enter as reference multivectors beside each particle, and what they make of its momentum,
pT and rapidity, as scalars, so that every dependence that they allow can be learned and no other.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ...errors import InputError, require
from ..features import Inputs
from ..momenta import Momenta
from .base import Network

BEAMS = ("plane", "lightlike", "none")
_PACKAGE = {"plane": "xyplane", "lightlike": "lightlike", "none": None}
_SMALL = 0.1
"""Starting outputs are smaller by this factor than the package has them."""
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class LGATr(Network):
    """Sizes of the network, and what it is told of the laboratory.

    blocks: transformer blocks; multivectors, scalars: hidden channels; heads: of the attention; ratio: width
        of the networks between attentions over that of the blocks.
    beam: "plane" for the plane transverse to the beams (outputs do not change under boosts along them),
        "lightlike" for both beams, "none" for no direction at all. rest: whether the rest frame of the
        laboratory is known, on which rates of hadron colliders depend through the parton densities.
    """

    blocks: int = 2
    multivectors: int = 4
    scalars: int = 16
    heads: int = 2
    ratio: int = 2
    beam: str = "plane"
    rest: bool = True

    name = "lgatr"
    packages = ("torch", "numpy", "lgatr")

    def __post_init__(self) -> None:
        for field in ("blocks", "multivectors", "scalars", "heads", "ratio"):
            if int(getattr(self, field)) < 1:
                raise InputError(f"{field} must be at least 1, got {getattr(self, field)}")
        if self.beam not in BEAMS:
            raise InputError(f"beam is one of {', '.join(BEAMS)}, got {self.beam!r}")

    def inputs(self, frame: pd.DataFrame) -> Inputs:
        require("lgatr", "lgatr")
        return Momenta.fit(frame)

    def restored(self, manifest: Mapping[str, Any]) -> Inputs:
        return Momenta.from_manifest(dict(manifest))

    def initialise(
        self, inputs: tuple[int, ...], outputs: int, generators: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Return the parameters of the package's module, in its order, for inputs (P, 4 + S)."""
        members = []
        for generator in generators:
            with _DRAWING, torch.random.fork_rng(devices=[]):  # the layers draw from torch's own generator
                torch.random.set_rng_state(generator.get_state())
                module = _module(self, self._width(inputs), outputs)
                generator.set_state(torch.random.get_rng_state())
            named = {name: p.detach().clone() for name, p in module.named_parameters()}
            members.append([p * _SMALL if "linear_out" in name else p for name, p in named.items()])
        return [torch.stack(values) for values in zip(*members, strict=True)]

    def forward(self, parameters: Sequence[Tensor], x: Tensor, outputs: int) -> Tensor:
        """Return (M, B, K), the scalar parts of K multivectors in the mean over particles.

        x: (B, P, 4 + S) or (M, B, P, 4 + S), momenta (E, px, py, pz) first.
        """
        module = _skeleton(self, self._width(tuple(x.shape[-2:])), outputs, x.device, threading.get_ident())
        names = [name for name, _ in module.named_parameters()]
        shapes = [tuple(p.shape) for p in module.parameters()]
        if shapes != [tuple(p.shape[1:]) for p in parameters]:
            raise InputError(
                "the stored parameters do not fit the layers of the installed package lgatr; install the "
                "version with which the estimator was trained, or train it anew"
            )
        own = x.dim() == 4
        tokens = None if own else self._tokens(x)
        results = []
        for m in range(parameters[0].shape[0]):  # vmap is no faster, and has no rule for the attention
            multivectors, scalars = self._tokens(x[m]) if tokens is None else tokens
            member = {name: p[m] for name, p in zip(names, parameters, strict=True)}
            found = torch.func.functional_call(module, member, (multivectors, scalars))[0]
            results.append(found[..., 0].mean(dim=-2))
        return torch.stack(results)

    def _tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return multivectors (B, P, 1 + R, 16), R of them references, and scalars (B, P, S')."""
        lgatr = require("lgatr", "lgatr")
        particles = lgatr.embed_vector(x[..., None, :4])
        references = lgatr.get_spurions(
            beam_spurion=_PACKAGE[self.beam], add_time_spurion=self.rest, device=x.device, dtype=x.dtype
        )
        references = references.expand(*x.shape[:-1], *references.shape)
        which = torch.eye(x.shape[-2], device=x.device, dtype=x.dtype).expand(*x.shape[:-1], x.shape[-2])
        scalars = torch.cat([which, x[..., 4:], *self._invariants(x[..., :4])], dim=-1)
        return torch.cat([particles, references], dim=-2), scalars

    def _invariants(self, p: Tensor) -> list[Tensor]:
        """Return what the references make of momenta (B, P, 4), (B, P, 1) each."""
        known = []
        if self.beam != "none":
            own, total = _rapidity(p), _rapidity(p.sum(dim=-2, keepdim=True))
            known += [_log(_transverse(p)), own - total]
            if self.rest or self.beam == "lightlike":
                known.append(total.expand_as(own))
        elif self.rest:
            known.append(_log(p[..., :1]))
        return known

    def _width(self, inputs: tuple[int, ...]) -> int:
        """Return the number of scalars of each particle, for inputs (P, 4 + S)."""
        return inputs[0] + inputs[1] - 4 + len(self._invariants(torch.ones(1, 1, 4)))


def _log(x: Tensor) -> Tensor:
    return torch.log(torch.clamp(x, min=1e-6))


def _transverse(p: Tensor) -> Tensor:
    return torch.linalg.vector_norm(p[..., 1:3], dim=-1, keepdim=True)


def _rapidity(p: Tensor) -> Tensor:
    """Return the rapidity, (..., 1), of momenta (..., 4)."""
    square = p[..., :1].square() - p[..., 3:].square()
    size = torch.sqrt(torch.maximum(square, _transverse(p).square()))
    return torch.asinh(p[..., 3:] / torch.clamp(size, min=1e-6))


def _module(options: LGATr, scalars: int, outputs: int) -> Any:
    """Return the package's module with starting values from torch's own generator."""
    lgatr = require("lgatr", "lgatr")
    references = lgatr.get_num_spurions(beam_spurion=_PACKAGE[options.beam], add_time_spurion=options.rest)
    return lgatr.LGATr(
        num_blocks=options.blocks,
        in_mv_channels=1 + references,
        out_mv_channels=outputs,
        hidden_mv_channels=options.multivectors,
        in_s_channels=scalars,
        out_s_channels=0,
        hidden_s_channels=options.scalars,
        attention={"num_heads": options.heads},
        mlp={"mlp_ratio": options.ratio},
        primitives={"sparse_gp": False},
    )


@lru_cache(maxsize=32)
def _skeleton(options: LGATr, scalars: int, outputs: int, device: torch.device, thread: int) -> Any:
    """Return a module whose own parameters play no part; each thread has its own, as a call sets them."""
    del thread
    with _DRAWING, torch.random.fork_rng(devices=[]):
        return _module(options, scalars, outputs).to(device)
