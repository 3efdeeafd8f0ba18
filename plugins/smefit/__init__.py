"""Unbinned datasets in SMEFiT 4 (arXiv:2302.06660), as external chi2 of its runcard. See README.md here."""

from smeft_unbinned.fitters import Fitter

FITTER = Fitter(
    name="smefit",
    title="SMEFiT, global fits of SMEFT coefficients: nested sampling and scans",
    package="smefit",
    versions=">=4.0,<4.1",
    install="pip install 'smeft-unbinned[smefit]' (Python 3.10 to 3.12)",
    snippet="""\
# in the runcard of SMEFiT; then: smefit NS runcard.yaml
external_chi2:
  measurement: {path: plugins.smefit.unbinned.py, file: {file}}
""",
    page="plugins/smefit/README.md",
)
