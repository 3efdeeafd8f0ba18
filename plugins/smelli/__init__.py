"""Unbinned datasets in smelli (arXiv:1810.07698), as parts of its global likelihood. See README.md here."""

from typing import Any

from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="smelli",
    title="global likelihood of SMEFT: flavour, electroweak and Higgs measurements, on top of flavio",
    package="smelli",
    versions=">=2.4.3,<2.5",
    install="pip install 'smeft-unbinned[smelli]'",
    snippet="""\
from plugins.flavio import add_unbinned
from plugins.smelli import GlobalLikelihood

likelihood = GlobalLikelihood(unbinned=[add_unbinned("{file}")])
point = likelihood.parameter_point({"phiW": 1e-7}, scale=1000)  # c/Lambda^2 in GeV^-2
print(point.log_likelihood_dict())
""",
    page="plugins/smelli/README.md",
)


def __getattr__(name: str) -> Any:
    """Import the adapter on first use, so that the list of fitters works without smelli."""
    if name in ("GlobalLikelihood", "GlobalLikelihoodPoint"):
        from ..flavio import require_flavio

        FITTER.require()
        require_flavio()
        from . import unbinned

        return getattr(unbinned, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
