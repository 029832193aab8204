"""The operations: bytes and keys in, values out. No Celery, Redis, clock or environment in here."""
