"""The plot, drawn in an environment of its own."""
