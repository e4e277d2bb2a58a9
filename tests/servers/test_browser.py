"""The demo in a real browser, headless, served by real processes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from base64 import b64decode
from importlib.util import find_spec
from pathlib import Path

import pytest

from machine import missing
from support import file_of, session_files, started
from websession import WebSession

pytestmark = pytest.mark.browser

# Chromium's own business is not to be done on the network meanwhile.
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,1000",
]
# What ChromeDriver says of an element whose page was replaced: the first is
# StaleElementReference, the second comes as an unknown error while the next
# page is just arriving.
REPLACED = "stale element|does not belong to the document"
# Draws the picture in the README: WEBSESSION_PICTURE=.github/demo.png
PICTURE = os.environ.get("WEBSESSION_PICTURE")
# Draws all states of the page, in this directory.
PICTURES = os.environ.get("WEBSESSION_PICTURES")


@pytest.fixture(scope="module")
def driver():
    if find_spec("selenium") is None:
        missing("Selenium")
    chromium = shutil.which("chromium")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        missing("Chromium and ChromeDriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(chromedriver)
    with webdriver.Chrome(options, service) as driver:
        driver.implicitly_wait(10)
        yield driver


@pytest.fixture(scope="module", params=["gunicorn", "wsgiref"])
def site(request, tmp_path_factory):
    if find_spec("gunicorn") is None:
        missing("gunicorn")
    sessions = tmp_path_factory.mktemp("demo") / "sessions"
    command = [sys.executable, "-m", "websession", "demo", "--port", "0"]
    command += ["--server", request.param, "--directory", str(sessions)]
    with started(command) as server:
        for line in server.stdout:
            found = re.search(r"http://\S+/", line)
            if found:
                break
        yield found[0], sessions


class Page:
    """A tab with the demo in it."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.switch_to.new_window("tab")
        self.handle = driver.current_window_handle
        driver.get(url)
        self.wait_for("pid", r"\d+")

    def use(self):
        self.driver.switch_to.window(self.handle)
        return self

    def element(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, element):
        return self.element(f"#{element}").text

    def wait(self, condition):
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.support.ui import WebDriverWait

        def holds(driver):
            try:
                return condition()
            except WebDriverException as error:
                # A page that is about to be replaced by the next is no error.
                if not re.search(REPLACED, str(error)):
                    raise
                return False

        return WebDriverWait(self.driver, 30, 0.05).until(holds)

    def wait_for(self, element, pattern):
        self.wait(lambda: re.fullmatch(pattern, self.text(element)))

    def click(self, action):
        self.element(f"button[value={action}]").click()

    def hammer(self):
        self.click("hammer")
        button = self.element("button[value=hammer]")
        self.wait(button.is_enabled)

    def log_in(self, name):
        field = self.element("#name")
        field.clear()
        field.send_keys(name)
        self.click("login")
        self.wait_for("user", name)

    def write(self, note, text):
        area = self.element(f"#{note}")
        area.clear()
        area.send_keys(text)

    def save(self, note, slowly=False):
        form = self.element(f"form[data-note={note}]")
        box = form.find_element("name", "slowly")
        if box.is_selected() is not slowly:
            box.click()
        button = form.find_element("css selector", "button")
        button.click()
        return button


@pytest.fixture
def page(driver, site):
    driver.set_window_size(1100, 1000)
    driver.get(site[0])
    driver.delete_all_cookies()
    page = Page(driver, site[0])
    driver.get_log("browser")
    yield page
    for handle in driver.window_handles[1:]:
        driver.switch_to.window(handle)
        driver.close()
    driver.switch_to.window(driver.window_handles[0])


def complaints(page):
    return [
        entry
        for entry in page.driver.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING")
    ]


def cookie_of(page):
    return page.driver.get_cookie("websession")


def test_log_in_renews_the_id(page):
    page.click("increment")
    page.wait_for("counter", "1")
    before, old_handle = cookie_of(page), page.text("handle")
    assert before["httpOnly"]
    assert before["sameSite"] == "Lax"
    page.log_in("Ann")
    renewed = cookie_of(page)["value"] != before["value"]
    assert renewed
    assert page.text("handle") != old_handle
    assert page.text("counter") == "1"
    assert f"{page.text('handle')[:2]}/" in page.text("files")
    assert complaints(page) == []


