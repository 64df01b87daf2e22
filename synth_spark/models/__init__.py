"""Torch modules, nothing else."""
