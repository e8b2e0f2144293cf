"""A pattern with placeholders fits a name in each way in which it can be read, and in no other."""

from __future__ import annotations

import time

import pytest

from lastgood.placeholders import MissingValueError, filled, parse_pattern, placeholders, split_names

WAYS = [
    ("<app>-<env>-errors", "shop-prod-errors", [{"app": "shop", "env": "prod"}]),
    (
        "<app>-<env>-errors",
        "web-shop-prod-errors",
        [{"app": "web", "env": "shop-prod"}, {"app": "web-shop", "env": "prod"}],
    ),
    ("<app>-prod-errors", "web-shop-prod-errors", [{"app": "web-shop"}]),
    ("<app>", "anything at all", [{"app": "anything at all"}]),
    ("<app>-errors", "-errors", []),
    ("<app>-errors", "shop-errors ", []),
    ("a<middle>a", "aa", []),
    ("a<middle>a", "aba", [{"middle": "b"}]),
    ("*/<app>/*", "team/shop/errors", [{"app": "shop"}]),
    ("<app>-err?r", "shop-error", [{"app": "shop"}]),
    ("<app>-[ps]*", "shop-prod", [{"app": "shop"}]),
    ("[<]<app>>", "<shop>", [{"app": "shop"}]),
    (
        "<app>:<env>",
        "größe\U0001f469\u200d\U0001f680:prod",
        [{"app": "größe\U0001f469\u200d\U0001f680", "env": "prod"}],
    ),
]


@pytest.mark.parametrize(("pattern", "name", "ways"), WAYS)
def test_a_pattern_fits_a_name_in_these_ways(pattern: str, name: str, ways: list[dict[str, str]]) -> None:
    assert list(parse_pattern(pattern).bindings(name)) == ways


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("<app><env>", "nothing between"),
        ("<app>*", "nothing between"),
        ("*<app>-errors", "nothing between"),
        ("<app>-<app>", "twice"),
        ("<app", 'no ">" closes'),
        ("shop-<>", "without a name"),
        ("shop-< env>", "space"),
        ("latency<5s", 'no ">" closes'),
    ],
)
def test_a_pattern_that_could_mean_several_things_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("-".join(f"<p{n}>" for n in range(60)), "a-" * 127),
        ("a".join(f"<p{n}>" for n in range(60)) + "b", "a" * 255),
        ("*a*a*a*a*a*a*a*a*a*a*a*a-<x>-*b", "a" * 250 + "-a-a"),
    ],
)
def test_no_pattern_takes_long_over_any_name(pattern: str, name: str) -> None:
    began = time.process_time()
    next(parse_pattern(pattern).bindings(name), None)
    assert time.process_time() - began < 0.5


def test_a_text_is_filled_with_what_its_placeholders_stand_for() -> None:
    assert placeholders("<app>-<env>") == ("app", "env")
    assert filled("<app>-x-<env>", {"app": "shop", "env": "prod"}) == "shop-x-prod"
    with pytest.raises(MissingValueError) as missing:
        filled("<app>", {"App": "shop"})
    assert missing.value.name == "app"


def test_a_service_with_placeholders_is_split_at_its_one_slash() -> None:
    assert split_names("<ClusterName>/web-<env>") == ("<ClusterName>", "web-<env>")
    for wrong in ("<service>", "a/b/c", "/<service>", "<a>/"):
        with pytest.raises(ValueError, match="slash between"):
            split_names(wrong)
