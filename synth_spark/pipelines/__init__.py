"""The story of a run, told through ports."""
