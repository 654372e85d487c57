"""The system in containers: ``docker compose up --scale home=20`` and what follows (R1, R2, R25).

Needs a Docker engine with Compose v2. Where none answers, every test here is reported as skipped by
its name. The stack is brought up once; each test leaves it running, or the next brings it up again.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from energymarket import topology
from energymarket.settings import OTLP_ENDPOINT
from tests.browser.visitor import browsing, visit
from tests.deployment import OURS, THEIRS
from tests.prometheus_server import program
from tests.system.stack import TICK_SECONDS, Exit, Stack, eventually, why_no_engine

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

HOMES = 20
EXIT_S = 3.0
HOME_MIB = 45.0
STACK_MIB = 1024.0


@pytest.fixture(scope="module")
def no_engine() -> str | None:
    return why_no_engine()


@pytest.fixture(scope="module")
def _stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        stack.build()
        stack.up(HOMES)
        yield stack
    finally:
        stack.clean_up()


@pytest.fixture
def stack(request: pytest.FixtureRequest, no_engine: str | None) -> Stack:
    """The running stack with ``HOMES`` homes; skips the test, by name, without an engine."""
    if no_engine is not None:
        pytest.skip(f"{request.node.name} needs a Docker engine: {no_engine}")
    stack: Stack = request.getfixturevalue("_stack")
    stack.up(HOMES)
    return stack


# ------------------------------------------------------------------------------ it runs, it trades


def test_a_price_answers_after_up(stack: Stack) -> None:
    """R25: how many seconds after is for ``python -m bench compose`` to say."""
    assert stack.price()["price_eur_per_kwh"] > 0


def test_the_price_moves_from_tick_to_tick(stack: Stack) -> None:
    """R15, R25."""
    seen: dict[int, float] = {}
    for _ in range(5):
        price = stack.get("/price")
        seen[price["tick"]] = price["price_eur_per_kwh"]
        stack.wait_for_ticks(1)
    assert len(seen) >= 4
    assert len(set(seen.values())) > 1
    assert all(value > 0 for value in seen.values())


def test_every_home_is_listed_and_has_receipts(stack: Stack) -> None:
    """R2, R8."""
    homes = stack.homes()
    assert len(homes) == HOMES
    stack.wait_for_ticks(2)
    for home in homes:
        assert stack.receipts(home), f"home {home} has no receipt"


def test_nothing_is_lost_or_made_in_any_tick(stack: Stack) -> None:
    """R13: the market's own audit, over all that happened in this stack."""
    audit = stack.get("/audit")
    assert audit["ok"] is True
    assert audit["energy_residual_wh"] == 0
    assert audit["money_residual_neur"] == 0


def test_weather_reaches_the_market_through_redis(stack: Stack) -> None:
    """R20: with the market's own user, who may only read."""
    program = (
        "import os, redis\n"
        "r = redis.Redis.from_url(os.environ['ENERGYMARKET_REDIS_URL'], decode_responses=True)\n"
        "print(r.get('weather:temperature'))\n"
        "try: r.set('weather:temperature', '99')\n"
        "except redis.exceptions.NoPermissionError: print('refused')\n"
    )
    temperature, refused = stack.python_in("market", program).split()
    assert -60.0 <= float(temperature) <= 60.0
    assert refused == "refused"


def test_an_event_that_is_posted_with_the_token_is_alive(stack: Stack) -> None:
    """R19."""
    event = {"name": "war", "coefficient_eur_per_kwh": 0.2, "ttl_ticks": 50}
    assert stack.post("/events", event, token=None).status_code == 401
    assert stack.post("/events", event, token="wrong").status_code in (401, 403)
    answer = stack.post("/events", event, token=stack.token)
    assert answer.status_code in (200, 201, 202), answer.text
    eventually("war in /events", lambda: "war" in stack.live_events(), timeout_s=10.0)


def test_the_page_of_the_stack_is_live_with_all_its_homes(stack: Stack) -> None:
    """R22, R25: in a real browser, which asks nobody else."""
    with browsing() as browser, visit(browser, f"http://127.0.0.1:{stack.port}/") as seen:
        seen.state("LIVE")
        seen.says("#homes-online", str(HOMES))
        seen.until_tick(seen.tick() + 3)
        seen.at("#homes-title").scroll_into_view_if_needed()
        seen.says("#homes-count", str(HOMES))
        assert seen.complaints == []
        assert seen.hosts == {f"127.0.0.1:{stack.port}"}


