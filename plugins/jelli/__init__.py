"""Unbinned datasets in jelli, as a term of its compiled likelihoods. See README.md here."""

from typing import Any

from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="jelli",
    title="differentiable likelihood of flavour, electroweak and collider observables in jax, with running",
    package="jelli",
    versions=">=0.1,<0.2",
    install="pip install 'smeft-unbinned[jelli]'",
    snippet="""\
import numpy as np
from jelli import GlobalLikelihood
from plugins.jelli import UnbinnedLikelihood

GlobalLikelihood.load("data")
compiled = GlobalLikelihood("SMEFT", "Warsaw").get_compiled_likelihood([("phiW", "R")], "global")
likelihood = UnbinnedLikelihood(compiled, "{file}")
print(likelihood.negative_log_likelihood_value()(np.array([1e-8]), 1000.0))
""",
    page="plugins/jelli/README.md",
)


def __getattr__(name: str) -> Any:
    """Import the likelihood on first use, so that the list of fitters works without jelli."""
    if name == "UnbinnedLikelihood":
        FITTER.require()
        from .likelihood import UnbinnedLikelihood

        return UnbinnedLikelihood
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
