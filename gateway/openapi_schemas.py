"""The OpenAPI document's schemas: the models of items and answers, and what stands around them."""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from caas_tasks.answers import ANSWER_MODELS
from caas_tasks.errors import ERRORS_BY_CODE
from caas_tasks.items import ITEM_MODELS
from caas_tasks.limits import MAX_API_KEY_CHARS, MAX_ITEMS
from caas_tasks.names import Field, Operation
from gateway import problems

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"
PROBLEM: Final = "Problem"
_API_KEY_SCHEMA: Final[Schema] = {
    "type": "string",
    "maxLength": MAX_API_KEY_CHARS,
    "description": "The API key; it may come as Authorization: Bearer instead.",
}


def schema_name(operation: Operation) -> str:
    """What an operation's schemas' names begin with."""
    return "".join(part.capitalize() for part in operation.value.split("_"))


def schemas() -> dict[str, Schema]:
    """The schemas by name: requests, results, batches, items and errors."""
    models = [
        *((model, "validation") for model in ITEM_MODELS.values()),
        *((model, "serialization") for model in ANSWER_MODELS.values()),
    ]
    _, defined = models_json_schema(models, ref_template=REF + "{model}")  # type: ignore[arg-type]
    named: dict[str, Schema] = defined["$defs"]
    named[PROBLEM] = _problem_schema()
    named["ItemError"] = _item_error_schema()
    for operation in Operation:
        item = named[ITEM_MODELS[operation].__name__]
        answer = ANSWER_MODELS[operation].__name__
        name = schema_name(operation)
        named[name + "Request"] = _request_schema(item)
        named[name + "Result"] = {"$ref": REF + answer}
        named[name + "Batch"] = _batch_schema(ITEM_MODELS[operation].__name__)
        named[name + "BatchResult"] = _batch_result_schema(answer)
    named["EncryptResult"] = {
        **named[ANSWER_MODELS[Operation.ENCRYPT].__name__],
        "required": [Field.ENCRYPTED_DATA],
    }
    return named


def _request_schema(item: Schema) -> Schema:
    properties = {name: value for name, value in item["properties"].items() if name != "reference"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {Field.API_KEY: _API_KEY_SCHEMA, **properties},
        "required": item["required"],
    }


def _batch_schema(item: str) -> Schema:
    items = {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": {"$ref": REF + item}}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {Field.API_KEY: _API_KEY_SCHEMA, Field.ITEMS: items},
        "required": [Field.ITEMS],
    }


def _batch_result_schema(answer: str) -> Schema:
    outcome = {"anyOf": [{"$ref": REF + answer}, {"$ref": REF + "ItemError"}]}
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
