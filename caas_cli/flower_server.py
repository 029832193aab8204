"""Flower's web application, closed to whoever has no login and made to read this broker."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from flower.api.tasks import GetQueueLengths
from flower.app import Flower
from flower.options import options
from flower.urls import settings as web_settings
from flower.views.broker import BrokerView
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from caas_cli.output import warn
from caas_tasks.celery_app import create_app
from caas_tasks.names import Lane
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl

if TYPE_CHECKING:
    from caas_cli.flower import FlowerSettings

HEALTH_PATH: Final = "/healthcheck"
TIMEOUT_S: Final = 5.0
POOL_CONNECTIONS: Final = 32
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _LoginRequired(RequestHandler):
    """Answers any request that came without the login."""

    def prepare(self) -> None:
        """Refuse before a method is looked at."""
        self.set_status(401)
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.set_header("WWW-Authenticate", 'Basic realm="caas flower", charset="UTF-8"')
        self.finish("A login is needed.")

    def check_xsrf_cookie(self) -> None:
        """Nothing is done for anyone here."""


class FlowerServer(Flower):
    """Flower behind one check of the login.

    Flower checks page by page, and leaves `/metrics` out.

    Args:
        login: `user:password`.
    """

    def __init__(self, login: str, **kwargs: Any) -> None:
        self._login = login.encode()
        super().__init__(**kwargs)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The page, or the refusal."""
        if request.path == HEALTH_PATH or self._has_login(request):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, _LoginRequired)

    def _has_login(self, request: HTTPServerRequest) -> bool:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        # Compared in constant time, also when the scheme is another.
        matches = hmac.compare_digest(given, self._login)
        return matches and scheme.lower() == "basic"

    def switch_events_off(self) -> None:
        """Give the workers back what their events cost; another Flower switches them on again."""
        try:
            self.capp.control.disable_events()
        except (*self.capp.connection_for_write().recoverable_connection_errors, OSError) as error:
            warn(f"caas flower: events stay on: {type(error).__name__}")

    @cached_property
    def broker_uri(self) -> str:
        """What the pages show: never a password."""
        return self.broker.display

    @property
    def broker(self) -> BrokerUrl:
        """The broker that is looked at."""
        found: BrokerUrl = self.capp.broker
        return found


class _LaneLengths:
    """Reads the lengths of the lanes over a connection as secure as every other of this service.

    Flower's own knows neither this service's addresses nor its certificates.
    """

    def __init__(self, broker: BrokerUrl) -> None:
        self._broker = broker

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Name and length of each queue that is a lane."""
        lanes = sorted({lane.value for lane in Lane} & set(names))
        lengths = await asyncio.get_running_loop().run_in_executor(None, self._lengths, lanes)
        return [
            {"name": lane, "messages": length} for lane, length in zip(lanes, lengths, strict=True)
        ]

    def _lengths(self, lanes: list[str]) -> list[int]:
        with connect(self._broker, socket_timeout=TIMEOUT_S) as connection:
            pipeline = connection.pipeline(transaction=False)
            for lane in lanes:
                pipeline.llen(lane)
            return [int(length) for length in pipeline.execute()]


class _Queues(BrokerView):
    def get_broker(self) -> _LaneLengths:
        """What the page reads."""
        return _LaneLengths(self.application.broker)


class _QueuesApi(GetQueueLengths):
    def get_broker(self) -> _LaneLengths:
        """What the answer is read from."""
        return _LaneLengths(self.application.broker)


def make(settings: FlowerSettings) -> FlowerServer:
    """The application, not listening yet; connects to nothing until it is started."""
    login = f"{settings.flower_user}:{settings.flower_password.get_secret_value()}"
    options.address = settings.flower_host
    options.port = settings.flower_port
    options.basic_auth = [login]
    options.read_only = True
    options.persistent = False
    options.max_tasks = settings.flower_max_tasks
    options.max_workers = 500
    options.purge_offline_workers = 3_600
    options.tasks_columns = "name,uuid,state,received,runtime,worker"
    app = create_app(settings.brokers()[0])
    # Flower asks workers from several threads, each with two connections of the pool: with fewer
    # than that for all of them they wait for each other for ever.
    app.conf.broker_pool_limit = POOL_CONNECTIONS
    server = FlowerServer(login, options=options, capp=app, **web_settings)
    server.add_handlers(r".*", [(r"/broker", _Queues), (r"/api/queues/length", _QueuesApi)])
    return server