def test_the_page_of_the_stack_moves_the_market_and_says_when_the_broker_is_gone(
    stack: Stack,
) -> None:
    """R19, R22, R25: by its buttons, with the token; and it recovers by itself."""
    with browsing() as browser, visit(browser, f"http://127.0.0.1:{stack.port}/") as seen:
        seen.state("LIVE")
        price = seen.at("#price").inner_text()
        moved = "(price) => document.getElementById('price').textContent !== price"
        seen.until(moved, argument=price)
        seen.unlock(stack.token)
        seen.at("#event-name").fill("general_strike")
        seen.press(seen.at("#event-form button"))
        expect(seen.at(".band.raise").filter(has_text="general strike")).to_be_visible()
        seen.press(seen.at("#pause"))
        seen.state("PAUSED")
        settled = stack.get("/run")["tick"]
        seen.until_tick(settled)
        seen.press(seen.at("#step"))
        seen.until_tick(settled + 1)
        assert stack.get("/run")["tick"] == settled + 1
        seen.press(seen.at("#pause"))
        seen.state("LIVE")
        stack.compose("stop", "rabbitmq")
        try:
            expect(seen.at("#status-word")).to_have_text(re.compile("STALE|RECONNECTING"))
        finally:
            stack.compose("start", "rabbitmq")
        seen.until_tick(settled + 5)
        seen.state("LIVE")
        assert seen.hosts == {f"127.0.0.1:{stack.port}"}


def test_the_settings_of_the_environment_reach_the_market(stack: Stack) -> None:
    """R24."""
    assert stack.get("/run")["settings"]["tick_seconds"] == TICK_SECONDS


@pytest.mark.parametrize("homes", [5, 30])
def test_homes_come_and_go_while_ticks_run(stack: Stack, homes: int) -> None:
    """R2: those that are stopped say good-bye, so the market does not wait for their lease."""
    before = stack.tick()
    stack.up(homes)
    stack.wait_for_ticks(2)
    assert stack.get("/price")["homes"] == homes
    assert len(stack.homes()) == homes
    assert stack.tick() > before
    assert stack.get("/audit")["ok"] is True


def test_trade_goes_on_over_a_new_broker_container(stack: Stack) -> None:
    """R25: its data is on the volume, and everyone connects again by himself."""
    stack.compose("up", "-d", "--no-deps", "--force-recreate", "rabbitmq")
    stack.wait_for_ticks(3)
    eventually("all homes", lambda: stack.get("/price")["homes"] == HOMES, timeout_s=40.0)
    assert stack.get("/audit")["ok"] is True


def test_a_market_that_was_killed_goes_on_with_the_same_ledger(stack: Stack) -> None:
    """R25: neither the run nor a settled tick is lost, and its homes are still its homes."""
    before = stack.get("/run")
    stack.compose("kill", "market")
    stack.up(HOMES)
    stack.wait_for_ticks(2)
    after = stack.get("/run")
    assert after["run"] == before["run"]
    assert after["epoch"] == before["epoch"] + 1
    assert after["tick"] > before["tick"]
    assert len(stack.homes()) == HOMES


def test_homes_come_back_as_themselves_after_a_restart(stack: Stack) -> None:
    """R2, R7: a container keeps its host name, and with it its home."""
    before = stack.homes()
    stack.compose("restart", "home")
    stack.wait_for_ticks(3)
    eventually("all homes", lambda: stack.get("/price")["homes"] == HOMES, timeout_s=20.0)
    assert stack.homes() == before


def test_the_load_test_runs_as_a_container_on_request_and_leaves(stack: Stack) -> None:
    """R1, R25: with a user of its own, and its report on a volume."""
    run = ("--profile", "load", "run", "--rm", "-T")
    options = ("--homes", "50", "--pace", "1", "--seconds", "5", "--headless")
    said = stack.compose(*run, "load", *options)
    assert "50 homes in 4 fleets" in said
    folder = "/var/lib/energymarket/load"
    text = stack.compose(*run, "--entrypoint", "cat", "load", f"{folder}/report.json")
    data = json.loads(text)
    assert data["orders"] >= 50
    assert data["refused"] == data["homes_left"] == 0
    eventually("its own homes", lambda: len(stack.homes()) == HOMES, timeout_s=10.0)
    assert stack.get("/audit")["ok"] is True


