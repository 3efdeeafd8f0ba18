"""A template for the adapter of another fitter: copy this folder, and see docs/adding-a-fitter.md."""

from smeft_unbinned.fitters import Fitter

# What `smeft-unbinned fitters` shows. Name it in an entry point of the group smeft_unbinned.fitters, here or
# in a package of your own:
#
#     [project.entry-points."smeft_unbinned.fitters"]
#     myfitter = "my_package:FITTER"
#
# Import nothing of the fitter in this file: the list has to work where the fitter is absent.
FITTER = Fitter(
    name="template",
    title="minimiser of scipy, in place of your fitter",
    package="scipy",  # the distribution on PyPI, for its version
    versions=">=1.11",  # those that you ran
    install="pip install scipy",
    snippet="""\
from plugins.template.adapter import UnbinnedTerm
term = UnbinnedTerm("{file}", ["cHW", "cHq3"])
""",
    page="plugins/template/README.md",
)
