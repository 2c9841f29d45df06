"""The page in a real Chromium: it shows without errors, sorts and filters by mouse and keys, and fits a phone."""

import shutil
import time

import pytest

import leaderboard
from leaderboard import references, report
from suite.task import Result

webdriver = pytest.importorskip("selenium.webdriver", reason="drives the browser; the extra `test` has it")
Service = pytest.importorskip("selenium.webdriver.chrome.service").Service
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs a Chromium and its driver: Debian's packages chromium and chromium-driver"
)
HOSTILE = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'>" + "long" * 800
TABLE = "#ner-wnut17-f1 table"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    scores = {"transformer": 0.2, "cnn": 0.25, "rnn": 0.15, HOSTILE: 0.1}
    for place, (model, value) in enumerate(scores.items()):
        for seed in range(2):
            result = Result(
                run_id=f"r-{place}-{seed}", timestamp="2025-01-31T12:00:00+00:00", suite_version="0.1.0", task="ner",
                task_version=1, dataset="wnut17", dataset_hash="0a", split="test", model=model, config_hash="0b",
                seed=seed, metric="f1", scores={"f1": value + seed / 100}, n_examples=1287,
                params=[900, 5000, 80, 7][place], train_seconds=[40.0, None, 5.0, 1.0][place], device="a processor",
            )  # fmt: skip
            leaderboard.append(folder / "board.csv", leaderboard.rows(result))
    result = Result(
        run_id="s", timestamp="", suite_version="", task="sentiment", task_version=1, dataset="reviews", n_examples=10,
        dataset_hash="1a", split="test", model="cnn", config_hash="", seed=0, metric="accuracy",
        scores={"accuracy": 0.5},
    )  # fmt: skip
    leaderboard.append(folder / "board.csv", leaderboard.rows(result))
    board = report.read([folder / "board.csv"])
    text = report.page(board, references.load(), output=folder / "report.html")
    (folder / "report.html").write_text(text, "utf8")
    return (folder / "report.html").as_uri()


@pytest.fixture
def shown(browser, page):
    look(browser, width=1280)
    browser.get_log("browser")
    browser.get(page)
    yield browser
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.hit") is None


def look(browser, *, width, dark=False):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def models(browser):
    script = "return [...document.querySelector(arguments[0]).tBodies[0].rows].map(r => r.cells[0].textContent.trim())"
    return [name[:11] for name in browser.execute_script(script, TABLE)]


def heading(browser, text):
    for one in browser.find_elements("css selector", f"{TABLE} thead th"):
        if one.text.startswith(text):
            return one
    raise AssertionError(text)


def rows_left(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent).length"
    )


def wait(condition):
    """Until something is so; the filter waits for the end of typing."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_click_sorts_and_another_turns_round(shown):
    assert models(shown) == ["cnn", "transformer", "rnn", HOSTILE[:11]]
    parameters = heading(shown, "parameters")
    parameters.find_element("tag name", "button").click()
    assert models(shown) == [HOSTILE[:11], "rnn", "transformer", "cnn"]
    assert parameters.get_attribute("aria-sort") == "ascending"
    parameters.find_element("tag name", "button").click()
    assert models(shown) == ["cnn", "transformer", "rnn", HOSTILE[:11]]
    assert parameters.get_attribute("aria-sort") == "descending"
    heading(shown, "model").find_element("tag name", "button").click()
    assert models(shown)[1:] == ["cnn", "rnn", "transformer"]
    assert parameters.get_attribute("aria-sort") is None


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_keys_sort_and_what_has_no_figure_stays_last(shown, key):
    for order in (["rnn", "transformer"], ["transformer", "rnn"]):
        heading(shown, "train s").find_element("tag name", "button").send_keys(key)
        assert [name for name in models(shown) if name in order] == order
        assert models(shown)[-1] == "cnn"


def test_the_filter_leaves_rows_with_all_words_and_says_how_many(shown):
    everything = rows_left(shown)
    shown.find_element("tag name", "body").send_keys("/")
    field = shown.switch_to.active_element
    assert field.get_attribute("id") == "words"
    field.send_keys("CNN wnut17")
    wait(lambda: rows_left(shown) < everything)
    left = shown.execute_script("return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent)")
    assert left
    assert all("cnn" in row.text and "wnut17" in row.text for row in left)
    assert shown.find_element("id", "count").text.startswith(f"{len(left)} of ")
    assert not shown.find_element("id", "sentiment-reviews-accuracy").is_displayed()
    field.send_keys(Keys.ESCAPE)
    wait(lambda: rows_left(shown) == everything)
    assert shown.find_element("id", "sentiment-reviews-accuracy").is_displayed()


def test_a_task_can_be_chosen(shown):
    shown.find_element("css selector", "#task option:nth-child(3)").click()
    assert shown.find_element("id", "sentiment-reviews-accuracy").is_displayed()
    assert not shown.find_element("id", "ner-wnut17-f1").is_displayed()
    assert shown.find_element("id", "runs").is_displayed()
    assert rows_left(shown) == 3  # of contests, models, runs


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_the_page_itself_never_scrolls_sideways(shown, width):
    look(shown, width=width)
    shown.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    wide = """return [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.table'))
        .map(e => e.outerHTML.slice(0, 90))"""
    assert shown.execute_script(wide) == []
    cells = "return Math.max(...[...document.querySelectorAll('td, th')].map(e => e.getBoundingClientRect().width))"
    assert shown.execute_script(cells) < 500  # a name of thousands of characters takes several lines
    root = "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]"
    whole, seen = shown.execute_script(root)
    assert whole == seen <= width


def test_dark_and_light_follow_the_system(shown):
    def contrast():
        script = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        return [sum(map(int, c[4:-1].split(","))) for c in shown.execute_script(script)]

    ink, ground = contrast()
    assert ink < 200 < 700 < ground
    look(shown, width=1280, dark=True)
    ink, ground = contrast()
    assert ground < 200 < 600 < ink


def test_what_can_be_scrolled_or_pressed_can_be_reached_by_keys(shown):
    script = """return [...document.querySelectorAll('.table, .long, thead th > *, summary, input, select')]
        .filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 90))"""
    assert shown.execute_script(script) == []
