"""The HTTP front of the service: the same operations for callers that don't speak Python.

Beside the client it holds the service's public key and nothing else: API keys pass through it to
the workers, which alone can check them. docs/http.md is its reference.
"""
