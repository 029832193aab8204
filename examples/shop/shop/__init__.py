"""A small shop: a main server that keeps its customers' secrets with the crypto service."""
