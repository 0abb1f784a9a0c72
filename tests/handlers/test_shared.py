"""What the functions share: conditional state, claims, messages, text, environment."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from shared import environment
from shared.alerts import Alert, publish
from shared.aws import Arn, console_host, is_missing, split_uri
from shared.claims import TAKE_OVER_AFTER, ClaimedElsewhere, Claims
from shared.environment import EnvironmentProblem
from shared.objects import ObjectStore, ObjectSummary, UnreadableObject, digest
from shared.text import ascii_only, parse_time, short_number, shorten, waiting_for
from tests.handlers.fake_aws import NOW, Clock, FakeS3, FakeSns, refusal

KEY = "model/state/alerts/run.json"


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3("data")


@pytest.fixture
def store(s3: FakeS3) -> ObjectStore:
    return ObjectStore(s3, "data")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def claims(store: ObjectStore, clock: Clock) -> Claims:
    return Claims(store, clock.now)


# objects


def test_a_missing_object_is_none_without_asking_s3_to_read_it(s3: FakeS3, store: ObjectStore) -> None:
    s3.put("data", "model/state/alerts/run.json.bak")
    assert store.read_json(KEY) is None
    assert s3.called("GetObject") == []


def test_an_object_that_may_not_be_read_is_an_error_and_not_missing(s3: FakeS3, store: ObjectStore) -> None:
    s3.put("data", KEY, {"a": 1})
    s3.fail("GetObject", refusal("AccessDenied"))
    with pytest.raises(Exception, match="AccessDenied"):
        store.read_json(KEY)


def test_an_object_that_vanishes_while_it_is_read_is_none(s3: FakeS3, store: ObjectStore) -> None:
    s3.put("data", KEY, {"a": 1})
    s3.fail("GetObject", refusal("NoSuchKey"))
    assert store.read_json(KEY) is None


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_an_object_without_json_is_named(s3: FakeS3, store: ObjectStore, body: bytes) -> None:
    s3.put("data", KEY, body)
    with pytest.raises(UnreadableObject, match=r"s3://data/model/state/alerts/run\.json holds no JSON"):
        store.read_json(KEY)


def test_the_first_of_two_writers_wins(s3: FakeS3, store: ObjectStore) -> None:
    assert store.create_json(KEY, {"by": "one"}) is True
    assert store.create_json(KEY, {"by": "two"}) is False
    assert s3.json("data", KEY) == {"by": "one"}


def test_a_write_over_something_newer_is_refused(s3: FakeS3, store: ObjectStore) -> None:
    s3.put("data", KEY, {"by": "one"})
    read = store.read_json(KEY)
    assert read is not None
    s3.put("data", KEY, {"by": "two"})
    assert store.replace_json(KEY, {"by": "three"}, read.etag) is False
    assert s3.json("data", KEY) == {"by": "two"}


def test_a_write_over_something_that_vanished_is_refused(store: ObjectStore) -> None:
    assert store.replace_json(KEY, {}, '"etag"') is False


def test_writers_that_meet_try_again(s3: FakeS3, store: ObjectStore) -> None:
    s3.fail("PutObject", refusal("ConditionalRequestConflict"), times=2)
    assert store.create_json(KEY, {}) is True


def test_a_refused_write_is_an_error(s3: FakeS3, store: ObjectStore) -> None:
    s3.fail("PutObject", refusal("AccessDenied"))
    with pytest.raises(Exception, match="AccessDenied"):
        store.create_json(KEY, {})


def test_a_listing_goes_through_all_pages() -> None:
    s3 = FakeS3("data", page=2)
    for number in range(5):
        s3.put("data", f"k{number}")
    assert [item.key for item in ObjectStore(s3, "data").listing("k")] == ["k0", "k1", "k2", "k3", "k4"]


def test_a_digest_does_not_depend_on_order_and_tells_every_change() -> None:
    one, two = ObjectSummary("a", 1, "x"), ObjectSummary("b", 2, "y")
    assert digest([one, two]) == digest([two, one])
    changed = [
        [one],
        [one, ObjectSummary("b", 3, "y")],
        [one, ObjectSummary("b", 2, "z")],
        [one, ObjectSummary("c", 2, "y")],
    ]
    assert len({digest([one, two]), *map(digest, changed)}) == 5


# claims


def test_a_message_is_claimed_once(claims: Claims) -> None:
    assert claims.acquire(KEY, "one", {}) is True
    with pytest.raises(ClaimedElsewhere, match="one"):
        claims.acquire(KEY, "two", {})


def test_of_many_claims_at_the_same_moment_one_wins(claims: Claims) -> None:
    won: list[str] = []
    start = threading.Barrier(8)

    def claim(name: str) -> None:
        start.wait()
        try:
            if claims.acquire(KEY, name, {}):
                won.append(name)
        except ClaimedElsewhere:
            pass

    threads = [threading.Thread(target=claim, args=(f"request-{one}",)) for one in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_duplicate_waits_until_the_other_one_has_sent(store: ObjectStore, clock: Clock) -> None:
    claims = Claims(store, clock.now, patience=20, sleep=clock.sleep)
    claims.acquire(KEY, "one", {})
    sleep = clock.sleep

    def sent_meanwhile(seconds: float) -> None:
        sleep(seconds)
        if clock.seconds >= 3:
            claims.mark_sent(KEY, "one", {})

    assert Claims(store, clock.now, patience=20, sleep=sent_meanwhile).acquire(KEY, "two", {}) is False
    assert clock.seconds == 3


def test_patience_ends(store: ObjectStore, clock: Clock) -> None:
    claims = Claims(store, clock.now, patience=20, sleep=clock.sleep)
    claims.acquire(KEY, "one", {})
    with pytest.raises(ClaimedElsewhere):
        claims.acquire(KEY, "two", {})
    assert clock.seconds == 20


@pytest.mark.parametrize(
    ("value", "text"), [(0.1449, "0.145"), (0, "0"), ("0.10", "0.1"), (None, "None"), (12.0, "12")]
)
def test_a_distance_has_three_significant_digits(value: object, text: str) -> None:
    assert short_number(value) == text


def test_the_same_invocation_tried_again_may_send(claims: Claims) -> None:
    claims.acquire(KEY, "one", {})
    assert claims.acquire(KEY, "one", {}) is True


def test_a_message_that_was_sent_is_not_sent_again(claims: Claims, s3: FakeS3) -> None:
    claims.acquire(KEY, "one", {"subject": "s"})
    claims.mark_sent(KEY, "one", {"subject": "s"})
    assert claims.acquire(KEY, "one", {}) is False
    assert claims.acquire(KEY, "two", {}) is False
    assert s3.json("data", KEY)["subject"] == "s"


def test_the_claim_of_a_dead_invocation_is_taken_over(claims: Claims, clock: Clock) -> None:
    claims.acquire(KEY, "one", {})
    clock.sleep(TAKE_OVER_AFTER.total_seconds() - 1)
    with pytest.raises(ClaimedElsewhere):
        claims.acquire(KEY, "two", {})
    clock.sleep(1)
    assert claims.acquire(KEY, "two", {}) is True
    with pytest.raises(ClaimedElsewhere):
        claims.acquire(KEY, "one", {})


def test_a_dead_invocations_claim_is_taken_over_by_one_of_two(
    claims: Claims, clock: Clock, s3: FakeS3
) -> None:
    claims.acquire(KEY, "one", {})
    clock.sleep(TAKE_OVER_AFTER.total_seconds())

    def another_is_faster(bucket: str, key: str) -> None:
        if s3.called("GetObject"):
            s3.before_put = None
            assert claims.acquire(KEY, "two", {}) is True

    s3.before_put = another_is_faster
    with pytest.raises(ClaimedElsewhere, match="taken over"):
        claims.acquire(KEY, "three", {})
    assert s3.json("data", KEY)["request_id"] == "two"


def test_an_unreadable_claim_is_taken_over(claims: Claims, s3: FakeS3) -> None:
    s3.put("data", KEY, b"{")
    assert claims.acquire(KEY, "one", {}) is True
    assert s3.json("data", KEY)["request_id"] == "one"


def test_a_message_that_is_out_but_can_not_be_marked_is_not_sent_again_at_once(
    claims: Claims, s3: FakeS3
) -> None:
    claims.acquire(KEY, "one", {})
    s3.fail("PutObject", refusal("SlowDown"))
    claims.mark_sent(KEY, "one", {})
    with pytest.raises(ClaimedElsewhere):
        claims.acquire(KEY, "two", {})


# messages


def alert(title: str = "title", **more: list[str]) -> Alert:
    parts = {"happened": ["it"], "why": ["so"], "done": [], "todo": ["this"], **more}
    return Alert("prod", "model", title, **parts)


@pytest.mark.parametrize("title", ["x" * 300, "two\nlines\tand tab", "Zürich \u2013 naïve ☂", "bell\a"])
def test_a_subject_is_what_sns_takes(title: str) -> None:
    sns = FakeSns()
    publish(sns, "arn:aws:sns:eu-central-1:222222222222:alerts", alert(title))
    subject = sns.published[0]["Subject"]
    assert subject.startswith("[prod] model: ")
    assert len(subject) < 100


def test_a_body_has_four_headings_in_order() -> None:
    body = alert().body
    headings = ["What happened", "Why", "What was done by itself", "What to do next"]
    assert [line for line in body.splitlines() if line and not line.startswith(" ")] == headings
    assert "What was done by itself\n  Nothing.\n" in body


def test_a_body_is_short_whatever_is_put_in() -> None:
    assert len(alert(why=["x" * 1_000_000, "y\n" * 100_000]).body) < 25_000


# the rest


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named(value: str | None) -> None:
    with pytest.raises(EnvironmentProblem, match="DATA_BUCKET is not set"):
        environment.text({} if value is None else {"DATA_BUCKET": value}, "DATA_BUCKET")


@pytest.mark.parametrize("value", ["-1", "1.5", "three"])
def test_a_number_that_is_none_is_named(value: str) -> None:
    with pytest.raises(EnvironmentProblem, match=f"got '{value}'"):
        environment.whole_number({"REMINDER_DAYS": value}, "REMINDER_DAYS", 3)


def test_a_value_outside_of_the_list_is_named() -> None:
    with pytest.raises(EnvironmentProblem, match="one of drift, violation, got 'mood'"):
        environment.one_of({"RETRAIN_ON": "mood"}, "RETRAIN_ON", ("drift", "violation"), "drift")


def test_a_list_of_names_may_have_spaces_and_a_comma_too_many() -> None:
    assert environment.names({"GROUP_NAMES": "a, b,"}, "GROUP_NAMES") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T23:00:00Z", NOW),
        ("2026-11-20T23:00:00.000Z", NOW),
        ("2026-11-21T00:00:00+01:00", NOW),
        ("2026-11-20T23:00:00", NOW),
        (str(NOW.timestamp()), NOW),
        (str(int(NOW.timestamp() * 1000)), NOW),
        (NOW.replace(tzinfo=None), NOW),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_times_come_in_many_forms(text: object, expected: datetime | None) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_the_console_is_that_of_the_partition(region: str, host: str) -> None:
    assert console_host(region) == host


@pytest.mark.parametrize("value", ["", "name", "arn:aws:sagemaker", "s3://bucket/key"])
def test_something_else_than_an_arn_is_named(value: str) -> None:
    with pytest.raises(ValueError, match="expected an ARN"):
        Arn.parse(value)


def test_an_arn_keeps_its_partition_and_colons() -> None:
    value = "arn:aws-cn:lambda:cn-north-1:222222222222:function:name:1"
    assert str(Arn.parse(value)) == value


def test_a_uri_is_split_into_bucket_and_key() -> None:
    assert split_uri("s3://bucket/a/b.csv") == ("bucket", "a/b.csv")


def test_an_invalid_definition_is_not_a_missing_pipeline() -> None:
    assert is_missing(refusal("ResourceNotFound"))
    assert is_missing(refusal("ValidationException", "ModelPackage x does not exist."))
    assert not is_missing(refusal("ValidationException", "Unable to parse pipeline definition"))


def test_text_is_cut_visibly() -> None:
    assert (shorten("abcdef", 6), shorten("abcdefg", 6)) == ("abcdef", "abc...")


def test_text_without_ascii_form_stays_readable() -> None:
    assert ascii_only("Zürich \u2013 ☂") == "Zurich - ?"


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(minutes=5), "less than an hour"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=23), "23 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=3.9), "3 days"),
    ],
)
def test_an_age_is_told_in_words(age: timedelta, words: str) -> None:
    assert waiting_for(age / timedelta(days=1)) == words


def test_the_clock_of_claims_is_utc(s3: FakeS3, store: ObjectStore) -> None:
    Claims(store).acquire(KEY, "one", {})
    claimed = parse_time(s3.json("data", KEY)["claimed_at"])
    assert claimed is not None
    assert abs(datetime.now(UTC) - claimed) < timedelta(minutes=1)
