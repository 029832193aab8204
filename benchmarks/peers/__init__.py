"""The contenders: for each what serves, what calls, and what it needs installed."""
