"""The documentation page at `/docs`: the OpenAPI document as HTML, made here.

It works without the internet and runs no script. A page of the host that API keys are sent to is
no place for someone else's JavaScript, so its Content-Security-Policy allows its own style alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any, Final

from gateway.openapi import document

_STYLE: Final = """
:root{color-scheme:light dark;--line:#8885;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1{margin-bottom:0}
section{border-top:1px solid var(--line);margin-top:1.5rem}
h3{font-size:1.1rem;margin-bottom:.25rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9rem}
pre{background:var(--soft);padding:.75rem;overflow-x:auto;border-radius:.25rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}
th,td{border-top:1px solid var(--line)}
th{border-top:0}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

DOCS_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
)


def docs_html() -> bytes:
    """The page, UTF-8."""
    described = document()
    info = described["info"]
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(info['title'])}</h1><p>Version {escape(info['version'])}. The same as ",
            '<a href="/openapi.json">OpenAPI 3.1</a>.</p>',
            f"<p>{escape(info['description'])}</p>",
            *(_tag(tag, described) for tag in described["tags"]),
            _errors(described["components"]["responses"]),
            "</body></html>",
        )
    ).encode()


def _tag(tag: dict[str, str], described: dict[str, Any]) -> str:
    operations = [
        _operation(method, path, operation, described)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    ]
    heading = f"<h2>{escape(tag['name'].capitalize())}</h2><p>{escape(tag['description'])}</p>"
    return heading + "".join(operations)


def _operation(method: str, path: str, operation: dict[str, Any], described: dict[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}">',
        f"<h3><code>{escape(method.upper())} {escape(path)}</code></h3>",
        f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>",
    ]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        parts.append(_fields(content["schema"]["$ref"], described["components"]["schemas"]))
        parts.append(f"<p>Request</p><pre>{escape(_curl(path, content['example']))}</pre>")
    answered = operation["responses"]["200"]
    example = answered["content"]["application/json"]["example"]
    parts.append(f"<p>Answer</p><pre>{escape(_pretty(example))}</pre>")
    notes = [
        f"<li>Query <code>{escape(query['name'])}={escape(query['schema']['const'])}</code>: "
        f"{escape(query['description'])}</li>"
        for query in operation.get("parameters", ())
    ] + [
        f"<li>Header <code>{escape(name)}</code>: {escape(header['description'])}</li>"
        for name, header in answered.get("headers", {}).items()
    ]
    if notes:
        parts.append(f"<ul>{''.join(notes)}</ul>")
    parts.append("</section>")
    return "".join(parts)


def _fields(reference: str, schemas: dict[str, Any]) -> str:
    schema = schemas[reference.rpartition("/")[2]]
    # A batch's fields are few and known; its items' are the ones to look up.
    items = schema["properties"].get("items", {}).get("items", {}).get("$ref")
    described = schemas[items.rpartition("/")[2]] if items else schema
    required = set(described.get("required", ()))
    rows = [
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(field))}</td>"
        f"<td>{'required' if name in required else 'optional'}</td></tr>"
        for name, field in described["properties"].items()
    ]
    where = "Field of an item" if items else "Field"
    return f"<table><tr><th>{where}</th><th>Type</th><th></th></tr>{''.join(rows)}</table>"


def _type(field: dict[str, Any]) -> str:
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    choice = choices[0]
    text = str(choice.get("type", ""))
    if "minLength" in choice:
        text += f", at least {choice['minLength']} characters"
    if "maxLength" in choice:
        text += f", at most {choice['maxLength']} characters"
    if "pattern" in choice:
        text += f", {choice['pattern']}"
    return text


def _errors(responses: dict[str, Any]) -> str:
    rows = []
    for code, response in responses.items():
        example = response["content"]["application/problem+json"]["example"]
        rows.append(
            f"<tr><td>{example['status']}</td><td><code>{escape(code)}</code></td>"
            f"<td>{escape(example['detail'])}</td></tr>"
        )
    sample = next(iter(responses.values()))["content"]["application/problem+json"]["example"]
    return (
        '<section id="errors"><h2>Errors</h2><table><tr><th>Status</th><th>Code</th>'
        f"<th>Detail</th></tr>{''.join(rows)}</table><pre>{escape(_pretty(sample))}</pre></section>"
    )


def _curl(path: str, example: dict[str, Any]) -> str:
    body = {name: value for name, value in example.items() if name != "apiKey"}
    return (
        f'curl -sS "$CAAS_GATEWAY_URL{path}" \\\n'
        '  -H "Authorization: Bearer $CAAS_API_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{_pretty(body)}'"
    )


def _pretty(example: Any) -> str:
    return json.dumps(example, indent=2)
