"""`caas up`, `demo` and `worker` as real processes: answering, restarted, stopped, none left."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from rig.hold import HOLD, Hold
from rig.load import Load
from rig.process import LoggedProcess
from rig.service import CAAS, UpProcess, Watch, caas, descendants
from rig.stack import Stack

from caas_cli.exit_codes import ExitCode
from caas_cli.up import EXAMPLE_DATA, EXAMPLE_UUID
from producer_client import Client, UnauthorizedError

pytestmark = pytest.mark.integration

CALLS = 400
TIMEOUT_S = 20.0
HTTP = httpx.Client(timeout=TIMEOUT_S, trust_env=False)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[UpProcess]:
    """A service of the test's own, ready."""
    service = UpProcess(tmp_path / "home")
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.process.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    """A service that tests leave as they found it."""
    service = UpProcess(tmp_path_factory.mktemp("up") / "home")
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.process.stop()


def client_of(service: UpProcess) -> Client:
    settings = service.client_options()
    return Client(
        broker_url=settings["CAAS_BROKER_URL"],
        api_key=settings["CAAS_API_KEY"],
        server_key=settings["CAAS_SERVER_KEY"],
        timeout_s=TIMEOUT_S,
    )


def first_answer(client: Client) -> str:
    """Ask until the API key is known: a worker looks at its keystore once a second."""
    while True:
        with contextlib.suppress(UnauthorizedError):
            return client.encrypt(EXAMPLE_UUID, EXAMPLE_DATA).encrypted_data


def through_http(service: UpProcess, user_uuid: str, data: str) -> str:
    """One call through the gateway; what isn't a right answer must be a problem with a code."""
    body = {
        "apiKey": service.client_options()["CAAS_API_KEY"],
        "userUUID": user_uuid,
        "sensitiveData": data,
    }
    answer = HTTP.post(f"{service.url}/encrypt", json=body)
    return str(answer.json()["encrypted_data" if answer.is_success else "code"])


# --- a running service


def test_printed_curl_line_works_when_pasted(shared: UpProcess) -> None:
    """The `curl` line, run by a shell, answers with the value that `up` has shown."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    line = next(line for line in shared.process.log.splitlines() if line.startswith("curl "))
    pasted = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert json.loads(pasted.stdout)["encrypted_data"] in shared.process.log


def test_client_with_client_env_gets_an_answer(shared: UpProcess) -> None:
    """What client.env holds is all that a main server needs."""
    with client_of(shared) as client:
        answer = client.encrypt(EXAMPLE_UUID, EXAMPLE_DATA)
    assert answer.encrypted_data in shared.process.log


def test_encrypt_command_prints_json(shared: UpProcess) -> None:
    """`caas encrypt --json` takes its data from standard input and prints the value and version."""
    done = caas(
        shared.home, "encrypt", "--user-uuid", EXAMPLE_UUID, "--json", data=EXAMPLE_DATA.encode()
    )
    answer = json.loads(done.stdout)
    assert (answer["encrypted_data"] in shared.process.log, answer["key_version"]) == (True, 1)


def test_one_newline_at_the_end_of_standard_input_is_no_data(shared: UpProcess) -> None:
    """`echo data | caas encrypt` encrypts what `printf data` would."""
    line = f"{EXAMPLE_DATA}\n".encode()
    done = caas(shared.home, "encrypt", "--user-uuid", EXAMPLE_UUID, "--json", data=line)
    assert json.loads(done.stdout)["encrypted_data"] in shared.process.log


@pytest.mark.parametrize(
    ("data", "code"), [(EXAMPLE_DATA, ExitCode.OK), ("other data", ExitCode.NEGATIVE)]
)
def test_verify_command_answers_by_its_exit_code(
    shared: UpProcess, data: str, code: ExitCode
) -> None:
    """`caas verify` ends with 0 for the right data and with 1 for other data."""
    with client_of(shared) as client:
        stored = client.encrypt(EXAMPLE_UUID, EXAMPLE_DATA).encrypted_data
    arguments = ("verify", "--user-uuid", EXAMPLE_UUID, "--encrypted-data", stored)
    assert caas(shared.home, *arguments, data=data.encode()).returncode == code


def test_doctor_finds_nothing_wrong(shared: UpProcess) -> None:
    """`caas doctor` is content with a service that has just come up."""
    done = caas(shared.home, "doctor", "--json")
    assert [check for check in json.loads(done.stdout) if not check["is_ok"]] == []


def test_new_api_key_works_within_seconds(shared: UpProcess) -> None:
    """A running worker takes a key that `caas apikey create` has just made."""
    made = json.loads(caas(shared.home, "apikey", "create", "--json").stdout)
    settings = shared.client_options()
    with Client(
        broker_url=settings["CAAS_BROKER_URL"],
        api_key=made["api_key"],
        server_key=settings["CAAS_SERVER_KEY"],
        timeout_s=TIMEOUT_S,
    ) as client:
        assert first_answer(client) in shared.process.log


def test_second_up_in_one_home_is_refused(shared: UpProcess) -> None:
    """A home serves one `caas up` at a time."""
    assert caas(shared.home, "up", "--port", "0").returncode == ExitCode.UNAVAILABLE


def test_embedded_broker_is_private_to_its_user(shared: UpProcess) -> None:
    """No other local user may open the broker's socket."""
    assert (shared.home / "broker.sock").stat().st_mode & 0o077 == 0


