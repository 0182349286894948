"""The console page: what its server refuses, and what a person sees and does in a real browser."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from lib.local.console import Console
from lib.local.session import Session
from tests import needs
from tests.local.deployed import Deployed

# The page is the same whatever is deployed; once is enough.
pytestmark = [pytest.mark.local, pytest.mark.parametrize("session", ["stacks"], indirect=True, scope="session")]


@pytest.fixture(scope="module")
def console(session: Session) -> Iterator[Console]:
    with Console(session) as served:
        yield served


def ask(console: Console, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(console.url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    kind = answer.getheader("Content-Type") or ""
    return answer.status, json.loads(text) if "json" in kind else text.decode()


class TestTheServer:
    def test_another_name_for_this_machine_is_refused(self, console: Console) -> None:
        assert ask(console, "GET", "/state", Host="evil.example")[0] == 403, "a rebound name must not read the page"

    def test_another_sites_page_cannot_send_requests(self, console: Console, session: Session) -> None:
        asked = {"method": "GET", "url": f"{session.api_url}/items"}
        assert ask(console, "POST", "/try", asked, Origin="https://evil.example")[0] == 403
        assert ask(console, "POST", "/try", asked, Origin=console.url)[0] == 200

    @pytest.mark.parametrize(
        "asked",
        [
            None,
            [],
            {},
            {"method": "GET", "url": "https://aws.example/"},
            {"method": "GET", "url": "http://127.0.0.1:1/"},
            {"method": 5, "url": "API"},
            {"method": "GET", "url": "API/items", "headers": {"a": "b\nc"}},
        ],
        ids=str,
    )
    def test_what_cannot_be_sent_is_a_400(self, console: Console, session: Session, asked: Any) -> None:
        if isinstance(asked, dict) and "url" in asked:
            asked = {**asked, "url": asked["url"].replace("API", session.api_url)}
        status, answer = ask(console, "POST", "/try", asked)
        assert (status, set(answer)) == (400, {"error"})

    def test_unknown_pages_are_404(self, console: Console) -> None:
        assert ask(console, "GET", "/../emulator.py")[0] == 404
        assert ask(console, "POST", "/")[0] == 404

    def test_it_shows_every_resource_and_alarm(self, console: Console) -> None:
        state = ask(console, "GET", "/state")[1]
        types = {resource["type"] for stack in state["stacks"] for resource in stack["resources"]}
        assert {"aws:dynamodb/table:Table", "aws:lambda/function:Function", "aws:apigateway/stage:Stage"} <= types
        assert {alarm["state"] for alarm in state["alarms"]} <= {"OK", "ALARM", "INSUFFICIENT_DATA"}
        facts = [r["facts"] for s in state["stacks"] for r in s["resources"] if r["type"].endswith(":Table")]
        assert facts[0]["status"] == "ACTIVE"

    def test_requests_are_numbered_and_asked_for_from_a_number_on(self, console: Console, deployed: Deployed) -> None:
        deployed.send("GET", "/items?limit=1")
        everything = ask(console, "GET", "/requests")[1]
        newest = everything[-1]
        assert newest["path"].endswith("/items?limit=1")
        assert any("requestId" in line for line in newest["logs"]), "with the lines of the function"
        assert ask(console, "GET", f"/requests?after={newest['number']}")[1] == []
        assert ask(console, "GET", f"/requests?after={newest['number'] - 1}")[1][0]["number"] == newest["number"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    chromium = needs.program("chromium", "chromium-browser", "google-chrome", package="chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.mark.browser
class TestThePage:
    @pytest.fixture
    def problems(self) -> list[str]:
        return []

    @pytest.fixture(params=["desktop light", "phone dark"])
    def page(
        self, request: pytest.FixtureRequest, browser: Any, console: Console, problems: list[str]
    ) -> Iterator[Any]:
        size, scheme = request.param.split()
        context = browser.new_context(viewport=PHONE if size == "phone" else DESKTOP, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda failed: problems.append(failed.url))
        page.goto(console.url)
        page.wait_for_selector("#routes button")
        yield page
        context.close()
        assert problems == [], "the browser's console must stay empty"

    def test_it_shows_the_routes_sends_a_request_and_shows_its_answer(self, page: Any, deployed: Deployed) -> None:
        assert page.locator("#routes button").count() == 11
        page.click("#routes button:has-text('POST')")
        item_id = deployed.new_id()
        page.fill("#body", json.dumps({"ItemId": item_id, "note": "<b>from</b> the page"}))
        page.click("#send")
        page.wait_for_selector("#answer .status")
        assert page.inner_text("#answer .status") == "201 Created"
        assert "<b>from</b> the page" in page.inner_text("#answer .answer-body"), "text, never markup"
        page.click("#routes button:has-text('GET'):has-text('/items/{ItemId}'):not(:has-text('CreatedAt'))")
        page.fill("input[name=ItemId]", item_id)
        page.click("#send")
        page.wait_for_selector("#answer .status:has-text('200')")
        assert item_id in page.inner_text("#answer .answer-body")
        row = page.locator(f"#request-list li:has(.path:has-text('/items/{item_id}'))").first
        row.wait_for()
        row.locator("summary").click()
        assert '"requestId": "' in row.inner_text(), "the lines of the function are with its request"

    def test_the_openapi_document_gives_a_route_its_fields(self, page: Any) -> None:
        page.click("#routes button:has-text('POST')")
        assert page.inner_text("#summary") == "Create an item"
        assert page.locator("input[name='Idempotency-Key']").count() == 1
        page.click("#routes button:has-text('GET') >> nth=0")
        page.fill("input[name=limit]", "1")
        assert page.inner_text("#preview").endswith("/items?limit=1")
        page.click("#send")
        page.wait_for_selector("#answer .status:has-text('200')")

    def test_a_problem_is_shown_as_one(self, page: Any) -> None:
        page.click("#routes button:has-text('POST')")
        page.fill("#body", "{")
        page.click("#send")
        page.wait_for_selector("#answer .warn")
        assert "invalid-body" in page.inner_text("#answer .answer-body")

    def test_it_shows_the_graph_with_live_values_and_the_alarms(self, page: Any, session: Session) -> None:
        table = page.locator("[data-type='aws:dynamodb/table:Table']")
        assert "status ACTIVE" in table.inner_text()
        function = page.locator("[data-type='aws:lambda/function:Function']")
        assert "uses" in function.inner_text()
        function.locator(".uses a:has-text('Role')").first.click()
        assert "node-" in page.evaluate("location.hash")
        name = f"{session.outputs['lambda_function_name']}-errors"
        client = session.aws.client("cloudwatch")
        client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="shown in a test")
        page.wait_for_selector("#alarm-list .bad:has-text('ALARM')")
        client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="the test is over")
        page.wait_for_selector(f"#alarm-list li:has-text('{name}') .good")

    def test_nothing_is_wider_than_the_window(self, page: Any) -> None:
        page.click("#requests summary >> nth=0")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    def test_it_can_be_used_with_the_keyboard_alone(self, page: Any) -> None:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", "the first stop skips the header"
        page.keyboard.press("Enter")
        page.locator("#routes button:has-text('POST')").focus()
        page.keyboard.press("Enter")
        for _ in range(30):
            if page.evaluate("document.activeElement.id") == "send":
                break
            page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "where the focus is must be seen"
        page.keyboard.press("Enter")
        page.wait_for_selector("#answer .status:has-text('201')")

    def test_text_stands_out_from_its_background(self, page: Any) -> None:
        low = page.evaluate(CONTRAST)
        assert low == [], "WCAG AA wants 4.5 to 1"


# Every visible text's contrast with what is behind it, the ones below 4.5 listed.
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [rgb(getComputedStyle(element).color), behind(element)].map(luminance).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName} ${element.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return found;
}"""
