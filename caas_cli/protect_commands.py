"""`caas hash-password`, `seal` and their like: passwords, and data that comes back.

Secrets come from a prompt that doesn't show them, or from standard input, as `caas encrypt` takes
them; what is stored, a hash or a token, is an option, since it is no secret of this process.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from caas_cli.exit_codes import ExitCode
from caas_cli.home import Home
from caas_cli.options import Json, UserUuid
from caas_cli.output import say, say_fields, say_json

Context = Annotated[
    str, typer.Option(help="What it is for, such as a column's name; the same when it is opened.")
]
Token = Annotated[str, typer.Option(help="What `caas seal` gave.")]
app = typer.Typer()


@app.command(
    "hash-password",
    epilog='Example: printf %s "$PASSWORD" | caas hash-password --user-uuid "$UUID"',
)
def hash_password_command(user_uuid: UserUuid, as_json: Json = False) -> None:
    """Hash a password from standard input, or from a prompt that does not show it."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        stored = client.hash_password(user_uuid, requests.sensitive_data("Password"))
    if as_json:
        say_json({"hash": stored})
    else:
        say(stored)


@app.command(
    "verify-password",
    epilog="Example: caas verify-password --user-uuid U --hash '$caas-argon2id$…' < password.txt",
)
def verify_password_command(
    user_uuid: UserUuid,
    stored_hash: Annotated[
        str | None, typer.Option("--hash", help="The stored hash; none costs as much, and fails.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a password from standard input or a prompt with a stored hash; exit 1 if wrong."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        password = requests.sensitive_data("Password")
        answer = client.verify_password(user_uuid, password, stored_hash)
    fields = {"valid": answer.valid, "needs_update": answer.needs_update, "hash": answer.new_hash}
    if as_json:
        say_json(fields)
    else:
        say("valid" if answer.valid else "not valid")
        if answer.new_hash is not None:
            say(f"store in its place: {answer.new_hash}")
    raise typer.Exit(ExitCode.OK if answer.valid else ExitCode.NEGATIVE)


@app.command("seal", epilog="Example: caas seal --user-uuid U --context address < address.txt")
def seal_command(user_uuid: UserUuid, context: Context = "", as_json: Json = False) -> None:
    """Seal bytes from standard input, or text from a prompt that does not show it."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        token = client.seal(user_uuid, requests.plaintext(), context.encode())
    if as_json:
        say_json({"token": token})
    else:
        say(token)


@app.command("open", epilog="Example: caas open --user-uuid U --context address --token caas1.…")
def open_command(user_uuid: UserUuid, token: Token, context: Context = "") -> None:
    """Write the plaintext of a token to standard output, byte by byte as it was."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        plaintext = client.open(user_uuid, token, context.encode())
    sys.stdout.buffer.write(plaintext)
    sys.stdout.buffer.flush()


@app.command("rewrap", epilog="Example: caas rewrap --user-uuid U --context address --token …")
def rewrap_command(
    user_uuid: UserUuid, token: Token, context: Context = "", as_json: Json = False
) -> None:
    """Bring a token under the newest key version; the plaintext stays with the workers."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        answer = client.rewrap(user_uuid, token, context.encode())
    if as_json:
        say_json({"token": answer.token, "changed": answer.changed})
    else:
        say(answer.token)


@app.command("inspect", epilog="Example: caas inspect '$caas-argon2id$…'")
def inspect_command(
    value: Annotated[str, typer.Argument(help="A token or a password hash.")],
    as_json: Json = False,
) -> None:
    """Say of what kind, key version and profile a stored value is; asks nobody."""
    from dataclasses import asdict

    from producer_client import inspect

    fields = asdict(inspect(value))
    (say_json if as_json else say_fields)(fields)
