"""Loaded into workers by `celery worker --include`: what a test changes inside a worker process."""
