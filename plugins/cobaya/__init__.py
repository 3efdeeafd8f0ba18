"""Unbinned datasets in cobaya (arXiv:2005.05290), as likelihoods of its input file. See README.md here."""

from typing import Any

from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="cobaya",
    title="samplers and minimisers of any likelihood, Metropolis-Hastings first; chains for GetDist",
    package="cobaya",
    versions=">=3.6,<3.7",
    install="pip install 'smeft-unbinned[cobaya]'",
    snippet="""\
likelihood:
  zh_14tev:
    class: plugins.cobaya.Unbinned
    file: {file}
    basis: smefit
params:
  OpW: {prior: {min: -1, max: 1}}
sampler:
  mcmc:
""",
    page="plugins/cobaya/README.md",
)


def __getattr__(name: str) -> Any:
    """Import the likelihood on first use, so that the list of fitters works without cobaya."""
    if name == "Unbinned":
        FITTER.require()
        from .unbinned import Unbinned

        return Unbinned
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