def test_prometheus_on_request_asks_every_container_and_follows_the_scale(stack: Stack) -> None:
    """R2, R25: the profile ``observability``; it finds the containers by their service's name."""
    stack.up_with_prometheus(Path(program("prometheus")))

    def finds(homes: int) -> bool:
        wanted = {**dict.fromkeys(OURS, 1.0), "home": float(homes)}
        return stack.prometheus("count by (job) (up == 1)") == wanted

    for homes in (HOMES, HOMES + 3):
        stack.up(homes)
        eventually("all containers", partial(finds, homes), timeout_s=90.0, every_s=1.0)
    assert stack.prometheus("energymarket_ticks_total")["market"] > 0
    (prometheus,) = stack.containers("prometheus")
    assert prometheus["RestartCount"] == 0
    stack.compose("rm", "--stop", "--force", "prometheus")


def test_market_and_homes_send_their_spans_to_a_collector_on_the_inner_network(
    stack: Stack,
) -> None:
    """R25: by one variable of ``docker compose``, and nothing is left of it afterwards."""
    with stack.traced(homes=2) as services:
        wanted = {"energymarket-market", "energymarket-home"}
        eventually("spans", lambda: services() == wanted, timeout_s=60.0, every_s=1.0)
        logs = stack.compose("logs", "--no-color", "market", "home")
        assert "the collector does not take spans" not in logs
    stack.up(HOMES)
    for each in stack.containers("market", "home"):
        assert f"{OTLP_ENDPOINT}=" in each["Config"]["Env"], each["Name"]


# -------------------------------------------------------------------------------- what they may do


def test_no_container_has_root_capabilities_or_a_writable_root(stack: Stack) -> None:
    """R1."""
    containers = stack.containers()
    assert {stack.service_of(c) for c in containers} == {*OURS, *THEIRS}
    for container in containers:
        host, name = container["HostConfig"], container["Name"]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["Config"]["User"]), name
        assert host["ReadonlyRootfs"] is True, name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["Init"] is True, name
        assert host["Privileged"] is False, name
        assert container["RestartCount"] == 0, name


