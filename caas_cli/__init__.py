"""The `caas` command line: sets an installation up, runs its parts, and asks it things."""
