"""The OpenAPI 3.1 document, built from the models that requests are checked with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from caas_tasks.encoding import encode_json
from caas_tasks.errors import ERRORS_BY_CODE, RateLimitedError, ServiceUnavailableError
from caas_tasks.limits import MAX_ITEMS
from caas_tasks.names import Field, Operation
from gateway import examples, problems
from gateway.openapi_schemas import PROBLEM, REF, Schema, schema_name, schemas
from gateway.routes import BATCH_PREFIX, INCLUDE_KEY_VERSION, KEY_VERSION_HEADER

_DESCRIPTION: Final = (
    "Values to store in place of users' sensitive data, made by isolated workers that alone hold "
    "the keys. Operations take POST and a JSON object; unknown fields are refused. "
    "Errors are problem details (RFC 9457) and never repeat an input."
)


def openapi_json() -> bytes:
    """The document as JSON."""
    return encode_json(document())


def document() -> Schema:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CaaS gateway",
            "version": _version(),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Of the gateway itself, wherever it is reached.
        "servers": [{"url": "/"}],
        # The API key comes in the header, or in the body, which OpenAPI has no scheme for.
        "security": [{"bearer": []}, {}],
        "tags": [
            {"name": "operations", "description": "One item a request."},
            {"name": "batches", "description": f"Up to {MAX_ITEMS} items a request."},
            {"name": "health", "description": "For probes."},
        ],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The API key. It may stand in the body as apiKey instead.",
                }
            },
            "responses": _error_responses(),
            "schemas": schemas(),
        },
    }


def _version() -> str:
    try:
        return version("caas")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"


def _paths() -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    for operation in Operation:
        paths[f"/{operation.value}"] = {"post": _single(operation)}
    for operation in Operation:
        paths[f"{BATCH_PREFIX}{operation.value}"] = {"post": _batch(operation)}
    paths["/healthz"] = {"get": _health("healthz", "Whether the process answers", "alive")}
    ready = _health("readyz", "Whether requests are answered end to end", "ready")
    unavailable = ServiceUnavailableError
    ready["responses"][str(unavailable.http_status)] = _error_reference(unavailable.code)
    paths["/readyz"] = {"get": ready}
    return paths


def _single(operation: Operation) -> Schema:
    answered: Schema = {
        "description": "The answer.",
        "content": _json(
            REF + schema_name(operation) + "Result",
            examples.single_answer(operation),
        ),
    }
    described: Schema = {
        "operationId": operation.value,
        "tags": ["operations"],
        "summary": examples.SUMMARIES[operation],
        "requestBody": {
            "required": True,
            "content": _json(
                REF + schema_name(operation) + "Request",
                {Field.API_KEY: examples.API_KEY, **examples.ITEMS[operation]},
            ),
        },
        "responses": {"200": answered, **_error_references()},
    }
    if operation is Operation.ENCRYPT:
        answered["headers"] = {
            KEY_VERSION_HEADER: {
                "description": "The key version that made the value; store it beside the value.",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
        name, value = INCLUDE_KEY_VERSION.split("=")
        described["parameters"] = [
            {
                "name": name,
                "in": "query",
                "description": "Puts key_version in the answer too.",
                "schema": {"const": value},
            }
        ]
    return described


def _batch(operation: Operation) -> Schema:
    item = {**examples.ITEMS[operation], Field.REFERENCE: "row 17"}
    answer = {**examples.ANSWERS[operation], Field.REFERENCE: "row 17"}
    return {
        "operationId": f"batch_{operation.value}",
        "tags": ["batches"],
        "summary": f"{examples.SUMMARIES[operation]}, for many items",
        "description": "Answers come in the order of the items, a failure in its item's place.",
        "requestBody": {
            "required": True,
            "content": _json(
                REF + schema_name(operation) + "Batch",
                {Field.API_KEY: examples.API_KEY, Field.ITEMS: [item]},
            ),
        },
        "responses": {
            "200": {
                "description": "An answer or an error for each item.",
                "content": _json(
                    REF + schema_name(operation) + "BatchResult",
                    {Field.ITEMS: [answer], "status": "ok"},
                ),
            },
            **_error_references(),
        },
    }


def _health(name: str, summary: str, status: str) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {"status": {"const": status}},
        "required": ["status"],
    }
    content = {"application/json": {"schema": schema, "example": {"status": status}}}
    return {
        "operationId": name,
        "tags": ["health"],
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "Yes.", "content": content}},
    }


def _json(reference: str, example: Schema) -> Schema:
    return {"application/json": {"schema": {"$ref": reference}, "example": example}}


def _error_reference(code: str) -> Schema:
    return {"$ref": f"#/components/responses/{code}"}


def _error_references() -> Schema:
    references = {
        str(error.http_status): _error_reference(code) for code, error in ERRORS_BY_CODE.items()
    }
    return dict(sorted(references.items()))


def _error_responses() -> dict[str, Schema]:
    responses: dict[str, Schema] = {}
    for code, error_type in ERRORS_BY_CODE.items():
        retry_after_s = 12.0 if error_type is RateLimitedError else None
        problem = problems.from_error(error_type(retry_after_s=retry_after_s))
        response: Schema = {
            "description": problems.TITLES[code],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": REF + PROBLEM},
                    "example": problem.members(),
                }
            },
        }
        headers = {
            name.decode().title(): {"schema": {"type": "string"}, "example": value.decode()}
            for name, value in problem.headers
        }
        if headers:
            response["headers"] = headers
        responses[code] = response
    return responses