def test_two_ports_are_published_both_on_the_loopback(stack: Stack) -> None:
    """R25."""
    published = {
        (binding["HostIp"], int(binding["HostPort"]))
        for container in stack.containers()
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    assert published == {("127.0.0.1", stack.port), ("127.0.0.1", stack.rabbitmq_port)}


def test_a_home_reaches_the_broker_and_nothing_outside(stack: Stack) -> None:
    """R1: the network of the homes is internal."""
    program = (
        "import socket\n"
        "socket.create_connection(('rabbitmq', 5672), 3).close()\n"
        "try: socket.create_connection(('192.0.2.1', 443), 2)\n"
        "except OSError as error: print(type(error).__name__)\n"
    )
    assert stack.python_in("home", program) in ("OSError", "TimeoutError")


BROKER_ATTEMPTS = """
import os, sys, pika
url, attempt = sys.argv[1] or os.environ["ENERGYMARKET_AMQP_URL"], sys.argv[2:]
try:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        if attempt[0] == "publish":
            channel.basic_publish(attempt[1], attempt[2], b"{}")
        elif attempt[0] == "consume":
            next(channel.consume(attempt[1], inactivity_timeout=1))
        elif attempt[0] == "bind":
            queue = channel.queue_declare(attempt[1], exclusive=True).method.queue
            channel.queue_bind(queue, attempt[2], "#")
    print("allowed")
except pika.exceptions.ChannelClosedByBroker as error:
    print("refused", error.reply_code)
except pika.exceptions.AMQPConnectionError as error:
    print("login refused")
"""


def _attempt(stack: Stack, service: str, *attempt: str, url: str = "") -> str:
    return stack.compose(
        *("exec", "-T", service, "python", "-c", BROKER_ATTEMPTS, url, *attempt)
    ).strip()


@pytest.mark.parametrize(
    ("service", "attempt"),
    [
        ("home", ("publish", topology.TICKS, "")),
        ("home", ("publish", topology.RECEIPTS, "somebody")),
        ("home", ("publish", topology.EXTERNAL, "")),
        ("home", ("publish", topology.OFFERS, "market")),
        ("home", ("publish", "", topology.ORDERS_QUEUE)),
        ("home", ("consume", topology.ORDERS_QUEUE)),
        ("home", ("bind", "fleet.spy", topology.OFFERS)),
        ("home", ("bind", "market.spy", topology.TICKS)),
        ("weather", ("publish", topology.EXTERNAL, "")),
        ("weather", ("publish", topology.TICKS, "")),
        ("external", ("publish", topology.OFFERS, "home.x")),
        ("external", ("bind", "external.spy", topology.RECEIPTS)),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(filter(None, value)),
)
def test_the_broker_refuses_what_is_another_services_business(
    stack: Stack, service: str, attempt: tuple[str, ...]
) -> None:
    """R25."""
    assert _attempt(stack, service, *attempt) == "refused 403"


def test_guest_is_gone_and_the_viewer_only_looks(stack: Stack) -> None:
    """R25."""
    guest = "amqp://guest:guest@rabbitmq:5672/energymarket"
    assert _attempt(stack, "home", "none", url=guest) == "login refused"
    page = f"http://127.0.0.1:{stack.rabbitmq_port}/api"
    viewer = ("viewer", stack.passwords["ENERGYMARKET_RABBITMQ_VIEWER_PASSWORD"])
    with httpx.Client(trust_env=False, timeout=10.0) as client:
        assert client.get(f"{page}/overview", auth=("guest", "guest")).status_code == 401
        assert client.get(f"{page}/overview", auth=viewer).status_code == 200
        queue = f"{page}/queues/energymarket/{topology.ORDERS_QUEUE}"
        assert client.get(queue, auth=viewer).status_code == 200
        assert client.delete(queue, auth=viewer).status_code in (401, 403)
        assert client.get(f"{page}/definitions", auth=viewer).status_code in (401, 403)


def test_no_password_and_no_token_stands_in_a_log(stack: Stack) -> None:
    """R1: nor on a command line."""
    logs = stack.compose("logs", "--no-color")
    commands = json.dumps([[c["Path"], *c["Args"]] for c in stack.containers()])
    for name, secret in [*stack.passwords.items(), ("ENERGYMARKET_API_TOKEN", stack.token)]:
        assert secret not in logs, name
        assert secret not in commands, name


def test_twenty_homes_and_all_they_need_fit_into_a_gibibyte(stack: Stack) -> None:
    """R2."""
    stack.wait_for_ticks(10)
    memory = stack.memory_mib()
    homes = {name: used for name, used in memory.items() if "-home-" in name}
    assert len(homes) == HOMES
    assert max(homes.values()) < HOME_MIB, homes
    assert sum(memory.values()) < STACK_MIB, memory


# ----------------------------------------------------------------------------------- how they stop


def test_everything_stops_within_seconds_and_without_a_fault(stack: Stack) -> None:
    """R23: also with an open event stream. The best of three, for 25 processes end on processors
    that may be busy with other things."""
    for _ in range(3):
        exits = stopped_with_an_open_stream(stack)
        assert len(exits) == HOMES + len(OURS) - 1 + len(THEIRS)
        assert [each for each in exits if each.code] == []
        slow = [each for each in exits if each.service in OURS and each.seconds >= EXIT_S]
        stack.up(HOMES)
        if not slow:
            return
    raise AssertionError(f"not within {EXIT_S} s, three times: {slow}")


def stopped_with_an_open_stream(stack: Stack) -> list[Exit]:
    """How each container ended when all were told to."""
    streaming = threading.Event()
    thread = threading.Thread(target=stack.read_stream, args=(streaming,))
    thread.start()
    assert streaming.wait(10.0), "no event on /stream"
    with stack.exits() as exits:
        stack.compose("stop")
    thread.join(10.0)
    assert not thread.is_alive(), "the event stream is still open"
    return exits


def test_the_ledger_goes_on_where_it_was_after_a_stop(stack: Stack) -> None:
    """R21, R23: down keeps the volumes."""
    before = stack.get("/run")
    stack.down()
    stack.up(HOMES)
    stack.wait_for_ticks(2)
    after = stack.get("/run")
    assert after["run"] == before["run"]
    assert after["tick"] > before["tick"]
    assert stack.get("/audit")["ok"] is True


def test_no_queue_of_a_home_is_left_behind(stack: Stack) -> None:
    """R23."""
    stack.up(2)
    viewer = ("viewer", stack.passwords["ENERGYMARKET_RABBITMQ_VIEWER_PASSWORD"])
    page = f"http://127.0.0.1:{stack.rabbitmq_port}/api/queues/energymarket"

    def fleets() -> int:
        queues = httpx.get(page, auth=viewer, trust_env=False, timeout=10.0).json()
        return sum(queue["name"].startswith("fleet.") for queue in queues)

    eventually("two queues of homes", lambda: fleets() == 2, timeout_s=20.0)


def test_down_leaves_no_container_volume_or_network(stack: Stack) -> None:
    """R23."""
    assert all(stack.leftovers().values())
    stack.down("-v")
    assert stack.leftovers() == {"containers": [], "volumes": [], "networks": []}
