"""One file per number we report."""
