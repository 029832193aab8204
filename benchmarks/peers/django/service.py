"""A one-process Django service: one view, no middleware, no database."""

from __future__ import annotations

import json

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from benchmarks import work

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    LOGGING_CONFIG=None,
    DEBUG=False,
)


def digest(request: HttpRequest) -> JsonResponse:
    body = json.loads(request.body)
    return JsonResponse({"encrypted_data": work.digest(body["userUUID"], body["sensitiveData"])})


async def async_digest(request: HttpRequest) -> JsonResponse:
    return digest(request)


urlpatterns = [path("digest", digest), path("async", async_digest)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
