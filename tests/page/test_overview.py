"""Tiles, chart and tables: what they show, and where a click leads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import FloatRect, Page, expect

from tests.support.browser import ZONE, Account, Reader, Readers, log, tile

pytestmark = pytest.mark.browser


def test_the_tiles_show_what_the_service_says(reader: Reader, account: Account) -> None:
    """Each of the six tiles shows the summary's number in its unit."""
    account.send(
        *(log(ip=f"203.0.113.{n % 3}", process_time=10.0 * n, status_code=200 if n % 4 else 503) for n in range(1, 13))
    )
    said = account.dashboard()["summary"]
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text(str(said["total_requests"]))
    expect(tile(page, "unique_ips")).to_have_text(str(said["unique_ips"]))
    expect(tile(page, "error_rate")).to_have_text("25%")
    for field in ("p50", "p95", "p99"):
        shown = tile(page, field).text_content() or ""
        assert re.fullmatch(r"\d+(\.\d+)?\u202fms", shown)
        assert float(shown.split("\u202f")[0]) == pytest.approx(said[field], abs=0.5)


def test_the_tiles_compare_with_the_time_before(reader: Reader, account: Account) -> None:
    """Twice the requests of the hour before is up 100 %, and slower is marked as worse."""
    account.send(*(log(90, process_time=20.0) for _ in range(5)), *(log(10, process_time=40.0) for _ in range(10)))
    page = reader.open("?range=hour", account)
    changes = page.locator("[data-tile=total_requests] .change"), page.locator("[data-tile=p95] .change")
    expect(changes[0]).to_have_text(re.compile("up 100%"))
    expect(changes[0]).to_have_attribute("title", "Before: 5")
    expect(changes[1]).to_have_class("change worse")


def test_today_is_compared_with_the_same_hours_of_yesterday(readers: Readers, account: Account) -> None:
    """At any time of the day, "today" stands beside yesterday up to this time, in the reader's zone."""
    reader = readers(timezone_id="UTC")
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    early = (midnight + (now - midnight) / 2).isoformat()
    yesterday = (midnight - timedelta(days=1) + (now - midnight) / 2).isoformat()
    account.send(log(created_at=early), *(log(created_at=yesterday) for _ in range(4)))
    page = reader.open("?range=today", account)
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(page.locator("[data-tile=total_requests] .change")).to_have_text(re.compile("down 75%"))


CLICKS = {
    "endpoints": ("/orders", {"endpoint": "/orders"}),
    "statuses": ("503", {"status_code": "503"}),
    "methods": ("POST", {"method": "POST"}),
    "consumers": ("acme", {"consumer": "acme"}),
}


@pytest.mark.parametrize("table", CLICKS)
def test_a_click_on_a_row_filters_by_it_and_back_undoes_it(reader: Reader, account: Account, table: str) -> None:
    """A row filters everything; the filter is a chip and in the URL; back, forward and sending the URL work."""
    name, query = CLICKS[table]
    account.send(
        log(), log(), log(endpoint="/orders", method="POST", status_code=503, consumer="acme"), log(consumer="other")
    )
    page = reader.open(account=account)
    expect(tile(page, "total_requests")).to_have_text("4")
    row = page.locator(f"#{table}").get_by_role("button", name=name)
    row.click()
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(row).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chips .chip")).to_have_count(1)
    field, value = next(iter(query.items()))
    assert page.evaluate(f"new URLSearchParams(location.search).get('{field}')") == value
    page.go_back()
    expect(tile(page, "total_requests")).to_have_text("4")
    page.go_forward()
    expect(tile(page, "total_requests")).to_have_text("1")
    sent = reader.open(page.url.partition("/?")[2] and "?" + page.url.partition("/?")[2], account)
    expect(tile(sent, "total_requests")).to_have_text("1")
    row.click()
    expect(tile(page, "total_requests")).to_have_text("4")


