"""One odd log never costs another one, an odd optional field never costs the log: POST /track and /track/batch."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from analytics.web import Service
from tests.conftest import SETTINGS, Api, Clock, shared_client
from tests.functions.wire import ACCEPTED, batch, delivery, log, row, stored
from tests.support.engines import Engine

ODD_FIELDS: dict[str, list[tuple[Any, Any]]] = {
    "ip": [
        ("10.1.2.3:54321", "10.1.2.3"),
        ("10.1.2.3:", "10.1.2.3"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("[fe80::1%eth0]:80", "fe80::1"),
        ("[::ffff:192.0.2.7]:80", "192.0.2.7"),
        (" 192.0.2.1\n", "192.0.2.1"),
        ("fe80::1%" + "z" * 60, "fe80::1"),
        ("unknown", None),
        ("testclient", None),
        ("", None),
        ("localhost:80", None),
        ("999.1.1.1", None),
        ("192.0.2.01", None),
        ("192.0.2.1:port", None),
        ("192.0.2.1:80:81", None),
        ("2001:db8:::1", None),
        ("[]", None),
        ("[]:80", None),
        (":80", None),
        ("1" * 100_000, None),
        ("\ud800", None),
        (3_221_225_985, None),
        (["192.0.2.1"], None),
    ],
    "consumer": [
        ("c" * 129, "c" * 128),
        ("a\tb", "a\ufffdb"),
        ("\x9b" * 200, "\ufffd" * 128),
        ("a\ud83db", "a\ufffdb"),
        ("", None),
        (7, None),
        ({"name": "acme"}, None),
    ],
    "user_agent": [
        ("u" * 257, "u" * 256),
        ("a\rb\x00\x7f\x80", "a\ufffdb\ufffd\ufffd\ufffd"),
        ("\n" * 300, "\ufffd" * 256),
        ("", None),
        (False, None),
    ],
    "path": [("/" + "p" * 600, "/" + "p" * 511), ("/a\x00", "/a\ufffd"), ("", None), ([], None)],
    "weight": [
        (0, 1),
        (-3, 1),
        (1_000_001, 1_000_000),
        (20.0, 20),
        (1.5, 1),
        ("20", 1),
        (True, 1),
        (float("nan"), 1),
        (float("inf"), 1),
    ],
    "endpoint": [
        ("/" + "x" * 512, "/" + "x" * 511),
        ("/a\x1b[31m\n", "/a\ufffd[31m\ufffd"),
        ("/\udcff", "/\ufffd"),
        ("\x85" * 600, "\ufffd" * 512),
    ],
    "format": [("2", ...), (0, ...), (1.0, ...), (True, ...), ([], ...)],
}
"""By field: what is sent, and what is stored."""


def text(log: dict[str, Any]) -> str:
    """A log in one form, whatever the order of its fields."""
    return str(sorted(log.items()))


def post(api: Api, route: str, body: Any) -> Any:
    """The answer to JSON in ASCII, which can hold half a surrogate pair."""
    return api.post(route, content=json.dumps(body).encode())


@pytest.mark.parametrize("field", ODD_FIELDS)
def test_an_odd_field_is_repaired_or_left_out(api: Api, field: str) -> None:
    """By both routes; the log is kept, the other as it was, and each repair is counted."""
    shown = []
    for number, (value, expected) in enumerate(ODD_FIELDS[field]):
        odd = log(**{field: value})
        assert post(api, "/track", odd).json() == ACCEPTED, value
        answer = post(api, "/track/batch", batch(log(status_code=404), odd, batch_id=f"b{number}"))
        assert answer.json() == {"accepted": 2, "rejected": [], "duplicate": False}, value
        repaired = row() if expected is ... else row(**{field: expected})
        shown += [repaired, row(status_code=404), repaired]
    assert Counter(map(text, stored(api))) == Counter(map(text, shown))
    counted = delivery(api)
    assert (counted["trimmed"], counted["rejected"]) == ({field: 2 * len(ODD_FIELDS[field])}, {})
    assert counted["accepted"] == sum(each["weight"] for each in shown)


def test_null_is_no_oddity(api: Api) -> None:
    """A client that says of each optional field that it has none loses and changes nothing."""
    nothing = dict.fromkeys(("ip", "consumer", "user_agent", "path", "weight", "format"))
    assert api.post("/track", json=log(**nothing)).json() == ACCEPTED
    assert (
        api.post("/track/batch", json=batch(log(**nothing), client=None, dropped=None, format=None)).json() == ACCEPTED
    )
    assert stored(api) == [row(ip=None)] * 2
    assert delivery(api)["trimmed"] == {}


BROKEN_TEXT = {
    "a byte that is not UTF-8": b"\xff",
    "a cut character": b"\xe2\x9c",
    "half a pair, escaped": b"\\ud83d",
    "the other half, escaped": b"\\uDE00",
    "a surrogate in UTF-8": b"\xed\xa0\x80",
    "a control character as it is": b"\x01",
    "a line break as it is": b"\n",
}


@pytest.mark.parametrize("broken", BROKEN_TEXT.values(), ids=BROKEN_TEXT)
def test_broken_text_costs_nothing_but_itself(api: Api, broken: bytes) -> None:
    """Of a thousand logs one with a broken user agent: it is replaced, and every other text stays what it is."""
    others = [log(user_agent='😀 \\ "ü" \\ud83d', process_time=number) for number in range(998)]
    whole = json.dumps(batch(*others, log(user_agent="BROKEN!"), log(endpoint="/BROKEN!"))).encode()
    answer = api.post("/track/batch", content=whole.replace(b"BROKEN", b"a" + broken + b"b"))
    assert answer.json() == {"accepted": 1000, "rejected": [], "duplicate": False}
    replaced = len(broken.decode("utf-8", "surrogateescape")) if broken[0] >= 128 else 1
    mended = "a" + "\ufffd" * replaced + "b!"
    told = Counter((each["endpoint"], each["user_agent"]) for each in stored(api))
    assert told == {
        ("/books/{id}", '😀 \\ "ü" \\ud83d'): 998,
        ("/books/{id}", mended): 1,
        (f"/{mended}", None): 1,
    }
    assert delivery(api)["trimmed"] == {"endpoint": 1, "user_agent": 1}
    one = json.dumps(log(path="/BROKEN")).encode().replace(b"BROKEN", broken)
    assert api.post("/track", content=one).json() == ACCEPTED
    assert stored(api, path="/" + "\ufffd" * replaced) == [row(path="/" + "\ufffd" * replaced)]


def test_what_is_broken_where_it_is_required_costs_one_log(api: Api) -> None:
    """A broken method or a broken name of a field refuses its log alone, and the answer can be written."""
    logs = [log(method="G\ud800T"), log(created_at="\udcff"), log(**{"\ud800": 1}), log(**{"a\x00": 1}), log()]
    answer = post(api, "/track/batch", batch(*logs)).json()
    assert answer["accepted"] == 1
    fields = ["method", "created_at", "\ufffd", "a\ufffd"]
    assert [(each["index"], each["field"]) for each in answer["rejected"]] == list(enumerate(fields))
    assert delivery(api)["rejected"] == {"invalid_created_at": 1, "invalid_method": 1, "unknown_field": 2}


@pytest.mark.parametrize(
    "value", ["9" * 5_000, "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500, "-" + "9" * 4_500]
)
@pytest.mark.parametrize("field", ["status_code", "consumer"])
def test_a_monstrous_value_costs_its_log_at_most(api: Api, field: str, value: str) -> None:
    """Numbers of thousands of digits, nesting of hundreds of levels: beyond what the quick parser reads."""
    odd = json.dumps(log(**{field: "?"})).replace('"?"', value)
    answer = api.post("/track/batch", content=f'{{"batch_id": "b", "logs": [{json.dumps(log())}, {odd}]}}')
    refused = [1] if field == "status_code" else []
    assert (answer.json()["accepted"], [each["index"] for each in answer.json()["rejected"]]) == (
        2 - len(refused),
        refused,
    )


def test_a_required_field_that_is_wrong_refuses_its_log_and_no_repair_of_it_counts(api: Api) -> None:
    """Counts of repairs are of logs that are stored."""
    answer = api.post("/track/batch", json=batch(log(status_code=0, ip="x"), log(ip="x"), log(endpoint="")))
    reasons = ["Input should be greater than or equal to 100", "String should have at least 1 character"]
    assert answer.json()["rejected"] == [
        {"index": 0, "field": "status_code", "reason": reasons[0]},
        {"index": 2, "field": "endpoint", "reason": reasons[1]},
    ]
    assert (delivery(api)["trimmed"], delivery(api)["accepted"]) == ({"ip": 1}, 1)


# -- what a batch says beside its logs ---------------------------------------------------------------------------------

ODD_CLIENTS = ["curl", {}, {"name": "x" * 65}, {"name": "x", "os": "linux"}, {"name": None}, [], 7, {"name": "\ud800"}]
ODD_LOSSES: list[tuple[Any, dict[str, int]]] = [
    ({"Buffer full": 1, "timeout": 2}, {"buffer_full": 1, "timeout": 2}),
    ({"a b": 1, "a-b": 2}, {"a_b": 3}),
    ({"": 1}, {"_": 1}),
    ({"\ud800": 1}, {"_": 1}),
    ({"x" * 100: 1}, {"x" * 64: 1}),
    ({"timeout": -1, "overflow": 2}, {"overflow": 2}),
    ({"timeout": 1.5, "overflow": "3", "other": None, "a": True, "b": [1]}, {}),
    ({"timeout": 3.0}, {"timeout": 3}),
    ({"timeout": float("inf"), "overflow": float("nan")}, {}),
    ({"timeout": 10**12}, {"timeout": 10**9}),
    ({f"r{number}": number + 1 for number in range(40)}, {f"r{n}": n + 1 for n in range(9, 40)} | {"other": 45}),
    ({"other": 5} | {f"r{n}": n + 1 for n in range(40)}, {f"r{n}": n + 1 for n in range(10, 40)} | {"other": 60}),
    ([], {}),
    (3, {}),
]


@pytest.mark.parametrize("client", ODD_CLIENTS, ids=repr)
def test_an_odd_client_costs_no_log(api: Api, client: Any) -> None:
    """It is left out and counted."""
    assert post(api, "/track/batch", batch(log(), client=client)).json() == ACCEPTED
    assert delivery(api)["trimmed"] == {"client": 1}


@pytest.mark.parametrize(("reported", "understood"), ODD_LOSSES, ids=lambda value: repr(value)[:30])
def test_odd_losses_cost_no_log(api: Api, reported: Any, understood: dict[str, int]) -> None:
    """What can be understood of them is counted."""
    assert post(api, "/track/batch", batch(log(), dropped=reported)).json() == ACCEPTED
    counted = delivery(api)
    repaired = {} if reported == understood else {"dropped": 1}
    assert (counted["dropped"], counted["trimmed"]) == (understood, repaired)


# -- any mixture -------------------------------------------------------------------------------------------------------

WRONG: list[tuple[Any, str]] = [
    (log(status_code=99), "invalid_status_code"),
    (log(method="GE T"), "invalid_method"),
    (log(endpoint=""), "invalid_endpoint"),
    (log(created_at="soon"), "invalid_created_at"),
    (log(process_time=None), "invalid_process_time"),
    (log(shade="red"), "unknown_field"),
    ("no log", "not_a_log"),
    (None, "not_a_log"),
    ([], "not_a_log"),
]
odd_values = {
    field: st.sampled_from([(field, value, expected) for value, expected in cases])
    for field, cases in ODD_FIELDS.items()
}
good = st.builds(lambda status: (log(status_code=status), row(status_code=status), set[str]()), st.integers(200, 204))
wrong = st.sampled_from(WRONG).map(lambda pair: (pair[0], pair[1], set[str]()))


@st.composite
def odd(draw: st.DrawFn) -> tuple[Any, Any, set[str]]:
    """A log with some odd fields, what is stored of it, and which were repaired."""
    fields = draw(st.sets(st.sampled_from(sorted(ODD_FIELDS)), min_size=1, max_size=4))
    sent, shown = log(), row()
    for field in fields:
        _, value, expected = draw(odd_values[field])
        sent[field] = value
        shown |= {} if expected is ... else {field: expected}
    return sent, shown, fields


@given(st.lists(good | odd() | wrong, max_size=12))
def test_any_mixture_of_logs(mixture: list[tuple[Any, Any, set[str]]]) -> None:
    """Accepted and rejected are all that was sent; each good one is as it was; every count is exact."""
    with mock_aws():
        engine = Engine(shared_client())
        api = Api(Service(SETTINGS, engine.keys, engine.logs, Clock()))
        answer = post(api, "/track/batch", batch(*(sent for sent, _, _ in mixture))).json()
        refused = [index for index, (_, shown, _) in enumerate(mixture) if isinstance(shown, str)]
        kept = [shown for _, shown, _ in mixture if not isinstance(shown, str)]
        assert answer["accepted"] == len(kept)
        assert [each["index"] for each in answer["rejected"]] == refused
        assert Counter(map(text, stored(api))) == Counter(map(text, kept))
        counted = delivery(api)
        assert counted["accepted"] == sum(shown["weight"] for shown in kept)
        assert counted["rejected"] == Counter(shown for _, shown, _ in mixture if isinstance(shown, str))
        assert counted["trimmed"] == Counter(field for _, _, fields in mixture for field in fields)
