"""Plugs for the frameworks of main servers: Django, SQLAlchemy, FastAPI. See docs/plugs.md.

Each needs its framework, from the extra of its name (`caas[django]`); `import producer_client`
imports none of them.
"""