def test_a_click_on_a_client_shows_its_requests(reader: Reader, account: Account) -> None:
    """The summary cannot be narrowed to one client; its requests are shown in the logs instead."""
    account.send(log(), log(), log(ip="2001:db8::7", endpoint="/theirs"))
    page = reader.open(account=account)
    page.locator("#clients").get_by_role("button", name="2001:db8::7").click()
    expect(page.locator("#log-rows tr")).to_have_count(1)
    expect(page.locator("#log-rows")).to_contain_text("/theirs")


def test_endpoints_can_be_sorted_by_any_number(reader: Reader, account: Account) -> None:
    """The slowest route comes first once p95 is chosen, and the table says by what it is sorted."""
    account.send(log(), log(), log(endpoint="/slow", process_time=900.0))
    page = reader.open(account=account)
    routes = page.locator("#endpoints tbody .pick")
    expect(routes).to_have_text(["/books", "/slow"])
    page.locator("#endpoints").get_by_role("button", name="p95").click()
    expect(routes).to_have_text(["/slow", "/books"])
    expect(page.locator("#endpoints [aria-sort=descending]")).to_have_text("p95")


def test_a_long_table_opens(reader: Reader, account: Account) -> None:
    """Ten rows at first, all of them on demand."""
    account.send(*(log(endpoint=f"/route/{n}") for n in range(14)))
    page = reader.open(account=account)
    expect(page.locator("#endpoints tbody tr")).to_have_count(10)
    page.get_by_role("button", name="Show all 14").click()
    expect(page.locator("#endpoints tbody tr")).to_have_count(14)
    expect(page.get_by_role("button", name="Show fewer")).to_be_focused()


@pytest.mark.parametrize(
    ("query", "period"),
    [
        ("?range=hour", "minutely"),
        ("", "hourly"),
        ("?range=7d", "hourly"),
        ("?range=30d", "daily"),
        ("?range=90d", "daily"),
        ("?range=12mo", "weekly"),
        ("?range=all", "daily"),
    ],
)
def test_granularity_follows_the_range(reader: Reader, account: Account, query: str, period: str) -> None:
    """Each range is drawn in points that fit it."""
    account.send(log(), log(60 * 24 * 20))
    page = reader.open(query, account)
    expect(page.locator("#period")).to_have_value(period)


def test_granularity_can_be_chosen(reader: Reader, account: Account) -> None:
    """The choice stands in the URL and changes the points of the chart."""
    account.send(log(), log(60 * 24 * 20))
    page = reader.open("?range=30d", account)
    page.locator("#behind summary").click()
    expect(page.locator("#series tbody tr")).to_have_count(30)
    page.locator("#period").select_option("weekly")
    expect(page.locator("#series tbody tr").first).to_contain_text("Week of")
    assert "period=weekly" in page.url


def test_all_time_finds_its_own_granularity(reader: Reader, account: Account) -> None:
    """All time of a service that is minutes old is drawn in minutes, of one that is years old in months."""
    account.send(log(3), log(9))
    page = reader.open("?range=all", account)
    expect(page.locator("#period")).to_have_value("minutely")
    account.send(log(60 * 24 * 1200))
    page.reload()
    expect(page.locator("#period")).to_have_value("monthly")


def _canvas(page: Page) -> FloatRect:
    place = page.locator("#plot .u-over").bounding_box()
    assert place
    return place


def test_the_chart_tells_local_time_and_utc_under_the_cursor(reader: Reader, account: Account) -> None:
    """Hovering shows the bucket in the reader's time zone with UTC below it, and its numbers."""
    account.send(*(log(0, status_code=500 if n == 0 else 200) for n in range(4)))
    page = reader.open("?range=24h", account)
    place = _canvas(page)
    page.mouse.move(place["x"] + place["width"] - 4, place["y"] + 60)
    tip = page.locator("#tip")
    hour = datetime.now(UTC)
    end = hour + timedelta(hours=1)
    shown = f"{end:%H}:00" if end.date() == hour.date() else f"{end:%Y-%m-%d %H}:00"
    expect(tip).to_contain_text(f"{hour:%Y-%m-%d %H}:00 \u2013 {shown} UTC")
    expect(tip).to_contain_text(f"{hour.astimezone(ZoneInfo(ZONE)):, %H:00}")
    expect(tip).to_contain_text("Requests4")
    expect(tip).to_contain_text("Errors1 · 25%")


