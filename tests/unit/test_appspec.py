"""An AppSpec as text: what is read from it, what is refused, and that nothing else changes."""

from __future__ import annotations

import json

import pytest
import yaml

from lastgood.deployers.appspec import AppSpec, AppSpecError

YAML = """version: 0.0
Resources:
  - myLambdaFunction:
      Type: AWS::Lambda::Function
      Properties:
        Name: "checkout"
        Alias: 'live'
        CurrentVersion: 6   # what is live
        TargetVersion: "7"
Hooks:
  - BeforeAllowTraffic: "CheckTargetVersion"
  - AfterAllowTraffic: "arn:aws:lambda:eu-west-1:123456789012:function:Name"
"""
LAMBDA = {"Name": "checkout", "Alias": "live", "CurrentVersion": "6", "TargetVersion": "7"}
JSON = json.dumps(
    {
        "version": 0.0,
        "Resources": [{"myLambdaFunction": {"Type": "AWS::Lambda::Function", "Properties": LAMBDA}}],
        "Hooks": [{"BeforeAllowTraffic": "CheckTargetVersion"}, {"Name": "a hook with the same word"}],
    }
)
ECS = """version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7
        LoadBalancerInfo:
          ContainerName: web
          ContainerPort: 8080
"""
BOTH = pytest.mark.parametrize("text", [YAML, JSON], ids=["yaml", "json"])


@BOTH
@pytest.mark.parametrize(("name", "value"), LAMBDA.items())
def test_a_property_is_read_with_and_without_quotes_and_beside_a_comment(text, name, value):
    assert AppSpec(text).get(name) == value


@BOTH
@pytest.mark.parametrize("name", ["targetversion", "TARGETVERSION", "targetVersion"])
def test_a_property_is_found_in_any_case(text, name):
    assert AppSpec(text).get(name) == "7"
    assert AppSpec(text.replace("TargetVersion", "targetversion", 1)).get("TargetVersion") == "7"


def test_a_task_definition_keeps_its_colons_and_slashes():
    arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7"
    assert AppSpec(ECS).get("TaskDefinition") == arn
    assert AppSpec(ECS.replace(arn, f'"{arn}"')).get("TaskDefinition") == arn
    assert AppSpec(ECS).get("ContainerPort") == "8080"


def test_a_number_in_json_is_read_as_text():
    assert AppSpec(JSON.replace('"7"', "7")).get("TargetVersion") == "7"


def test_windows_line_ends_are_no_part_of_a_value():
    windows = YAML.replace("\n", "\r\n")
    assert {name: AppSpec(windows).get(name) for name in LAMBDA} == LAMBDA


def test_a_file_without_a_last_line_end_is_read():
    assert AppSpec("Resources:\n  TargetVersion: 7").get("TargetVersion") == "7"


def test_a_quoted_property_name_is_read():
    assert AppSpec(YAML.replace("TargetVersion:", '"TargetVersion":')).get("TargetVersion") == "7"


def test_a_line_that_is_commented_out_is_no_property():
    assert AppSpec(YAML.replace("        Name:", "        # Name: old\n        Name:")).get("Name") == "checkout"


def test_a_longer_name_is_another_property():
    assert AppSpec(YAML.replace("        Alias:", "        FunctionName: x\n        Alias:")).get("Name") == "checkout"


# --- what is refused --------------------------------------------------------------------------------------------------


@BOTH
def test_a_missing_property_is_refused_by_name(text):
    with pytest.raises(AppSpecError, match="TaskDefinition"):
        AppSpec(text).get("TaskDefinition")


def test_a_property_that_stands_twice_is_refused_never_guessed():
    with pytest.raises(AppSpecError, match="2 times"):
        AppSpec(YAML.replace("Hooks:", '        TargetVersion: "8"\nHooks:')).get("TargetVersion")
    document = json.loads(JSON)
    document["Resources"].append({"second": {"Properties": {"TargetVersion": "8"}}})
    with pytest.raises(AppSpecError, match="2 times"):
        AppSpec(json.dumps(document)).get("TargetVersion")


def test_a_json_key_that_stands_twice_in_one_object_is_refused_too():
    with pytest.raises(AppSpecError):
        AppSpec(JSON.replace('"TargetVersion": "7"', '"TargetVersion": "7", "TargetVersion": "8"')).get("TargetVersion")


@pytest.mark.parametrize(
    "line",
    ["TargetVersion:", "TargetVersion: {a: 1}", "TargetVersion: [7]", "TargetVersion: |", "TargetVersion: *version"],
)
def test_a_value_that_is_no_plain_scalar_is_refused(line):
    with pytest.raises(AppSpecError):
        AppSpec(YAML.replace('TargetVersion: "7"', line)).get("TargetVersion")


