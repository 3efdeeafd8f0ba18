"""An example that runs: an unbinned dataset beside smelli's Higgs likelihood, in two coefficients."""