def test_dragging_over_the_chart_zooms_and_back_returns(reader: Reader, account: Account) -> None:
    """A drag becomes a custom range in the URL, drawn finer; the browser's back button leads out again."""
    account.send(*(log(60 * n) for n in range(1, 24)))
    page = reader.open("?range=24h", account)
    place = _canvas(page)
    page.mouse.move(place["x"] + place["width"] * 0.5, place["y"] + 80)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.58, place["y"] + 80, steps=4)
    page.mouse.up()
    expect(page.locator("#period")).to_have_value("minutely")
    assert "range=custom" in page.url
    expect(page.locator("#ranges").get_by_role("button", name="Custom")).to_have_attribute("aria-pressed", "true")
    assert 1 <= int(tile(page, "total_requests").text_content() or 0) <= 3
    page.go_back()
    expect(page.locator("#period")).to_have_value("hourly")


def test_the_chart_is_drawn_in_both_its_forms(reader: Reader, account: Account) -> None:
    """Traffic and latency both leave ink on the canvas, and not the same."""
    account.send(*(log(60 * n, process_time=10.0 * n) for n in range(1, 24)))
    page = reader.open(account=account)
    inked = """() => {
        const { width, height } = document.querySelector("#plot canvas");
        const pixels = document.querySelector("#plot canvas").getContext("2d").getImageData(0, 0, width, height).data;
        return pixels.filter((value, i) => i % 4 === 3 && value > 0).length / (width * height);
    }"""
    expect(page.locator("#plot canvas")).to_be_visible()
    traffic = page.evaluate(inked)
    assert traffic > 0.02
    page.get_by_role("button", name="Latency").click()
    expect(page.locator("#legend")).to_have_text("p50p95p99")
    latency = page.evaluate(inked)
    assert latency > 0.02
    assert latency != traffic
    assert "chart=latency" in page.url


def test_a_custom_range_is_typed_in(reader: Reader, account: Account) -> None:
    """From and to, in the reader's time zone; an end before its start is refused in words."""
    account.send(log(60 * 24 * 3), log(1))
    page = reader.open(account=account)
    page.get_by_role("button", name="Custom").click()
    page.get_by_label("From").fill("2026-01-02T10:00")
    page.get_by_label("To", exact=True).fill("2026-01-01T10:00")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#custom-error")).to_have_text("The end must come after the start.")
    page.get_by_label("To", exact=True).fill("2026-01-02T12:00")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", name="No requests here")).to_be_visible()
    assert "from=2026-01-02T09%3A00" in page.url  # 10:00 in Berlin in winter
    page.get_by_role("button", name="Show all time").click()
    expect(tile(page, "total_requests")).to_have_text("2")


def test_earlier_and_later_walk_through_time(reader: Reader, account: Account) -> None:
    """The arrows show the neighboring stretch of equal length; there is nothing later than now."""
    account.send(log(1), log(80), log(85))
    page = reader.open("?range=hour", account)
    expect(tile(page, "total_requests")).to_have_text("1")
    expect(page.get_by_role("button", name="Later")).to_be_disabled()
    page.get_by_role("button", name="Earlier").click()
    expect(tile(page, "total_requests")).to_have_text("2")
    page.get_by_role("button", name="Later").click()
    expect(tile(page, "total_requests")).to_have_text("1")


def test_the_delivery_line_tells_how_complete_the_numbers_are(reader: Reader, account: Account) -> None:
    """What arrived, of all that is known of: refused logs and what clients say they dropped count against it."""
    account.request(
        "POST",
        "track/batch",
        json={
            "batch_id": "one",
            "dropped": {"buffer_full": 1},
            "logs": [*(log() for _ in range(98)), log(status_code=7)],
        },
    )
    page = reader.open(account=account)
    line = page.locator("#delivery")
    expect(line).to_contain_text("98% of 100 known events stored; the last one arrived")
    line.get_by_text("Details").click()
    expect(line).to_contain_text("1 dropped by clients (buffer full)")
    expect(line).to_contain_text("1 refused")
