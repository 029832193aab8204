"""Pages for what the service can't answer: too many attempts, not reachable, too large.

Templates `caas/<code>.html` are taken where there are some, then `caas/service_error.html`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin

from caas_tasks.errors import ServiceError
from producer_client.integrations.public_problem import PublicProblem, public_problem


class ServiceErrorMiddleware(MiddlewareMixin):
    """Answers a `ServiceError` that a view raised, with its status and `Retry-After`.

    What the visitor can do nothing about becomes a plain 500 and a line in the log.
    """

    get_response: Callable[[HttpRequest], HttpResponseBase]

    def process_exception(self, request: HttpRequest, exception: Exception) -> Any:
        """The page, or None for exceptions of another kind."""
        if not isinstance(exception, ServiceError):
            return None
        problem = public_problem(exception)
        response = _answer(request, problem)
        for name, value in problem.headers().items():
            response[name] = value
        # Nobody but this visitor is told, and not for longer than it is true.
        response["Cache-Control"] = "no-store"
        return response


def _answer(request: HttpRequest, problem: PublicProblem) -> HttpResponse:
    if not request.accepts("text/html"):
        return JsonResponse(
            problem.members(), status=problem.status, content_type="application/problem+json"
        )
    templates = [f"caas/{problem.code}.html", "caas/service_error.html"]
    try:
        text = render_to_string(templates, {"problem": problem}, request)
    except TemplateDoesNotExist:  # the plug is not among INSTALLED_APPS
        return HttpResponse(
            f"{problem.title}. {problem.detail}\n",
            status=problem.status,
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse(text, status=problem.status)