def test_two_tabs_keep_both_notes(page, site):
    page.log_in("Ann")
    other = Page(page.driver, site[0])
    other.write("right", "from the other tab")
    page.use().write("left", "from this tab")
    button = page.save("left", slowly=True)
    other.use().save("right")
    other.wait(lambda: not page_is_dirty(other, "right"))
    page.use().wait(button.is_enabled)
    for tab in page, other:
        tab.use().driver.refresh()
        tab.wait_for("user", "Ann")
        assert value(tab, "left") == "from this tab"
        assert value(tab, "right") == "from the other tab"
    assert complaints(page) == []


def page_is_dirty(page, note):
    form = page.element(f"form[data-note={note}]")
    return not form.find_element("css selector", "button").is_enabled()


def value(page, note):
    return page.element(f"#{note}").get_property("value")


def test_the_other_tab_sees_a_note(page, site):
    page.log_in("Ann")
    other = Page(page.driver, site[0])
    other.write("left", "news")
    other.save("left")
    page.use().wait(lambda: value(page, "left") == "news")


def test_the_hammer_counts_exactly(page):
    first, workers = 1, []
    # On a busy machine one worker may be there for all of them, once.
    while len(workers) < 2 or max(workers) < 2:
        assert len(workers) < 10, "it is always one worker alone"
        page.hammer()
        sentence = page.text("verdict")
        found = re.fullmatch(
            rf"200 requests, ([1-4]) process(?:es)?: {first} became "
            rf"{first + 200}, exact\.",
            sentence,
        )
        assert found, sentence
        workers.append(int(found[1]))
        first += 200
        assert page.text("counter") == str(first)
        if max(workers) < 2:
            # It has all of the browser's connections: until they are closed.
            time.sleep(3)
    rows = page.element("#workers").find_elements("css selector", "tbody tr")
    assert sum(int(row.text.split()[1]) for row in rows) == 200
    assert complaints(page) == []


def test_log_out_wins_over_a_slow_request(page, site):
    page.log_in("Ann")
    before = set(session_files(site[1]))
    page.click("slow")
    page.wait_for("slow", "under way…")
    page.click("logout")
    page.wait_for("user", "nobody")
    page.wait_for("slow", "done")
    assert page.text("handle") == "none: nothing is stored yet"
    assert page.text("notice").endswith("the session is still gone.")
    assert cookie_of(page) is None
    assert len(before - set(session_files(site[1]))) == 1
    assert complaints(page) == []


def test_without_a_script_the_forms_work(page):
    page.driver.execute_cdp_cmd(
        "Emulation.setScriptExecutionDisabled", {"value": True}
    )
    try:
        page.driver.refresh()
        page.log_in("Ann")
        page.write("left", "by a form")
        page.save("left")
        page.wait(lambda: "by a form" in page.driver.page_source)
        page.click("increment")
        page.wait_for("counter", "1")
        page.click("hammer")
        page.wait_for("counter", "201")
        before = page.text("handle")
        page.click("renew")
        page.wait(lambda: page.text("handle") != before)
        page.click("slow")
        page.wait_for("counter", "201")
        page.click("logout")
        page.wait_for("user", "nobody")
    finally:
        page.driver.execute_cdp_cmd(
            "Emulation.setScriptExecutionDisabled", {"value": False}
        )


def expire(page, sessions):
    """Puts the session of the page a minute back: a copy, under a new ID."""
    data = contents(page, sessions)
    ws = WebSession.for_web(sessions, clock=lambda: time.time() - 61)
    page.driver.add_cookie(
        {"name": "websession", "value": ws.newSession({}, data=data)}
    )


def polls(page, count=1):
    """Waits until the page has asked the server so many times more."""
    script = (
        "return performance.getEntriesByName(location.href + arguments[0])"
    )
    seen = page.driver.execute_script(script, "api/state")
    page.wait(
        lambda: (
            len(page.driver.execute_script(script, "api/state"))
            >= len(seen) + count
        )
    )


@pytest.mark.parametrize("reload", [False, True])
def test_the_notes_of_an_expired_session_stay(page, site, reload):
    page.log_in("Ann")
    page.write("left", "what I wrote")
    page.save("left")
    page.wait(lambda: "what I wrote" in str(contents(page, site[1])))
    polls(page)
    expire(page, site[1])
    page.wait_for(
        "notice", "Your session has expired.* log in again as Ann .*"
    )
    page.wait_for("user", "nobody")
    polls(page, 3)
    if reload:
        page.driver.refresh()
        polls(page, 2)
    assert value(page, "left") == "what I wrote"
    assert page.text("notice").startswith("Your session has expired.")
    page.log_in("Ann")
    page.wait(lambda: not page.element("#notice").is_displayed())
    page.driver.refresh()
    page.wait_for("user", "Ann")
    assert value(page, "left") == "what I wrote"
    assert complaints(page) == []


