"""An example that runs: a binned observable of jelli and an unbinned dataset in one fit."""
