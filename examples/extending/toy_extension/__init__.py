"""What a package adds to smeft-unbinned: a process, a loss and a fitter."""
