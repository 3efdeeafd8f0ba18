"""An example that runs: two datasets, sampled by cobaya, intervals by GetDist."""
