"""The OpenAPI document says what the gateway does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from caas_tasks.answers import ANSWER_MODELS
from caas_tasks.errors import ERRORS_BY_CODE
from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from gateway import examples, openapi
from gateway.app import create_app


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a JSON value."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for element in value:
            yield from references(element)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document()


def test_it_has_what_an_openapi_document_needs(document: dict[str, Any]) -> None:
    """Version, title and paths; every operation an id of its own and its responses described."""
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= document["info"].keys()
    operations = [
        operation for methods in document["paths"].values() for operation in methods.values()
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert set(operation["tags"]) <= tags
        for response in operation["responses"].values():
            assert "$ref" in response or response["description"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No `$ref` points at nothing."""
    for reference in references(document):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_it_has_the_routes_that_exist(document: dict[str, Any], scripted: Any) -> None:
    """Paths and methods are the application's, the two pages about them aside."""
    routes = {
        (route.path, method.lower())  # type: ignore[attr-defined]
        for route in create_app(client=scripted).routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    described = {
        (path, method) for path, methods in document["paths"].items() for method in methods
    }
    assert described == routes - {("/openapi.json", "get"), ("/docs", "get")}


def test_every_error_is_described(document: dict[str, Any]) -> None:
    """Each code has a response with its status, and each operation refers to all of them."""
    responses = document["components"]["responses"]
    assert responses.keys() == ERRORS_BY_CODE.keys()
    expected = {str(error.http_status) for error in ERRORS_BY_CODE.values()} | {"200"}
    for operation in Operation:
        assert document["paths"][f"/{operation.value}"]["post"]["responses"].keys() == expected


def test_both_forms_of_the_api_key_are_described(document: dict[str, Any]) -> None:
    """As bearer, or as a field of the body that is then not required."""
    assert document["security"] == [{"bearer": []}, {}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    request = document["components"]["schemas"]["EncryptRequest"]
    assert "apiKey" in request["properties"]
    assert "apiKey" not in request["required"]


@pytest.mark.parametrize("operation", list(Operation))
def test_the_examples_are_valid(operation: Operation) -> None:
    """Requests pass the check that real ones do; answers have the fields of their models."""
    parse_item(operation, examples.ITEMS[operation])
    model = ANSWER_MODELS[operation]
    assert (
        model.model_validate(examples.ANSWERS[operation]).model_dump()
        == (examples.ANSWERS[operation])
    )


@pytest.mark.parametrize("operation", list(Operation))
def test_unknown_fields_are_refused_as_described(
    operation: Operation, document: dict[str, Any]
) -> None:
    """The schemas close what the models close, and a single request has no reference."""
    name = openapi.schema_name(operation)
    request = document["components"]["schemas"][f"{name}Request"]
    assert request["additionalProperties"] is False
    assert "reference" not in request["properties"]


def test_the_version_is_known_without_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source tree that is not installed has a document too."""

    def missing(_name: str) -> str:
        raise openapi.PackageNotFoundError

    monkeypatch.setattr(openapi, "version", missing)
    assert openapi.document()["info"]["version"] == "0"


@pytest.mark.anyio
async def test_it_is_served_as_json(http: httpx.AsyncClient, document: dict[str, Any]) -> None:
    """`/openapi.json` is the document."""
    response = await http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == document
