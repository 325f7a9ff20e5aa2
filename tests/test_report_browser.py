"""The page of a report in a real browser: it opens, sorts, slides and looks closer, without an error or a request.

Needs Chromium (Debian's package, say) and the extra `browser`; `.ci/run` installs both.
"""

import shutil

import numpy as np
import pytest
from run_folders import COLORS, leave_run
from small_runs import picture

from nstjax import files, images
from nstjax.report import report

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

TOTALS = [300.0, 20.0, 1000.0, None]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Four runs, of which the last one has failed."""
    folder = tmp_path_factory.mktemp("sweep")
    content = picture(folder / "photo.png")
    facts = {"path": str(content), "sha256": files.sha256(content)}
    for n, (total, color) in enumerate(zip(TOTALS, [*COLORS[:3], None], strict=True)):
        config = {"style": {"name": "ab"[n // 2]}, "weight": 10.0 ** (n % 2), "of_one": "<b>&</b>"}
        ended = {"final": {"total": total, "style/x": total}} if total else {"status": "failed", "reason": "<i>why</i>"}
        left = leave_run(folder / str(n), config, color, pictures={"content": facts}, **ended)
        rows = [f"0,{k},{k + 1},{k},{100 / (k + n + 1)},{k + 1},{n + 1},0\n" for k in range(50)]
        (left / "history.csv").write_text("scale,step,evaluations,seconds,total,content,style,tv\n" + "".join(rows))
    return report(folder).page


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # CI runs as root
        yield chromium
        chromium.close()


@pytest.fixture(params=[(1280, 900, "light"), (400, 800, "dark")], ids=["desktop", "phone"])
def page(request, browser, sweep):
    """The page, opened; no error, and no request but for the page itself, until the end of the test."""
    width, height, scheme = request.param
    said, asked = [], []
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(10_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asking: asked.append(asking.url))
    page.goto(sweep.as_uri())
    yield page
    page.wait_for_timeout(100)
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [sweep.as_uri()]


def column(page, name):
    at = page.locator(".sortable th").all_text_contents().index(name)
    return page.locator(f".sortable tbody td:nth-child({at + 1})").all_text_contents()


def luminance(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)[0]")


def test_it_opens_with_every_picture_and_fits_the_screen(page):
    assert page.title() == f"{page.locator('h1').text_content()}: 4 runs"
    assert page.evaluate("[...document.images].filter((i) => i.src && !(i.complete && i.naturalWidth)).length") == 0
    assert page.locator("figure.run img").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert (luminance(page) > 200) == (page.viewport_size["width"] == 1280)
    assert page.locator("#unfinished").inner_text().count("<i>why</i>") == 1


def test_a_click_on_a_head_sorts_up_then_down_with_numbers_as_numbers_and_what_is_empty_last(page):
    head = page.get_by_role("button", name="total", exact=True)
    assert column(page, "total") == ["300", "20", "1,000", "1.88679"]  # the last evaluation's, of the one that failed
    head.click()
    assert column(page, "run") == ["3", "1", "0", "2"]
    assert page.locator(".sortable th[aria-sort=ascending]").text_content() == "total"
    head.click()
    assert column(page, "run") == ["2", "0", "1", "3"]
    reason = page.get_by_role("button", name="reason", exact=True)
    for _ in range(2):
        reason.click()
        assert column(page, "run")[0] == "3"


def test_the_keyboard_sorts(page):
    page.get_by_role("button", name="run", exact=True).focus()
    for key, order in (("Enter", "0123"), ("Space", "3210")):
        page.keyboard.press(key)
        assert "".join(column(page, "run")) == order


def test_a_closer_look_opens_slides_goes_on_and_closes(page):
    closer = page.locator("#closer")
    assert not closer.is_visible()
    page.locator("figure.run .zoom").nth(1).click()
    assert closer.is_visible()
    assert page.locator("#closer-title").text_content() == "style=a weight=10"
    clip = "getComputedStyle(document.querySelector('#content')).clipPath"
    for percent in (0, 30, 100):
        page.locator("#cut").fill(str(percent))
        assert f"calc({100 - percent}% + 0px)" in (found := page.evaluate(clip)) or f"{100 - percent}%" in found
    shown = page.locator("#content").evaluate("(image) => [image.naturalWidth, image.getBoundingClientRect().width]")
    assert min(shown) > 50
    page.locator("#after").click()
    assert page.locator("#closer-title").text_content() == "style=b weight=1"
    page.locator("#before").click()
    assert "style=a weight=10" in page.locator("#closer-title").text_content()
    assert page.locator("#facts").inner_text().split()[:2] == ["run", "1"]
    page.keyboard.press("Escape")
    assert not closer.is_visible()


def test_half_of_the_content_picture_covers_half_of_the_result(page, tmp_path):
    page.locator("figure.run .zoom").nth(0).click()
    page.locator("#cut").fill("50")
    page.locator(".stage").screenshot(path=tmp_path / "stage.png")
    seen = images.load(tmp_path / "stage.png").pixels
    red = np.abs(seen - COLORS[0]).max(-1) < 0.1
    third = seen.shape[1] // 3
    assert red[:, -third:].mean() > 0.95
    assert red[:, :third].mean() < 0.3


def test_a_run_without_a_picture_has_its_reason_there(page):
    page.locator("figure.run .zoom").nth(3).click()
    assert "<i>why</i>" in page.locator("#facts").inner_text()
    assert not page.locator("#cut").is_visible()
    page.locator("#close").click()
    assert not page.locator("#closer").is_visible()


def test_the_pointer_reads_the_curves(page):
    chart = page.locator(".chart svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 46 / 400 + 1, box["y"] + box["height"] * 0.06)
    assert page.locator("#reading").text_content() == "style=a weight=1: total 100 after 1 evaluations"
    assert page.locator(".chart path.on").count() == 3  # of the same run
    page.mouse.move(0, 0)
    assert page.locator("#reading").text_content() == ""


def test_the_size_of_pictures_can_be_changed(page):
    image = page.locator("figure.run img").first
    for width in (80, 200):
        page.locator("#size").fill(str(width))
        assert image.bounding_box()["width"] == pytest.approx(width, abs=2)
