"""Unbinned datasets in bilby (arXiv:1811.02042), as likelihoods for its samplers. See README.md here."""

from typing import Any

from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="bilby",
    title="one interface to many nested samplers and MCMC: dynesty, emcee, nessai and others",
    package="bilby",
    versions=">=2.8,<2.9",
    install="pip install 'smeft-unbinned[bilby]'",
    snippet="""\
import bilby
from plugins.bilby import UnbinnedLikelihood

likelihood = UnbinnedLikelihood("{file}", ["OpW"], basis="smefit")
result = bilby.run_sampler(likelihood, likelihood.priors({"OpW": (-1, 1)}), sampler="dynesty")
print(result)
""",
    page="plugins/bilby/README.md",
)


def __getattr__(name: str) -> Any:
    """Import the likelihood on first use, so that the list of fitters works without bilby."""
    if name == "UnbinnedLikelihood":
        FITTER.require()
        from .unbinned import UnbinnedLikelihood

        return UnbinnedLikelihood
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