@pytest.mark.parametrize("text", ["", "{", "{]", "just a line", "[]", '{"Resources": null}', "{" * 10_000])
def test_a_file_that_is_neither_is_refused_with_our_own_error(text):
    with pytest.raises(AppSpecError):
        AppSpec(text).get("TargetVersion")


def test_a_hash_inside_a_value_does_not_cut_it_short():
    for written in ('"a#b"', "a#b"):
        spec = AppSpec(YAML.replace('"checkout"', written))
        try:
            found = spec.get("Name")
        except AppSpecError:
            continue
        assert found == "a#b"


# --- what is replaced -------------------------------------------------------------------------------------------------


def test_only_the_replaced_properties_change_in_yaml():
    changed = AppSpec(YAML).replaced(CurrentVersion="7", TargetVersion="5")
    expected = yaml.safe_load(YAML)
    properties = expected["Resources"][0]["myLambdaFunction"]["Properties"]
    properties |= {"CurrentVersion": "7", "TargetVersion": "5"}
    assert yaml.safe_load(changed.text) == expected


def test_only_the_replaced_properties_change_in_json():
    changed = AppSpec(JSON).replaced(CurrentVersion="7", TargetVersion="5")
    expected = json.loads(JSON)
    expected["Resources"][0]["myLambdaFunction"]["Properties"] |= {"CurrentVersion": "7", "TargetVersion": "5"}
    assert json.loads(changed.text) == expected


def test_every_other_line_stays_as_it_was_written():
    changed = AppSpec(YAML).replaced(TargetVersion="5").text.splitlines()
    differing = [(old, new) for old, new in zip(YAML.splitlines(), changed, strict=True) if old != new]
    assert differing == [('        TargetVersion: "7"', '        TargetVersion: "5"')]


def test_a_line_with_windows_line_ends_keeps_them_and_its_comment():
    windows = YAML.replace("\n", "\r\n")
    assert AppSpec(windows).replaced(CurrentVersion="5").text == windows.replace(
        "CurrentVersion: 6", 'CurrentVersion: "5"'
    )


@BOTH
def test_a_hook_that_mentions_the_same_words_is_not_touched(text):
    changed = AppSpec(text).replaced(Name="basket", TargetVersion="5").text
    assert "CheckTargetVersion" in changed
    assert (yaml.safe_load(changed)["Hooks"]) == yaml.safe_load(text)["Hooks"]


@BOTH
def test_a_replacement_is_taken_literally(text):
    assert AppSpec(text).replaced(Name=r"\1\g<head>").get("Name") == r"\1\g<head>"


@BOTH
def test_a_property_that_is_not_there_cannot_be_replaced(text):
    with pytest.raises(AppSpecError):
        AppSpec(text).replaced(TaskDefinition="x")


# --- hooks ------------------------------------------------------------------------------------------------------------


@BOTH
def test_without_hooks_everything_else_is_left(text):
    expected = {k: v for k, v in yaml.safe_load(text).items() if k != "Hooks"}
    assert yaml.safe_load(AppSpec(text).without_hooks().text) == expected


def test_hooks_in_the_middle_or_in_another_case_are_found():
    middle = "version: 0.0\nhooks:\n  - BeforeInstall: f\n\n  - AfterInstall: g\n" + ECS.removeprefix("version: 0.0\n")
    assert yaml.safe_load(AppSpec(middle).without_hooks().text) == yaml.safe_load(ECS)


def test_hooks_whose_list_is_not_indented_are_dropped_whole():
    flat = ECS + 'Hooks:\n- BeforeInstall: "f"\n- AfterInstall: "g"\n'
    assert yaml.safe_load(AppSpec(flat).without_hooks().text) == yaml.safe_load(ECS)


def test_a_comment_between_the_hooks_does_not_end_them():
    commented = ECS + 'Hooks:\n# look first\n  - BeforeInstall: "f"\n'
    assert yaml.safe_load(AppSpec(commented).without_hooks().text) == yaml.safe_load(ECS)


def test_hooks_under_a_quoted_name_are_dropped():
    assert yaml.safe_load(AppSpec(ECS + '"Hooks":\n  - BeforeInstall: "f"\n').without_hooks().text) == yaml.safe_load(
        ECS
    )


def test_a_file_without_hooks_stays_what_it_was():
    assert yaml.safe_load(AppSpec(ECS).without_hooks().text) == yaml.safe_load(ECS)
