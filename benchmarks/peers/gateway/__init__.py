"""A contender; see the benchmark's README."""
