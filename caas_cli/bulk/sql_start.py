"""From the options to a run over a table."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, SecretStr

from caas_cli import client_env
from caas_cli.bulk.dry_run import dry_run
from caas_cli.bulk.extra import needing_extra
from caas_cli.bulk.journal import keyed_hash
from caas_cli.bulk.limited import limited
from caas_cli.bulk.report import Report
from caas_cli.bulk.request import Request
from caas_cli.exit_codes import UsageError
from caas_cli.home import Home
from caas_tasks.settings import CaasSettings, load_settings


class DatabaseSettings(CaasSettings):
    """Where the table of `caas bulk --table` is."""

    database_url: SecretStr = Field(
        description="SQLAlchemy URL of the database that `caas bulk --table` works on."
    )


def start_table(request: Request, home: Home) -> Report:
    """Do all rows of a table.

    Raises:
        CommandError: it can't be done, or not to the end.
        ConfigurationError: a setting is missing or wrong.
    """
    if request.key_column is None or not request.to:
        raise UsageError("--table needs --key-column and at least one --to FIELD=COLUMN")
    if request.keep or request.kind is not None:
        raise UsageError("--keep and --format are for files")
    with needing_extra():
        from caas_cli.bulk import sql_run, sql_table
        from caas_cli.bulk.sql_checkpoint import SqlCheckpoint
    from caas_cli.bulk.start import asking

    url = load_settings(DatabaseSettings).database_url.get_secret_value()
    engine = sql_table.connect(url)
    try:
        table = sql_table.SqlTable(
            engine, request.table or "", request.columns(), request.operation, request.only_null
        )
        if request.dry_run:
            return dry_run(limited(table.chunks(None, 0), request.limit), request.operation)
        api_key = client_env.setting(home.client_env, client_env.API_KEY)
        options = json.dumps([request.table, request.operation.operation.value, request.identity()])
        task = sql_run.SqlRun(
            engine,
            table,
            SqlCheckpoint(engine, keyed_hash(api_key, b"table", options.encode())),
            request.failures or Path(f"{request.table}.failures.csv".replace("/", "_")),
            request.operation.chunks_under_way,
            request.limit,
        )
        with asking(request, home) as service:
            mark = sql_run.begin(task, resume=request.resume, force=request.force)
            return sql_run.run(task, mark, service.ask, service.progress, service.stop)
    finally:
        engine.dispose()
