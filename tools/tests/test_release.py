"""Releases: who calls a function's alias, and when a version is published, in the translation by SAM."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from samtranslator.yaml_helper import yaml_parse

import release
from release import ids, stamp
from samconfig import parameters, settings
from test_template import alias, lint, of_type
from translation import packaged, translate

FUNCTION = "AWS::Serverless::Function"
ENVIRONMENTS = ["dev", "prod"]
PROVIDERS = {"PaymentUrl": "https://pay.example.com", "RestaurantUrl": "https://food.example.com"}


@pytest.fixture(scope="module")
def template(root: Path) -> dict:
    return packaged(yaml_parse((root / "template.yaml").read_text()))


@pytest.fixture(scope="module")
def values(template: dict) -> Callable[[str], dict]:
    return lambda env: parameters(template, settings(env)["parameter_overrides"]) | PROVIDERS


@pytest.fixture(scope="module")
def released(template: dict, values: Callable[[str], dict]) -> Callable[[str], dict]:
    """Returns what AWS creates in an environment."""
    made = {env: translate(stamp(template, values(env)), **values(env)) for env in ENVIRONMENTS}
    return made.__getitem__


@pytest.fixture(autouse=True, scope="module")
def checkout(root: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield


def functions(template: dict) -> list[str]:
    return [name for name, resource in template["Resources"].items() if resource["Type"] == FUNCTION]


def routes(template: dict) -> set[str]:
    """Returns the functions of the API."""
    all_of_them = of_type(template, FUNCTION)
    return {n for n, f in all_of_them.items() if any(e["Type"] == "Api" for e in f.get("Events", {}).values())}


# --- Aliases ---


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_function_is_called_by_its_alias_only(env: str, template: dict, released: Callable[[str], dict]) -> None:
    resources = released(env)["Resources"]
    by_alias = {name: alias(name) for name in functions(template)}
    for name, reference in by_alias.items():
        found = resources[reference["Ref"]]["Properties"]
        assert (found["Name"], found["FunctionName"]) == ("live", {"Ref": name})
    # What makes an alias or a version, watches one or moves one names the function. Nothing else does.
    made = {"AWS::Lambda::Alias", "AWS::Lambda::Version", "AWS::IAM::Role"}
    made |= {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"}
    callers = {name: r for name, r in resources.items() if r["Type"] not in made or name == "OrderStateMachineRole"}
    text = json.dumps([callers, released(env)["Outputs"]])
    named = re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+Function)"|\$\{(\w+Function)[.}]', text)
    # The substitutions of the state machine have the names of its functions.
    assert named == []
    mentioned = set(re.findall(r"(\w+Function)Aliaslive", text))
    assert mentioned == set(by_alias)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_permission_names_an_alias(env: str, template: dict, released: Callable[[str], dict]) -> None:
    permissions = of_type(released(env), "AWS::Lambda::Permission").values()
    allowed = [p["FunctionName"] for p in permissions]
    called = routes(template) | {"SweepOrdersFunction"}
    assert {json.dumps(name) for name in allowed} == {json.dumps(alias(name)) for name in called}


def test_every_route_of_the_api_calls_an_alias(template: dict, released: Callable[[str], dict]) -> None:
    (api,) = of_type(released("prod"), "AWS::ApiGateway::RestApi").values()
    methods = [m for path in api["Body"]["paths"].values() for verb, m in path.items() if verb != "options"]
    uris = [json.dumps(method["x-amazon-apigateway-integration"]["uri"]) for method in methods]
    called = [re.search(r"functions/\$\{(\w+)\.?\w*\}/invocations", uri)[1] for uri in uris]
    assert set(called) == {alias(name)["Ref"] for name in routes(template)}


# --- Ids ---


@pytest.fixture(scope="module")
def dev(values: Callable[[str], dict]) -> dict:
    return values("dev")


@pytest.fixture(scope="module")
def published(released: Callable[[str], dict]) -> Callable[[dict, dict], set[str]]:
    """Returns the functions of which a version is published when dev gets another template or other parameters."""
    before = of_type(released("dev"), "AWS::Lambda::Version")

    def publish(template: dict, values: dict) -> set[str]:
        after = of_type(translate(stamp(template, values)), "AWS::Lambda::Version")
        return {re.sub(r"Versionr[0-9a-f]{9}$", "", version) for version in after.keys() - before.keys()}

    return publish


def test_the_same_input_publishes_nothing(
    published: Callable[[dict, dict], set[str]], template: dict, dev: dict
) -> None:
    assert published(copy.deepcopy(template), dict(dev)) == set()
    shuffled = {**template, "Resources": dict(reversed(template["Resources"].items()))}
    assert ids(shuffled, dev) == ids(template, dev)
    assert len(set(ids(template, dev).values())) == len(functions(template))


@pytest.mark.parametrize(
    ("parameter", "users"),
    [
        ("UnitPrice", {"PutOrder", "UpdateOrder", "SubmitOrder"}),
        ("DeliveryMinutes", {"SendOrder"}),
        # By a condition, in a policy.
        ("PaymentKeySecret", {"ProcessPayment", "RefundPayment", "RecoverOrder", "SweepOrders"}),
        # The state machine has it as well, but its functions don't depend on that.
        ("GracePeriodSeconds", {"SweepOrders"}),
        ("RequestsPerSecond", set()),
        ("AlarmEmail", set()),
        # A canary is no change of a function.
        ("Canary", set()),
    ],
)
def test_a_changed_parameter_publishes_the_functions_that_use_it(
    published: Callable[[dict, dict], set[str]], template: dict, dev: dict, parameter: str, users: set[str]
) -> None:
    assert published(template, dev | {parameter: "7"}) == {f"{name}Function" for name in users}


@pytest.mark.parametrize("parameter", ["LogLevel", "Runtime", "Environment"])
def test_a_parameter_of_all_functions_publishes_all(
    published: Callable[[dict, dict], set[str]], template: dict, dev: dict, parameter: str
) -> None:
    assert published(template, dev | {parameter: "another"}) == set(functions(template))


def changed(template: dict, name: str, **properties: object) -> dict:
    """Returns the template with other properties of a resource."""
    template = copy.deepcopy(template)
    template["Resources"][name]["Properties"] |= properties
    return template


@pytest.mark.parametrize("properties", [{"CodeUri": "s3://bucket/0a1b"}, {"Timeout": 9}, {"Policies": []}])
def test_a_change_of_one_function_leaves_the_others_alone(
    published: Callable[[dict, dict], set[str]], template: dict, dev: dict, properties: dict
) -> None:
    # The state machine calls this one.
    name = "CompleteOrderFunction"
    assert published(changed(template, name, **properties), dev) == {name}


@pytest.mark.parametrize("properties", [{"Events": {}}, {"DeploymentPreference": {"Enabled": False}}])
def test_how_a_function_is_called_is_no_change_of_it(template: dict, dev: dict, properties: dict) -> None:
    assert ids(changed(template, "GetOrderFunction", **properties), dev) == ids(template, dev)


def test_a_changed_table_publishes_the_functions_that_use_it(
    published: Callable[[dict, dict], set[str]], template: dict, dev: dict
) -> None:
    users = {name for name, f in of_type(template, FUNCTION).items() if "IdempotencyTable" in json.dumps(f)}
    assert published(changed(template, "IdempotencyTable", BillingMode="PROVISIONED"), dev) == users
    assert "GetOrderFunction" not in users


def test_a_replaced_state_machine_publishes_the_functions_that_name_it(template: dict, dev: dict) -> None:
    before = ids(template, dev)

    def published(**properties: object) -> set[str]:
        after = ids(changed(template, "OrderStateMachine", **properties), dev)
        return {name for name in after if after[name] != before[name]}

    users = {name for name, f in of_type(template, FUNCTION).items() if "OrderStateMachine" in json.dumps(f)}
    assert "StartOrderFunction" in users
    assert published(Name="orders") == published(Type="EXPRESS") == users
    # Another definition leaves its ARN as it is.
    assert published(DefinitionUri="s3://bucket/0a1b", Tracing={"Enabled": False}) == set()


def test_what_a_resource_refers_to_counts_too(template: dict, dev: dict) -> None:
    # The queue names its dead-letter queue, and a mapping has its times.
    before = ids(template, dev)
    after = ids(changed(template, "OrdersDeadLetterQueue", MessageRetentionPeriod=60), dev)
    assert before["SubmitOrderFunction"] != after["SubmitOrderFunction"]
    times = copy.deepcopy(template)
    times["Mappings"]["TimesByEnvironment"]["dev"] = {"QueueVisibility": 61}
    assert {n for n, value in ids(times, dev).items() if value != before[n]} == {
        "SubmitOrderFunction",
        "StartOrderFunction",
        "RecoverOrderFunction",
    }


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_each_function_knows_its_release(
    env: str, template: dict, values: Callable[[str], dict], released: Callable[[str], dict]
) -> None:
    made = of_type(released(env), "AWS::Lambda::Function")
    found = {name: function["Environment"]["Variables"]["RELEASE"] for name, function in made.items()}
    assert found == ids(template, values(env))
    versions = of_type(released(env), "AWS::Lambda::Version")
    assert versions.keys() == {f"{name}Version{id_}" for name, id_ in found.items()}
    for name in functions(template):
        moved = released(env)["Resources"][alias(name)["Ref"]]["Properties"]["FunctionVersion"]
        assert moved == {"Fn::GetAtt": [f"{name}Version{found[name]}", "Version"]}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_version_goes_with_the_release_that_published_it(env: str, released: Callable[[str], dict]) -> None:
    # Left after a rollback, it would equal the one that the next deployment of the same function publishes.
    versions = [r for r in released(env)["Resources"].values() if r["Type"] == "AWS::Lambda::Version"]
    assert {version["DeletionPolicy"] for version in versions} == {"Delete"}


def test_without_a_stamp_a_function_is_published_for_a_new_zip(template: dict) -> None:
    name = "GetOrderFunction"
    before, same, after = (
        of_type(translate(t), "AWS::Lambda::Version").keys()
        for t in (template, template, changed(template, name, CodeUri="s3://bucket/0a1b"))
    )
    assert before == same
    assert [re.sub("Version.*", "", version) for version in after - before] == [name]


# --- Canary ---


def test_the_functions_of_the_api_are_released_by_a_canary_in_prod(
    template: dict, released: Callable[[str], dict]
) -> None:
    resources = released("prod")["Resources"]
    groups = of_type(released("prod"), "AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in routes(template)}
    alarms = [{"Name": {"Ref": name}} for name in ("CanaryFunctionsAlarm", "CanaryApiAlarm")]
    for group in groups.values():
        assert group["AlarmConfiguration"]["Fn::If"] == ["HasCanary", {"Enabled": True, "Alarms": alarms}, {}]
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert "Canary10Percent10Minutes" in json.dumps(group["DeploymentConfigName"])
        assert group["ServiceRoleArn"]["Fn::If"][:2] == ["HasCanary", {"Fn::GetAtt": ["CanaryRole", "Arn"]}]
    for name in functions(template):
        policy = resources[alias(name)["Ref"]].get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
        expected = {"Ref": f"{name}DeploymentGroup"} if name in routes(template) else None
        assert policy.get("DeploymentGroupName") == expected


def test_dev_has_no_canary(released: Callable[[str], dict]) -> None:
    kinds = {r["Type"].split("::")[1] for r in released("dev")["Resources"].values()}
    assert "CodeDeploy" not in kinds
    assert "UpdatePolicy" not in json.dumps(released("dev"))
    made = {name for name, r in released("dev")["Resources"].items() if r.get("Condition") == "HasCanary"}
    assert made == {"CanaryFunctionsAlarm", "CanaryApiAlarm", "CanaryRole"}
    assert released("dev")["Conditions"]["HasCanary"] == {"Fn::Equals": [{"Ref": "Canary"}, "true"]}


def test_a_failure_of_a_new_version_raises_the_alarm(
    template: dict, values: Callable[[str], dict], released: Callable[[str], dict]
) -> None:
    alarm = released("prod")["Resources"]["CanaryFunctionsAlarm"]["Properties"]
    (math, *metrics) = alarm["Metrics"]
    # Of several metrics in an alarm exactly one is the result.
    assert math == {"Id": "errors", "Expression": "SUM(METRICS())", "Label": "Errors of the new versions"}
    watched = []
    for metric in metrics:
        assert (metric["ReturnData"], metric["MetricStat"]["Stat"]) == (False, "Sum")
        watched.append(metric["MetricStat"]["Metric"])
    releases = ids(template, values("prod"))
    assert watched == [
        {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [
                {"Name": "FunctionName", "Value": {"Ref": name}},
                {"Name": "Resource", "Value": {"Fn::Sub": f"${{{name}}}:live"}},
                {"Name": "ExecutedVersion", "Value": {"Fn::GetAtt": [f"{name}Version{releases[name]}", "Version"]}},
            ],
        }
        for name in functions(template)
        if name in routes(template)
    ]
    assert len({metric["Id"] for metric in metrics}) == len(metrics)
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, 1, "notBreaching")
    assert "AlarmActions" not in alarm


def test_bad_answers_of_the_api_raise_an_alarm(released: Callable[[str], dict]) -> None:
    alarm = released("prod")["Resources"]["CanaryApiAlarm"]["Properties"]
    (api,) = of_type(released("prod"), "AWS::ApiGateway::RestApi").values()
    (stage,) = of_type(released("prod"), "AWS::ApiGateway::Stage").values()
    dimensions = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
    # The name of the API is the title of its document.
    assert dimensions == {"ApiName": api["Body"]["info"]["title"], "Stage": {"Ref": "StageName"}}
    assert (stage["StageName"], "Name" in api) == ({"Ref": "StageName"}, False)
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/ApiGateway", "5XXError", "Average")
    # A tenth of the requests go to the new version: if all of them fail, the alarm is raised before the others follow.
    assert alarm["Threshold"] < 1 / 10
    assert alarm["DatapointsToAlarm"] * alarm["Period"] < 10 * 60
    assert "AlarmActions" not in alarm


def test_the_role_of_the_canary_moves_aliases_of_the_api_and_nothing_else(
    template: dict, released: Callable[[str], dict]
) -> None:
    resources = released("prod")["Resources"]
    roles = of_type(released("prod"), "AWS::IAM::Role")
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    assert {name for name, role in roles.items() if role.get("PermissionsBoundary") != boundary} == set()
    # SAM makes none of its own.
    assert roles.keys() - {f"{name}Role" for name in functions(template)} == {"OrderStateMachineRole", "CanaryRole"}
    role = resources["CanaryRole"]["Properties"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    (policy,) = role["Policies"]
    (move, look) = policy["PolicyDocument"]["Statement"]
    assert set(move["Action"]) == {"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"}
    assert look["Action"] == "cloudwatch:DescribeAlarms"
    arns = [{"Fn::GetAtt": [n, "Arn"]} for n in routes(template)]
    versions = [{"Fn::Sub": f"${{{n}.Arn}}:*"} for n in routes(template)]
    assert sorted(map(json.dumps, move["Resource"])) == sorted(map(json.dumps, arns + versions))
    assert "ManagedPolicyArns" not in role


def test_cfn_lint_accepts_the_release(released: Callable[[str], dict], tmp_path: Path) -> None:
    # With the parameters of prod, only one branch of a condition can be reached.
    assert lint(released("prod"), tmp_path, "W1028") == []


# --- The command ---


def test_the_stamped_template_is_written_for_the_deployed_parameters(
    template: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "PACKAGED", tmp_path / "packaged.yaml")
    monkeypatch.setattr(release, "RELEASE", tmp_path / "release.yaml")
    (tmp_path / "packaged.yaml").write_text(json.dumps(template))
    client = boto3.client("cloudformation")
    deployed = {"ParameterKey": "UnitPrice", "ParameterValue": "3"}
    stack = {"StackName": "s", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": "UPDATE_COMPLETE"}
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", {"Stacks": [stack | {"Parameters": [deployed]}]}, {"StackName": "s"})
        release.write(client, "s", ["LogLevel=warn"])
    written = yaml_parse((tmp_path / "release.yaml").read_text())
    assert written == stamp(template, parameters(template, ["LogLevel=warn"], {"UnitPrice": "3"}))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "PACKAGED", tmp_path / "packaged.yaml")
    client = boto3.client("cloudformation")
    with pytest.raises(SystemExit, match=re.escape(f"error: {tmp_path}/packaged.yaml is missing: run sam package")):
        release.write(client, "s", [])
