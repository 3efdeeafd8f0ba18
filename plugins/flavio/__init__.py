"""Unbinned datasets in flavio (arXiv:1810.08132), as measurements of its likelihoods. See README.md here."""

from importlib import metadata
from typing import Any

from smeft_unbinned.errors import InputError
from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="flavio",
    title="flavour, electroweak and Higgs observables with their measurements; likelihoods and plots",
    package="flavio",
    versions=">=2.7.1,<2.8",
    install="pip install 'smeft-unbinned[flavio]'",
    snippet="""\
import flavio
from flavio.statistics.likelihood import Likelihood
from plugins.flavio import add_unbinned
from wilson import Wilson

likelihood = Likelihood(observables=[add_unbinned("{file}")])
parameters = flavio.default_parameters.get_central_all()
point = Wilson({"phiW": 1e-7}, scale=1000, eft="SMEFT", basis="Warsaw")  # c/Lambda^2 in GeV^-2
print(likelihood.log_likelihood(parameters, point))
""",
    page="plugins/flavio/README.md",
)


def require_flavio() -> None:
    """Raise InputError where flavio cannot be used: absent, of another version, or broken by `particle`."""
    FITTER.require()
    if int(metadata.version("particle").split(".")[0]) >= 1:
        raise InputError(
            f"flavio reads tables that particle {metadata.version('particle')} no longer has; install an "
            "older one with pip install 'particle<1'"
        )


def __getattr__(name: str) -> Any:
    """Import the adapter on first use, so that the list of fitters works without flavio."""
    if name in ("add_unbinned", "UnbinnedPrediction", "UnbinnedDistribution"):
        require_flavio()
        from . import unbinned

        return getattr(unbinned, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
