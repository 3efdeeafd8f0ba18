"""An example that runs: a binned and an unbinned ZH measurement in one fit."""
