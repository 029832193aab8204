"""Flower as a developer sees it, in Chromium, while tasks run; nothing of them shows."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from rig.canary import Markers, search
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import Stack, free_port

from producer_client import Client, ServiceError

pytestmark = pytest.mark.browser

TASKS = 500
USER = "developer"
PASSWORD = "a-password-of-this-test"
SLOW_MS = 30_000
VIEWPORT: Any = {"width": 1280, "height": 600}
API = (
    *("/api/workers?refresh=1", "/api/tasks?limit=2000", "/api/task/types"),
    *("/api/queues/length", "/metrics", "/workers?json=1"),
)


class Scene:
    """A service, one worker by `caas worker`, `caas flower`, and calls that carry markers."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.markers = Markers()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        caas = [sys.executable, "-m", "caas_cli"]
        self.worker = LoggedProcess([*caas, "worker"], stack.env)
        login = {"CAAS_FLOWER_USER": USER, "CAAS_FLOWER_PASSWORD": PASSWORD}
        env = {**stack.env, **login, "CAAS_API_KEY": None}
        self.flower = LoggedProcess([*caas, "flower", "--port", str(self.port)], env)
        self.answered = 0
        self._ended = threading.Event()
        self._stopped = threading.Event()
        self._caller = threading.Thread(target=self._call, daemon=True)

    def start(self) -> None:
        """Ready when Flower has switched the worker's events on."""
        self.flower.wait_for("Flower listens")
        self.stack.wait_until_ready()
        self.worker.wait_for("Events of group {task} enabled by remote")
        self._caller.start()

    def _call(self) -> None:
        m = self.markers
        # A failed test stops the worker under the last call.
        with Client(**self.stack.client_options(), timeout_s=30) as client, suppress(ServiceError):
            while not self._stopped.is_set() and not self._has_done_enough():
                stored = client.encrypt(m.user_uuid, m.data)
                client.verify(m.user_uuid, m.data, stored.encrypted_data)
                client.blind_index(m.field_name, m.value)
                client.wrap(m.user_uuid, m.digest)
                self.answered += 4

    def _has_done_enough(self) -> bool:
        return self._ended.is_set() and self.answered >= TASKS

    def wait_for_tasks(self) -> None:
        """Until at least `TASKS` tasks have run."""
        self._ended.set()
        self._caller.join(300)
        assert self.answered >= TASKS

    def stop(self) -> None:
        """End all of it."""
        self._stopped.set()
        if self._caller.ident is not None:
            self._caller.join(DEADLINE_S)
        self.flower.stop()
        self.worker.stop()

    def api(self, path: str) -> bytes:
        """What an API answers, with its headers."""
        answer = httpx.get(self.url + path, auth=(USER, PASSWORD), timeout=60)
        assert answer.status_code == 200, (path, answer.status_code)
        return repr(answer.headers).encode() + b"\n" + answer.content


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        made = Scene(stack)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def take_picture(page: Page, folder: Path | None, name: str) -> None:
    if folder is not None:
        page.screenshot(path=folder / f"{name}.png")


def test_developers_see_queues_workers_and_tasks_and_nothing_secret(
    scene: Scene, chromium: Browser, screenshots: Path | None
) -> None:
    """While tasks run, each page shows them by name, time and outcome; no marker is anywhere."""
    context = chromium.new_context(
        http_credentials={"username": USER, "password": PASSWORD}, viewport=VIEWPORT
    )
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    evidence: dict[str, bytes] = {}

    page.goto(f"{scene.url}/tasks")
    expect(page.locator("#tasks-table tbody")).to_contain_text("caas.encrypt", timeout=SLOW_MS)
    expect(page.locator("#tasks-table tbody")).to_contain_text("SUCCESS", timeout=SLOW_MS)
    take_picture(page, screenshots, "flower-tasks")
    evidence["tasks"] = page.content().encode()

    page.locator("#tasks-table tbody a[href*='/task/']").first.click()
    expect(page.locator("#task-page")).to_contain_text("<sealed>", timeout=SLOW_MS)
    take_picture(page, screenshots, "flower-task")
    evidence["task"] = page.content().encode()

    for name, path, text in (
        ("flower-workers", "/workers", "caas-"),
        ("flower-queues", "/broker", "caas.password"),
    ):
        page.goto(scene.url + path)
        expect(page.locator("body")).to_contain_text(text, timeout=SLOW_MS)
        take_picture(page, screenshots, name)
        evidence[name] = page.content().encode()

    page.goto(f"{scene.url}/workers")
    page.locator("a[href*='/worker/']").first.click()
    expect(page.locator("body")).to_contain_text("caas.fast", timeout=SLOW_MS)
    evidence["worker"] = page.content().encode()

    scene.wait_for_tasks()
    context.close()
    evidence.update({path: scene.api(path) for path in API})
    task_id = next(
        iter(httpx.get(f"{scene.url}/api/tasks?limit=1", auth=(USER, PASSWORD), timeout=60).json())
    )
    evidence["task info"] = scene.api(f"/api/task/info/{task_id}")
    scene.flower.stop()
    scene.worker.stop()
    evidence["flower's log"] = scene.flower.log.encode()
    evidence["worker's log"] = scene.worker.log.encode()

    assert all(evidence.values())
    tasks = json.loads(evidence["/api/tasks?limit=2000"].partition(b"\n")[2])
    assert len(tasks) >= TASKS
    assert {task["args"] for task in tasks.values()} == {"<sealed>"}
    assert {task["result"] for task in tasks.values()} == {", ..."}
    found = search(evidence, scene.markers.needles(scene.stack.keystore.api_key, PASSWORD * 3))
    assert found == set()
    assert "Events of group {task} disabled by remote" in scene.worker.log


def test_nothing_is_shown_without_the_login(scene: Scene) -> None:
    """Without the login, or with another, every page, API and static file is refused."""
    paths = ("/", "/tasks", "/broker", "/static/js/flower.js", *API)
    answers = [httpx.get(scene.url + path).status_code for path in paths]
    answers += [httpx.get(scene.url + path, auth=(USER, "x" * 20)).status_code for path in paths]
    answers += [httpx.post(f"{scene.url}/api/task/send-task/caas.encrypt").status_code]
    assert set(answers) == {401}


def test_workers_cannot_be_touched_through_it(scene: Scene) -> None:
    """It is for looking: no task is sent, no worker stopped, with the login either."""
    paths = ("/api/task/send-task/caas.encrypt", "/api/worker/shutdown/x", "/api/task/revoke/x")
    answers = [
        httpx.post(scene.url + path, auth=(USER, PASSWORD), json={}).status_code for path in paths
    ]
    assert set(answers) <= {401, 403}