def contents(page, sessions):
    ws = WebSession.for_web(sessions)
    return ws.retrieveSession(cookie_of(page)["value"])


def test_texts_of_a_session_that_is_gone_can_be_saved_again(page, site):
    page.log_in("Ann")
    page.write("left", "what I wrote")
    page.save("left")
    page.wait(lambda: "what I wrote" in str(contents(page, site[1])))
    polls(page)
    WebSession.for_web(site[1]).deleteSession(cookie_of(page)["value"])
    page.wait_for("notice", "There is no such session.*")
    polls(page, 2)
    assert value(page, "left") == "what I wrote"
    page.save("left")
    page.wait(lambda: cookie_of(page))
    assert contents(page, site[1]) == {"left": "what I wrote"}
    assert complaints(page) == []


def test_log_out_takes_the_notes_along(page):
    page.log_in("Ann")
    page.write("left", "mine alone")
    page.save("left")
    page.click("logout")
    page.wait_for("user", "nobody")
    page.wait(lambda: value(page, "left") == "")


def test_files_come_and_go(page, site):
    page.click("increment")
    page.wait_for("counter", "1")
    mine = page.text("handle")
    page.wait(
        lambda: (
            page.element("#files tr.mine").text.split()[0]
            == f"{mine[:2]}/{mine[2:]}"
        )
    )
    ws = WebSession.for_web(site[1])
    other = ws.newSession({}, data={"by": "another process"})
    name = str(file_of(site[1], other).relative_to(site[1]))
    page.wait(lambda: name in page.text("files"))
    ws.deleteSession(other)
    page.wait(lambda: name in page.element("#files tr.gone").text)
    page.wait(lambda: name not in page.text("files"))


@contextlib.contextmanager
def screen(page, width, scheme):
    """The page on a telephone or a wide screen, in light or dark colours."""
    cdp = page.driver.execute_cdp_cmd
    cdp(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": 844,
            "deviceScaleFactor": 1,
            "mobile": width < 600,
        },
    )
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    cdp("Emulation.setEmulatedMedia", {"features": media})
    try:
        yield
    finally:
        cdp("Emulation.clearDeviceMetricsOverride", {})
        cdp("Emulation.setEmulatedMedia", {"features": []})


def violations(page):
    """What axe-core, which looks for barriers, has to say about the page."""
    found = find_spec("axe_selenium_python")
    if found is None:
        missing("axe-selenium-python")
    script = Path(found.origin).parent / "node_modules/axe-core/axe.min.js"
    page.driver.execute_script(script.read_text("utf-8"))
    result = page.driver.execute_async_script(
        "axe.run().then(arguments[0], (e) => arguments[0]({error: String(e)}))"
    )
    assert len(result["passes"]) > 20, result
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in result["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_everybody_can_use_the_page(page, site, width, scheme):
    """Logged out, logged in, expired: no barriers, nothing is cut off."""

    def check(state):
        picture(page, f"{state}-{width}-{scheme}")
        assert violations(page) == []
        wide, shown = page.driver.execute_script(
            "return [document.documentElement.scrollWidth, innerWidth]"
        )
        assert wide <= shown == width

    with screen(page, width, scheme):
        background = page.driver.execute_script(
            "return getComputedStyle(document.body).backgroundColor"
        )
        red = int(re.search(r"\d+", background)[0])
        assert (red < 64) is (scheme == "dark")
        check("out")
        page.log_in("A" * 40)
        page.write("left", "Milk, bread,\ncoffee")
        page.save("left")
        page.hammer()
        page.wait(lambda: "Milk" in str(contents(page, site[1])))
        check("in")
        expire(page, site[1])
        page.wait_for("notice", "Your session has expired.*")
        polls(page)
        check("expired")


def picture(page, name):
    if PICTURES:
        Path(PICTURES, f"{name}.png").write_bytes(whole_page(page))


def whole_page(page):
    found = page.driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True}
    )
    return b64decode(found["data"])


def test_picture(page, site, tmp_path):
    for number in range(5):
        ws = WebSession.for_web(
            site[1], clock=lambda: time.time() - 7 * number
        )
        ws.newSession({}, data={"text": "x" * 500 * number})
    page.log_in("Ann")
    page.write("left", "Milk, bread,\ncoffee")
    page.save("left")
    page.write("right", "Call Bob on Friday")
    page.save("right")
    page.hammer()
    page.driver.execute_script("document.activeElement.blur()")
    page.driver.execute_script("scrollTo(0, 0)")
    Path(PICTURE or tmp_path / "demo.png").write_bytes(whole_page(page))
    assert complaints(page) == []
