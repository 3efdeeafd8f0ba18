"""An example that runs: one dataset, fitted with scipy."""
