"""Django: password hasher, authentication backend, error pages, sealed fields. See docs/plugs.md.

    INSTALLED_APPS += ["producer_client.integrations.django"]   # templates of the error pages
    PASSWORD_HASHERS = ["producer_client.integrations.django.hashers.CaasPasswordHasher", …]
    AUTHENTICATION_BACKENDS = ["producer_client.integrations.django.backends.CaasBackend"]
    MIDDLEWARE += ["producer_client.integrations.django.middleware.ServiceErrorMiddleware"]

Needs `caas[django]`. The client comes from the environment, or from
`producer_client.integrations.shared_client.set_client`.
"""
