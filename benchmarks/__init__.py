"""Benchmarks that compare speeds as ratios, measured in the same run."""
