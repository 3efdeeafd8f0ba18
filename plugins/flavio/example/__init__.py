"""An example that runs: an unbinned dataset beside a signal strength of flavio, in two coefficients."""
