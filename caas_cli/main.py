"""The commands of `caas` and their options; what they do is in the modules that they import late.

Importing this module is quick: `caas --help` needs neither Celery nor cryptography.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from caas_cli import (
    apikey_commands,
    audit_commands,
    bench_commands,
    bulk_commands,
    capacity_commands,
    flower_commands,
    healthcheck_commands,
    key_commands,
    protect_commands,
    service_key_commands,
    tenant_commands,
    usage,
)
from caas_cli.exit_codes import MEANINGS, ExitCode, exit_code_of, one_line
from caas_cli.home import Home
from caas_cli.options import Json, LaneName, ProfileName, SaltPool, UserUuid
from caas_cli.output import say, say_fields, say_json, warn

EPILOG = "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items()) + "."


class CaasGroup(TyperGroup):
    """Ends every error in one line on standard error and the exit code of docs/cli.md."""

    def main(  # type: ignore[override] # the options left out are Windows's and completion's
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Parse, run and exit."""
        extra["standalone_mode"] = False
        try:
            code = super().main(args=args, prog_name=prog_name or "caas", **extra)
        except typer.TyperException as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                say(str(error))
            else:
                # Only the option's name: the value that it got may be data put in the wrong place.
                warn(f"caas: {usage.describe(error)}")
            code = ExitCode.USAGE
        except typer.Abort:
            warn("caas: aborted")
            code = ExitCode.NEGATIVE
        except BrokenPipeError:
            code = ExitCode.NEGATIVE
        except Exception as error:  # noqa: BLE001 - a command's last resort
            warn(f"caas: {one_line(error)}")
            code = exit_code_of(error)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)


app = typer.Typer(
    cls=CaasGroup,
    help="Crypto as a Service: set it up, run its parts, ask it things.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(bench_commands.app)
app.add_typer(capacity_commands.app)
app.add_typer(flower_commands.app)
app.add_typer(healthcheck_commands.app)
app.add_typer(protect_commands.app)
app.add_typer(apikey_commands.app, name="apikey")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(bulk_commands.app, name="bulk")
app.add_typer(key_commands.app, name="key")
app.add_typer(service_key_commands.app, name="service-key")
app.add_typer(tenant_commands.app, name="tenant")


Port = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, help="Where the gateway listens; 0 takes a free port."),
]


@app.command("init", epilog="Example: caas init --tenant shop")
def init_command(
    profile: Annotated[
        ProfileName, typer.Option(help="How `encrypt` computes; classic is weak.")
    ] = ProfileName.HARDENED,
    salt_pool: SaltPool = None,
    tenant: Annotated[str, typer.Option(help="Name of the first application.")] = "shop",
    recovery_recipient: Annotated[
        str | None,
        typer.Option(help="age1… whose identity is kept elsewhere, instead of making one."),
    ] = None,
    compose: Annotated[
        bool, typer.Option("--compose", help="Also .env, certificates, ACL for docker-compose.yml.")
    ] = False,
    renew: Annotated[
        bool,
        typer.Option(
            "--renew", help="With --compose: new certificates and passwords; all keys stay."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an installation in CAAS_HOME (./.caas): keystore, identity, API key, client.env."""
    from caas_cli import compose as containers
    from caas_cli import init

    if renew:
        containers.show_renewed(Home.from_env(), is_compose=compose, as_json=as_json)
        return
    request = init.InitRequest(profile.value, salt_pool, tenant, recovery_recipient)
    make = containers.init if compose else init.init
    init.show(make(Home.from_env(), request), as_json=as_json)


@app.command(
    "worker",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: caas worker --loglevel=DEBUG. All options: celery worker --help",
)
def worker_command(
    ctx: typer.Context,
    lane: Annotated[
        list[LaneName] | None,
        typer.Option(help="What it serves; repeat. Fast and bulk if none; password stands alone."),
    ] = None,
) -> None:
    """Run one crypto worker; further options go to Celery, and win over this program's."""
    from caas_cli import worker_command as worker

    names = [name.value for name in lane or ()]
    raise typer.Exit(worker.run(Home.from_env(), names, ctx.args))


@app.command("gateway", epilog="Example: caas gateway --host 127.0.0.1 --port 8000")
def gateway_command(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; CAAS_GATEWAY_HOST if not given.")
    ] = None,
    port: Port = None,
    listen_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the HTTP gateway."""
    from caas_cli import gateway_command as gateway

    raise typer.Exit(gateway.run(Home.from_env(), host, port, listen_fd))


@app.command("up", epilog="Example: caas up --port 8080 --workers 2")
def up_command(
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
) -> None:
    """Run the whole service here: broker (unless CAAS_BROKER_URL is set), workers and gateway.

    Makes an installation first if there is none. Ctrl-C stops everything.
    """
    from caas_cli import up
    from caas_cli.gateway_command import listen_settings

    host, chosen_port = listen_settings(None, port)
    options = up.UpOptions(host, chosen_port, workers)
    raise typer.Exit(up.up(Home.from_env(), options, up.announce))


@app.command("demo", epilog="Example: caas demo")
def demo_command(port: Port = 0) -> None:
    """Run the whole service, ask it once through the client and once through HTTP, and stop."""
    from caas_cli import demo
    from caas_cli.gateway_command import listen_settings

    raise typer.Exit(demo.demo(Home.from_env(), *listen_settings(None, port)))


@app.command(
    "encrypt",
    epilog='Example: printf %s "$DATA" | caas encrypt --user-uuid "$UUID"',
)
def encrypt_command(user_uuid: UserUuid, as_json: Json = False) -> None:
    """Encrypt data from standard input, or from a prompt that does not show it."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        answer = client.encrypt(user_uuid, requests.sensitive_data())
    fields = {"encrypted_data": answer.encrypted_data, "key_version": answer.key_version}
    (say_json if as_json else say_fields)(fields)


@app.command("verify", epilog="Example: caas verify --user-uuid U --encrypted-data H < data.txt")
def verify_command(
    user_uuid: UserUuid,
    encrypted_data: Annotated[str, typer.Option(help="The stored value.")],
    key_version: Annotated[
        int | None, typer.Option(help="The stored key version; all enabled ones if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare data from standard input or a prompt with a stored value; exit 1 when it differs."""
    from caas_cli import requests

    with requests.client(Home.from_env()) as client:
        answer = client.verify(user_uuid, requests.sensitive_data(), encrypted_data, key_version)
    if as_json:
        say_json({"valid": answer.valid, "needs_update": answer.needs_update})
    else:
        say(
            ("valid, needs update" if answer.needs_update else "valid")
            if answer.valid
            else "not valid"
        )
    raise typer.Exit(ExitCode.OK if answer.valid else ExitCode.NEGATIVE)


@app.command("doctor", epilog="Example: caas doctor --json")
def doctor_command(as_json: Json = False) -> None:
    """Check the broker, a worker, the keys, versions and clocks, and say what to do."""
    from caas_cli import doctor

    findings = doctor.examine(Home.from_env())
    doctor.show(findings, as_json=as_json)
    is_well = all(finding.is_ok for finding in findings)
    raise typer.Exit(ExitCode.OK if is_well else ExitCode.NEGATIVE)


def main() -> NoReturn:
    """The program `caas`."""
    app()
    raise SystemExit(ExitCode.INTERNAL)  # never reached: the group exits
