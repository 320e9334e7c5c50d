"""Samples to learn from and to look at: photos on disk, and blur made from sharp photos."""
