"""Unbinned datasets in zfit (arXiv:1910.13429), as losses for its minimisers. See README.md here."""

from typing import Any

from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="zfit",
    title="likelihood fits in TensorFlow: minimisers with one interface, profile intervals, sums with PDFs",
    package="zfit",
    versions=">=0.28,<0.29",
    install="pip install 'smeft-unbinned[zfit]'",
    snippet="""\
import zfit
from plugins.zfit import UnbinnedLoss, parameters

loss = UnbinnedLoss("{file}", parameters({"OpW": (-1, 1)}), basis="smefit")
result = zfit.minimize.Minuit(gradient="zfit").minimize(loss)
result.hesse()
print(result)
""",
    page="plugins/zfit/README.md",
)


def __getattr__(name: str) -> Any:
    """Import the losses on first use, so that the list of fitters works without zfit."""
    if name in ("UnbinnedLoss", "parameters"):
        FITTER.require()
        from . import loss

        return getattr(loss, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
