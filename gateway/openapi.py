"""The OpenAPI 3.1 document, built from the models that requests are checked with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from caas_tasks.encoding import encode_json
from caas_tasks.errors import ERRORS_BY_CODE, RateLimitedError, ServiceUnavailableError
from caas_tasks.limits import MAX_API_KEY_CHARS, MAX_ITEMS
from caas_tasks.messages import ANSWER_MODELS, ITEM_MODELS
from caas_tasks.names import Field, Operation
from gateway import examples, problems
from gateway.routes import BATCH_PREFIX, INCLUDE_KEY_VERSION, KEY_VERSION_HEADER

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/"
_PROBLEM: Final = "Problem"
_API_KEY_SCHEMA: Final[Schema] = {
    "type": "string",
    "maxLength": MAX_API_KEY_CHARS,
    "description": "The API key; it may come as Authorization: Bearer instead.",
}
_DESCRIPTION: Final = (
    "Values to store in place of users' sensitive data, made by isolated workers that alone hold the "
    "keys. Every path but the health checks takes POST and a JSON object; unknown fields are refused. "
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
            "schemas": _schemas(),
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
            _REF + _name(operation) + "Result",
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
                _REF + _name(operation) + "Request",
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
        "description": "Answers come in the order of the items, a failed one as an error in its place.",
        "requestBody": {
            "required": True,
            "content": _json(
                _REF + _name(operation) + "Batch",
                {Field.API_KEY: examples.API_KEY, Field.ITEMS: [item]},
            ),
        },
        "responses": {
            "200": {
                "description": "An answer or an error for each item.",
                "content": _json(
                    _REF + _name(operation) + "BatchResult",
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


def _name(operation: Operation) -> str:
    return "".join(part.capitalize() for part in operation.value.split("_"))


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
                    "schema": {"$ref": _REF + _PROBLEM},
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


def _schemas() -> dict[str, Schema]:
    models = [
        *((model, "validation") for model in ITEM_MODELS.values()),
        *((model, "serialization") for model in ANSWER_MODELS.values()),
    ]
    _, defined = models_json_schema(models, ref_template=_REF + "{model}")  # type: ignore[arg-type]
    schemas: dict[str, Schema] = defined["$defs"]
    schemas[_PROBLEM] = _problem_schema()
    schemas["ItemError"] = _item_error_schema()
    for operation in Operation:
        item = schemas[ITEM_MODELS[operation].__name__]
        answer = ANSWER_MODELS[operation].__name__
        name = _name(operation)
        schemas[name + "Request"] = _request_schema(item)
        schemas[name + "Result"] = {"$ref": _REF + answer}
        schemas[name + "Batch"] = _batch_schema(ITEM_MODELS[operation].__name__)
        schemas[name + "BatchResult"] = _batch_result_schema(answer)
    schemas["EncryptResult"] = {
        **schemas[ANSWER_MODELS[Operation.ENCRYPT].__name__],
        "required": [Field.ENCRYPTED_DATA],
    }
    return schemas


def _request_schema(item: Schema) -> Schema:
    properties = {name: value for name, value in item["properties"].items() if name != "reference"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {Field.API_KEY: _API_KEY_SCHEMA, **properties},
        "required": item["required"],
    }


def _batch_schema(item: str) -> Schema:
    items = {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": {"$ref": _REF + item}}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {Field.API_KEY: _API_KEY_SCHEMA, Field.ITEMS: items},
        "required": [Field.ITEMS],
    }


def _batch_result_schema(answer: str) -> Schema:
    outcome = {"anyOf": [{"$ref": _REF + answer}, {"$ref": _REF + "ItemError"}]}
    return {
        "type": "object",
        "properties": {
            Field.ITEMS: {"type": "array", "items": outcome},
            "status": {"enum": ["ok", "partial", "failed"]},
        },
        "required": [Field.ITEMS, "status"],
    }


def _item_error_schema() -> Schema:
    error = {
        "type": "object",
        "properties": {
            Field.CODE: {"enum": sorted(ERRORS_BY_CODE)},
            Field.MESSAGE: {"type": "string"},
            Field.RETRY_AFTER: {"type": "number", "description": "Seconds."},
        },
        "required": [Field.CODE, Field.MESSAGE],
    }
    reference = {"type": "string", "description": "The item's, when it has one."}
    return {
        "type": "object",
        "properties": {Field.ERROR: error, Field.REFERENCE: reference},
        "required": [Field.ERROR],
    }


def _problem_schema() -> Schema:
    return {
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "properties": {
            "type": {"type": "string", "description": problems.TYPE_PREFIX + "<code>"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"enum": sorted(problems.TITLES)},
            "detail": {"type": "string", "description": "A fixed sentence."},
            "retry_after": {"type": "number", "description": "Seconds, of rate_limited."},
            "reason": {"type": "string", "description": "What is in the way, of /readyz: a code."},
        },
        "required": ["type", "title", "status", "code", "detail"],
    }