def test_busy_port_ends_in_one_line(tmp_path: Path) -> None:
    """A port that is taken is told in one line, with its exit code."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        caas(tmp_path / "home", "init")
        done = caas(tmp_path / "home", "up", "--port", port)
    told = (done.returncode, done.stderr.decode())
    assert told == (
        ExitCode.UNAVAILABLE,
        f"caas: port {port} of 127.0.0.1 cannot be listened on: Address already in use\n",
    )


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopping_ends_every_process_and_exits_0(up: UpProcess, number: signal.Signals) -> None:
    """SIGTERM, Ctrl-C or a closed terminal ends all parts and the supervisor, with exit code 0."""
    watch = Watch(descendants(up.process.pid))
    up.send(number)
    assert (up.process.wait(), watch.still_running()) == (0, [])


def test_keystore_opens_after_stopping(up: UpProcess) -> None:
    """Stopping loses no keystore."""
    before = up.keystore()
    up.send(signal.SIGTERM)
    up.process.wait()
    assert up.keystore() == before


def test_killing_the_supervisor_leaves_no_process(up: UpProcess) -> None:
    """`kill -9` of `caas up` itself takes its parts with it."""
    watch = Watch(descendants(up.process.pid))
    up.process.kill()
    assert watch.still_running() == []


def test_same_home_comes_up_again_with_the_same_keys(up: UpProcess) -> None:
    """After a stop, `caas up` in the same home gives the same value for the same data."""
    with client_of(up) as client:
        before = client.encrypt(EXAMPLE_UUID, EXAMPLE_DATA)
    up.process.stop()
    again = UpProcess(up.home)
    try:
        again.wait_until_ready()
        with client_of(again) as client:
            assert client.encrypt(EXAMPLE_UUID, EXAMPLE_DATA) == before
    finally:
        again.process.stop()


# --- kill -9 of a part


def expected_values(service: UpProcess, pairs: list[tuple[str, str]]) -> set[str]:
    with client_of(service) as client:
        return {client.encrypt(*pair).encrypted_data for pair in pairs}


@pytest.mark.parametrize("part", ["broker", "worker-1", "gateway"])
def test_killed_part_comes_back_and_calls_end_right_or_typed(up: UpProcess, part: str) -> None:
    """Calls through HTTP that a `kill -9` meets end with the right answer or a typed error."""
    # A user for each call: the guess limit is on.
    pairs = [(f"{number:08x}-0000-4000-8000-000000000000", "value") for number in range(CALLS)]
    load = Load(pairs, lambda *pair: through_http(up, *pair), break_after=CALLS // 4)
    load.start()
    load.wait_for_the_moment()
    up.kill(part)
    outcomes = load.outcomes()
    # A gateway's own death is what its callers see: the connection ends.
    typed = httpx.TransportError if part == "gateway" else ()
    lost = [o.error for o in outcomes if o.error and not isinstance(o.error, typed)]
    values = {outcome.value for outcome in outcomes if outcome.value is not None}
    strange = values - expected_values(up, pairs) - {"unavailable", "timeout"}
    assert (lost, strange) == ([], set())


@pytest.mark.parametrize("part", ["broker", "worker-1", "gateway"])
def test_killed_part_is_started_again(up: UpProcess, part: str) -> None:
    """A part that dies gets a new process, and the service answers again."""
    old = up.pids()[part]
    up.kill(part)
    before = up.process.wait_for(f"{part} was ended by SIGKILL")
    up.process.wait_for(f"{part} started", after=before)
    answer = through_http(up, EXAMPLE_UUID, EXAMPLE_DATA)
    assert (up.pids()[part] != old, answer in up.process.log) == (True, True)


# --- demo


def test_demo_shows_both_answers_and_stops(tmp_path: Path) -> None:
    """`caas demo` gets one answer through client and HTTP alike, and ends well."""
    done = caas(tmp_path / "home", "demo")
    shown = [line.split()[-1] for line in done.stdout.decode().splitlines() if "through" in line]
    assert (done.returncode, len(set(shown)), len(shown)) == (0, 1, 2)


# --- worker


def test_worker_command_finishes_what_it_began_on_sigterm(
    new_stack: Callable[..., Stack], hold: Hold
) -> None:
    """SIGTERM amid an operation: its caller gets the answer, then the worker ends with 0."""
    stack = new_stack()
    worker = LoggedProcess(
        [*CAAS, "worker", "--include=rig.plugins.hold"], {**stack.env, **hold.env}
    )
    answers: list[str] = []
    client = stack.client(timeout_s=TIMEOUT_S)
    call = threading.Thread(
        target=lambda: answers.append(client.encrypt(EXAMPLE_UUID, HOLD).encrypted_data)
    )
    try:
        call.start()
        hold.wait_until_begun()
        worker.terminate()
        worker.wait_for("Warm shutdown")
        hold.release()
        call.join()
        code = worker.wait()
    finally:
        worker.stop()
    assert (answers, code) == (stack.keystore.expected_encrypted([(EXAMPLE_UUID, HOLD)]), 0)


def test_worker_with_an_unreadable_keystore_refuses_in_one_line(tmp_path: Path) -> None:
    """A keystore that isn't one ends the worker with 78 and one line that says why."""
    home = tmp_path / "home"
    caas(home, "init")
    (home / "keystore.age").write_bytes(b"not a keystore")
    worker = LoggedProcess(
        [*CAAS, "worker"], {"CAAS_HOME": str(home), "CAAS_BROKER_URL": "redis://127.0.0.1:1/0"}
    )
    told = (worker.wait(), worker.log)
    assert told == (
        ExitCode.CONFIGURATION,
        f"caas worker: keystore {home / 'keystore.age'}: does not open with this identity, "
        "or the file is damaged\n",
    )
