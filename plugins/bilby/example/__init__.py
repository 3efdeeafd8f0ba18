"""An example that runs: one dataset, sampled by bilby with dynesty."""
