"""Messages reach a real receiver, and whatever goes wrong no secret is shown."""

import logging

import pytest

from marketdata_pipeline import logs
from marketdata_pipeline.alerts.message import Message
from marketdata_pipeline.alerts.sending import Delivery, Sender
from marketdata_pipeline.domain.alert import Severity
from marketdata_pipeline.errors import BadInput
from marketdata_pipeline_tests.alerts.receiver import TOKEN, Receiver

MESSAGE = Message("marketdata: test", "first\nsecond", Severity.WARNING)
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"


def test_a_message_arrives_with_title_body_and_severity(receiver: Receiver) -> None:
    assert Sender([receiver.url]).send(MESSAGE) == Delivery(taken=("1 json",))
    (found,) = receiver.messages
    assert (found["title"], found["message"]) == ("marketdata: test", "first\nsecond")
    assert found["type"] == "warning"


@pytest.mark.parametrize(
    ("severity", "kind"),
    [(Severity.CRITICAL, "failure"), (Severity.INFO, "info"), (None, "success")],
)
def test_a_receiver_can_tell_grave_from_over(
    receiver: Receiver, severity: Severity | None, kind: str
) -> None:
    Sender([receiver.url]).send(Message("t", "b", severity))
    assert receiver.messages[0]["type"] == kind


def test_a_receiver_that_refuses_is_named_with_its_reason(receiver: Receiver) -> None:
    receiver.status = 500
    found = Sender([receiver.url]).send(MESSAGE)
    assert not found.done
    ((name, why),) = found.failed
    assert name == "1 json"
    assert why == "it answered with error=500"


def test_one_that_takes_it_is_enough(receiver: Receiver) -> None:
    found = Sender(["json://127.0.0.1:9/", receiver.url]).send(MESSAGE)
    assert found.done
    assert found.taken == ("2 json",)
    assert found.failed == (("1 json", "it was not reached, or did not answer in time"),)


def test_no_secret_of_a_url_is_shown_or_logged(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = 403
    dead = f"json://name:{TOKEN}@127.0.0.1:9/{TOKEN}"
    found = Sender([receiver.url, dead]).send(MESSAGE)
    assert len(found.failed) == 2
    assert TOKEN not in str(found)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (
            "Failed to send Telegram notification to Telegram:12345: Unauthorized, error=401.",
            "it answered with error=401",
        ),
        (
            "A connection error occurred sending Telegram:12345 notification.",
            "it was not reached, or did not answer in time",
        ),
        ("The chat 12345 is unknown.", "it was not taken"),
    ],
)
def test_of_what_apprise_says_only_the_cause_is_told(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, line: str, cause: str
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        logging.getLogger("apprise").warning(line)
        return False

    monkeypatch.setattr("apprise.NotifyBase.notify", refuse)
    assert Sender([receiver.url]).send(MESSAGE).failed == (("1 json", cause),)


def test_a_secret_that_a_message_holds_is_not_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_secrets", set())
    logs.redact(["hunter22"])
    Sender([receiver.url]).send(Message("is hunter22", "said hunter22", None))
    (found,) = receiver.messages
    assert (found["title"], found["message"]) == ("is ***", "said ***")


@pytest.mark.parametrize("url", [f"nope://{TOKEN}/x", f"tgram://{TOKEN}", "slack://x"])
def test_a_url_that_is_none_is_refused_by_its_place(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        Sender(["json://127.0.0.1/", url]).send(MESSAGE)
    scheme = url.partition(":")[0]
    said = f"receiver 2 {scheme} of MARKETDATA_ALERT_URLS is no URL of apprise's"
    assert str(refused.value).startswith(said)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("json://127.0.0.1:9/", True),
        ("json://localhost/", True),
        ("json://[::1]/", True),
        ("json://example.com/", False),
        ("json://localhost.example.com/", False),
        ("jsons://example.com/", True),
        ("jsons://example.com/?verify=no", False),
        ("gotify://example.com/abcdefghijklmno", False),
        ("mailto://user:pass@mail.example.com", False),
        ("mailtos://user:pass@mail.example.com", True),
        ("mailto://user:pass@gmail.com", True),
        (TELEGRAM, True),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", True),
    ],
)
def test_in_the_clear_only_this_machine_is_reached_unless_a_person_says_so(
    url: str, *, safe: bool
) -> None:
    if not safe:
        with pytest.raises(BadInput, match="MARKETDATA_ALERT_PLAIN_HTTP=true"):
            Sender([url]).receivers()
    assert len(Sender([url], plain=not safe).receivers()) == 1


def test_without_a_url_nobody_is_reached() -> None:
    assert not Sender().reaches
    assert Sender().send(MESSAGE) == Delivery()
