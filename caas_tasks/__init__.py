"""The contract of CaaS: names, messages, envelope, errors and the Celery app, shared by both sides.

Importing this package connects to nothing and holds no secret. docs/spec.md is its text.
"""
