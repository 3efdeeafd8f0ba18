"""An example that runs: two datasets in one fit, minimised by zfit."""
