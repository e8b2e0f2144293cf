"""The YAML that AppSpec files are written in: what is read means what a YAML library reads, and nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.deployers.yaml_subset import YamlError, compose, load

PROPERTIES = {"Name": "checkout", "Alias": "live", "CurrentVersion": "6", "TargetVersion": "7"}
WANTED = {"version": 0.0, "Resources": [{"shop": {"Type": "AWS::Lambda::Function", "Properties": PROPERTIES}}]}
FORMS = {
    "block": """
version: 0.0
Resources:
  - shop:
      Type: AWS::Lambda::Function
      Properties:
        Name: "checkout"
        Alias: live
        CurrentVersion: "6"
        TargetVersion: '7'
""",
    "flow": """
version: 0.0
Resources: [{shop: {Type: "AWS::Lambda::Function", Properties: {
  Name: checkout, Alias: live, "CurrentVersion": "6",   # what is live
  TargetVersion: '7',
}}}]
""",
    "all of it flow": "{version: 0.0, Resources: [{shop: {Type: 'AWS::Lambda::Function', Properties: "
    "{Name: checkout, Alias: live, CurrentVersion: '6', TargetVersion: '7'}}}]}",
    "quoted keys": """
"version": 0.0
'Resources':
- "shop":
    'Type' : AWS::Lambda::Function
    "Properties":
      "Name": checkout
      "Alias": live
      "CurrentVersion": "6"
      "TargetVersion": "7"
""",
    "comments and markers": """# made by a pipeline
%YAML 1.1
---
# version
version: 0.0 # of the file
Resources:
# the only one
  - shop:
      # what it is
      Type: AWS::Lambda::Function

      Properties:
        Name: checkout
        Alias: live
        CurrentVersion: "6"
        TargetVersion: "7"
...
""",
    "anchors": """
version: 0.0
Resources:
  - shop:
      Type: AWS::Lambda::Function
      Properties: &properties
        Name: &name checkout
        Alias: live
        <<: {CurrentVersion: "6", Alias: never}
        TargetVersion: "7"
""",
    "tags and marked keys": """
version: 0.0
Resources: !!seq
  - ? shop
    : Type: !!str AWS::Lambda::Function
      ? "Properties"   # a key of its own line
      : !!map
        Name: !!str
          checkout
        Alias: &alias !!str live
        CurrentVersion: !!str 6
        ? TargetVersion
        : !!str &target 7
""",
    "blocks of text": """
version: 0.0
Resources:
  - shop:
      Type: >-
        AWS::Lambda::Function
      Properties:
        Name: |-
          checkout
        Alias:
          live
        CurrentVersion: "6"
        TargetVersion: "\\x37"
""",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["unix", "windows"])
def test_every_form_of_a_file_means_the_same(form: str, ends: str) -> None:
    assert load(FORMS[form].replace("\n", ends)) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "\ta: b", "a:\tb", "a:\n\tb: c", "a: b: c", "a: [b", "a: {b: c}}", "a: 'b", "a: *b", "a: !!int 7", "a: !Ref b",
        "a: !!str [b]", "a: !!map b", "x: &x b\na: !!str *x", "a: !!str !!str b", "a: &b &c d", "a: !!str b: c",
        "? a\nb: c", "? a", "? a b\n  c\n: d", "? a: b\n: c", "? - a\n: b", "? a\n  : b", "? a\n: b\n? a\n: c",
        "a: b\na: c", "a: b\nA: c", "{a: b, a: c}", "a:\n   b: c\n  d: e", "a: b\n---\nc: d", "a: b\n  c: d",
        "a: [b] c", "a: &x b\nc: &x d",
        "", "# nothing", "a: @b", "a: %b", "a: \x00", "%TAG ! x\n---\na: b", '"\\q": b', '"\\x4": b', "<<: b",
    ],
)  # fmt: skip
def test_what_is_no_yaml_or_would_be_a_guess_is_refused(text: str) -> None:
    with pytest.raises(YamlError):
        load(text)


def test_aliases_that_stand_for_millions_of_nodes_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="too much"):
        load("\n".join(lines))


def test_what_is_nested_without_end_is_refused() -> None:
    with pytest.raises(YamlError, match="too deeply"):
        load("a: " + "[" * 10_000)


TEXTS = st.one_of(
    st.sampled_from(
        ["checkout", "arn:aws:ecs:eu-west-1:1:task-definition/web:7", "8080", "0.0", "", "a # b", "a: b", "~"]
    ),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"),
        max_size=12,
    ),
)
KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9 _-]{0,8}[a-z]", fullmatch=True)
NODES = st.recursive(
    TEXTS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=12
)
DOCUMENTS = st.dictionaries(KEYS, NODES, min_size=1, max_size=4)


def alike(node: Any) -> bool:
    """Whether some map has a key twice in different case: AppSpec's names are found in any case, so that is refused."""
    if isinstance(node, dict):
        return len({key.lower() for key in node}) < len(node) or any(map(alike, node.values()))
    return isinstance(node, list) and any(map(alike, node))


@settings(max_examples=250, deadline=None)
@given(document=DOCUMENTS, flow=st.sampled_from([True, False, None]), quotes=st.sampled_from([None, '"', "'"]),
       width=st.sampled_from([12, 80]), indent=st.sampled_from([2, 4]), marked=st.booleans())  # fmt: skip
def test_what_a_yaml_library_writes_is_read_back(
    document: dict[str, Any], flow: bool | None, quotes: str | None, width: int, indent: int, marked: bool
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, default_style=quotes, width=width, indent=indent,
                          explicit_start=marked, explicit_end=marked, allow_unicode=True)  # fmt: skip
    if alike(document) or "? " in text:
        return
    assert compose(text) == yaml.load(text, yaml.BaseLoader)


MARKS = list(" \n\t:-#'\"{}[],&*|>aA%!?0~\\")
MISTAKES = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(MARKS), st.integers(0, 1)), min_size=1, max_size=3)


@settings(max_examples=400, deadline=None)
@given(form=st.sampled_from(sorted(FORMS)), changes=MISTAKES)
def test_a_file_with_mistakes_is_refused_or_read_as_a_yaml_library_reads_it(
    form: str, changes: list[tuple[int, str, int]]
) -> None:
    """Strict: it never reads a map where a library refuses the text, nor another one."""
    text = FORMS[form]
    for at, put, gone in changes:
        text = text[:at] + put + text[at + gone :]
    try:
        found = compose(text)
    except YamlError:
        return
    if isinstance(found, dict):
        assert found == yaml.load(text, yaml.BaseLoader)
