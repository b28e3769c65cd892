"""template.yaml: rights, variables, protection and logs, which no local run shows, and its translation by SAM."""

import contextlib
import json
import re
import tomllib
from pathlib import Path

import botocore.session
import cfnlint.api as cfnlint
import pytest
import yaml
from jsonschema import Draft202012Validator
from samtranslator.yaml_helper import yaml_parse

from translation import translate

# Rights to read an order and record what is learned.
STEP = {("dynamodb:GetItem", "OrdersTable"), ("dynamodb:PutItem", "OrdersTable")}
# Rights to complete an order and publish its final status.
COMPLETION = STEP | {("sns:Publish", "NotificationsTopic")}
EXECUTIONS = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${OrderStateMachine.Name}:*"
# Rights to settle an order whose execution has failed.
RECOVERY = COMPLETION | {("dynamodb:PutItem", "IdempotencyTable"), ("states:DescribeExecution", EXECUTIONS)}


def reading(queue: str) -> set[tuple[str, str]]:
    """Rights to receive messages of the queue, for Lambda's poller."""
    return {(f"sqs:{action}", queue) for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}


# All rights of each function.
RIGHTS = {
    "GetOrdersFunction": {("dynamodb:Query", "OrdersTable"), ("dynamodb:Scan", "OrdersTable")},
    "GetOrderFunction": {("dynamodb:GetItem", "OrdersTable")},
    "PutOrderFunction": {
        ("dynamodb:PutItem", "OrdersTable"),
        ("dynamodb:UpdateItem", "OrdersTable"),
        ("dynamodb:PutItem", "IdempotencyTable"),
    },
    "UpdateOrderFunction": {("dynamodb:UpdateItem", "OrdersTable")},
    "DeleteOrderFunction": {("dynamodb:DeleteItem", "OrdersTable"), ("dynamodb:PutItem", "IdempotencyTable")},
    "SubmitOrderFunction": {("sqs:SendMessage", "OrdersQueue"), ("dynamodb:PutItem", "IdempotencyTable")},
    "StartOrderFunction": reading("OrdersQueue")
    | {("states:StartExecution", "OrderStateMachine"), ("sqs:SendMessage", "OrdersDeadLetterQueue")},
    "SaveOrderFunction": {("dynamodb:PutItem", "OrdersTable"), ("dynamodb:PutItem", "IdempotencyTable")},
    "AcceptOrderFunction": STEP,
    "ProcessPaymentFunction": STEP,
    "SendOrderFunction": STEP,
    "CancelDeliveryFunction": STEP,
    "RefundPaymentFunction": STEP,
    "CompleteOrderFunction": COMPLETION,
    "SettleOrderFunction": COMPLETION | {("dynamodb:Query", "${OrdersTable.Arn}/index/unsettled")},
    "RecoverOrderFunction": RECOVERY | reading("RecoveryQueue") | {("sqs:SendMessage", "RecoveryDeadLetterQueue")},
    "SweepOrdersFunction": RECOVERY
    | {("dynamodb:Query", "${OrdersTable.Arn}/index/unsettled"), ("states:ListExecutions", "OrderStateMachine")},
}

# The secrets that each function may read, if the stack has them.
SECRETS = {
    "ProcessPaymentFunction": {"PaymentKeySecret"},
    "RefundPaymentFunction": {"PaymentKeySecret"},
    "SendOrderFunction": {"RestaurantKeySecret"},
    "CancelDeliveryFunction": {"RestaurantKeySecret"},
    "RecoverOrderFunction": {"PaymentKeySecret", "RestaurantKeySecret"},
    "SweepOrdersFunction": {"PaymentKeySecret", "RestaurantKeySecret"},
}

# All variables of each function, besides LOG_LEVEL.
ORDERS = {"ENVIRONMENT", "ORDERS_TABLE", "WEB_ORIGIN", "AWS_ENDPOINT_URL_DYNAMODB"}
PRICES = {"UNIT_PRICE", "CURRENCY"}
PROVIDER = {"ENVIRONMENT", "ORDERS_TABLE"}
PAYMENT = PROVIDER | {"PAYMENT_URL", "PAYMENT_KEY_SECRET", "PAYMENT_FAILURES_PERCENT"}
RESTAURANT = PROVIDER | {"RESTAURANT_URL", "RESTAURANT_KEY_SECRET", "RESTAURANT_FAILURES_PERCENT"}
SETTLEMENT = {"ORDERS_TABLE", "IDEMPOTENCY_TABLE", "TOPIC_ARN", "STATE_MACHINE_ARN"} | PAYMENT | RESTAURANT
ENVIRONMENT = {
    "GetOrdersFunction": ORDERS,
    "GetOrderFunction": ORDERS,
    "PutOrderFunction": ORDERS | PRICES | {"IDEMPOTENCY_TABLE"},
    "UpdateOrderFunction": ORDERS | PRICES,
    "DeleteOrderFunction": ORDERS | {"IDEMPOTENCY_TABLE"},
    "SubmitOrderFunction": {
        "IDEMPOTENCY_TABLE",
        "ORDERS_QUEUE_URL",
        "ENVIRONMENT",
        "WEB_ORIGIN",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_SQS",
    }
    | PRICES,
    "StartOrderFunction": {"STATE_MACHINE_ARN", "DEAD_LETTER_QUEUE_URL"},
    "SaveOrderFunction": {"ORDERS_TABLE", "IDEMPOTENCY_TABLE"},
    "AcceptOrderFunction": {"ORDERS_TABLE"},
    "ProcessPaymentFunction": PAYMENT,
    "SendOrderFunction": RESTAURANT | {"DELIVERY_MINUTES"},
    "CancelDeliveryFunction": RESTAURANT,
    "RefundPaymentFunction": PAYMENT,
    "CompleteOrderFunction": {"ORDERS_TABLE", "TOPIC_ARN"},
    "SettleOrderFunction": {"ORDERS_TABLE", "TOPIC_ARN"},
    "RecoverOrderFunction": SETTLEMENT | {"DEAD_LETTER_QUEUE_URL"},
    "SweepOrdersFunction": SETTLEMENT | {"GRACE_PERIOD_SECONDS"},
}


def endpoint(service: str) -> dict:
    return {
        "Fn::If": [
            "IsLocal",
            {"Ref": "AWS::NoValue"},
            {"Fn::Sub": f"https://{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"},
        ]
    }


# Value of each variable.
VALUES = {
    "LOG_LEVEL": {"Ref": "LogLevel"},
    "ENVIRONMENT": {"Ref": "Environment"},
    "ORDERS_TABLE": {"Ref": "OrdersTable"},
    "IDEMPOTENCY_TABLE": {"Ref": "IdempotencyTable"},
    "ORDERS_QUEUE_URL": {"Ref": "OrdersQueue"},
    "STATE_MACHINE_ARN": {"Ref": "OrderStateMachine"},
    "TOPIC_ARN": {"Ref": "NotificationsTopic"},
    "WEB_ORIGIN": {"Ref": "WebOrigin"},
    "UNIT_PRICE": {"Ref": "UnitPrice"},
    "CURRENCY": {"Ref": "Currency"},
    "DELIVERY_MINUTES": {"Ref": "DeliveryMinutes"},
    "GRACE_PERIOD_SECONDS": {"Ref": "GracePeriodSeconds"},
    "PAYMENT_URL": {"Ref": "PaymentUrl"},
    "PAYMENT_KEY_SECRET": {"Ref": "PaymentKeySecret"},
    "PAYMENT_FAILURES_PERCENT": {"Ref": "PaymentFailuresPercent"},
    "RESTAURANT_URL": {"Ref": "RestaurantUrl"},
    "RESTAURANT_KEY_SECRET": {"Ref": "RestaurantKeySecret"},
    "RESTAURANT_FAILURES_PERCENT": {"Ref": "RestaurantFailuresPercent"},
    "AWS_ENDPOINT_URL_DYNAMODB": endpoint("dynamodb"),
    "AWS_ENDPOINT_URL_SQS": endpoint("sqs"),
}

# Variables whose value is not the same in every function.
VALUES_BY_FUNCTION = {
    "StartOrderFunction": {"DEAD_LETTER_QUEUE_URL": {"Ref": "OrdersDeadLetterQueue"}},
    "RecoverOrderFunction": {"DEAD_LETTER_QUEUE_URL": {"Ref": "RecoveryDeadLetterQueue"}},
}


@pytest.fixture(scope="session")
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


@pytest.fixture(scope="session")
def translated(template: dict) -> dict:
    return translate(template)


def lint(template: dict, folder: Path, *ignored: str) -> list[str]:
    """Returns what cfn-lint says of the template."""
    # In this process, because each start of cfn-lint takes a second. In that folder, so without .cfnlintrc: waivers of
    # its rules are lost in the translation.
    with contextlib.chdir(folder):
        matches = cfnlint.lint(json.dumps(template), config=cfnlint.ManualArgs(ignore_checks=list(ignored)))
    return [f"{match.rule.id} {match.message}" for match in matches]


def of_type(template: dict, kind: str) -> dict[str, dict]:
    return {n: r.get("Properties", {}) for n, r in template["Resources"].items() if r["Type"] == kind}


def alias(function: str) -> dict:
    """Returns the ARN of a function's alias."""
    return {"Ref": f"{function}Aliaslive"}


def as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]


def test_each_function_has_exactly_its_rights(template: dict) -> None:
    rights = {}
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        rights[name] = rights_in(function.get("Policies", []))
    assert rights == RIGHTS


def test_a_function_may_read_the_secrets_of_its_providers_only_if_there_are_any(template: dict) -> None:
    found = {}
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        for condition, statement, other in conditional_statements(function["Policies"]):
            (action, secret) = statement["Action"], statement["Resource"]["Ref"]
            assert (statement["Effect"], action) == ("Allow", "secretsmanager:GetSecretValue")
            assert (condition, other) == (f"Has{secret.removesuffix('Secret')}", {"Ref": "AWS::NoValue"})
            found.setdefault(name, set()).add(secret)
    assert found == SECRETS
    for secret in ("PaymentKeySecret", "RestaurantKeySecret"):
        assert template["Parameters"][secret]["Default"] == ""
        condition = template["Conditions"][f"Has{secret.removesuffix('Secret')}"]
        assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": secret}, ""]}]}


def test_each_function_has_exactly_its_variables(translated: dict) -> None:
    functions = of_type(translated, "AWS::Lambda::Function")
    found = {name: function["Environment"]["Variables"] for name, function in functions.items()}
    assert found == {
        name: {v: (VALUES | VALUES_BY_FUNCTION.get(name, {}))[v] for v in variables | {"LOG_LEVEL"}}
        for name, variables in ENVIRONMENT.items()
    }


def test_functions_of_the_api_have_the_endpoints_of_the_services_that_they_may_use(template: dict) -> None:
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        variables = function.get("Environment", {}).get("Variables", {})
        found = {v.removeprefix("AWS_ENDPOINT_URL_").lower() for v in variables if v.startswith("AWS_ENDPOINT_URL_")}
        # `sam local start-api` serves no other events.
        is_api = any(event["Type"] == "Api" for event in function.get("Events", {}).values())
        used = {action.split(":")[0] for action, _ in rights_in(function.get("Policies", []))}
        assert found == (used if is_api else set()), name


def resource_in(resource: dict) -> str:
    """Returns the name of a resource, or the pattern of its ARN."""
    return resource.get("Ref") or resource.get("Fn::Sub") or resource["Fn::GetAtt"][0]


def conditional_statements(policies: list[dict]) -> list[list]:
    """Returns the arguments of the statements that depend on a condition."""
    return [s["Fn::If"] for policy in policies for s in policy["Statement"] if "Fn::If" in s]


def rights_in(policies: list[dict]) -> set[tuple[str, str]]:
    statements = [s for policy in policies for s in policy["Statement"] if "Fn::If" not in s]
    assert all(s["Effect"] == "Allow" for s in statements)
    return {
        (action, resource_in(resource))
        for s in statements
        for action in as_list(s["Action"])
        for resource in as_list(s["Resource"])
    }


def test_the_state_machine_may_only_invoke_its_functions(template: dict, root: Path) -> None:
    (machine,) = of_type(template, "AWS::Serverless::StateMachine").values()
    tasks = set(re.findall(r"\$\{(\w+Function)\}", (root / machine["DefinitionUri"]).read_text()))
    assert rights_in(machine["Policies"]) == {("lambda:InvokeFunction", f"{task}.Alias") for task in tasks}
    # Each substitution has the name of its function.
    substitutions = {name: {"Ref": f"{name}.Alias"} for name in tasks}
    assert machine["DefinitionSubstitutions"] == substitutions | {
        "GracePeriodSeconds": {"Ref": "GracePeriodSeconds"},
        "DeliveryPollSeconds": time("DeliveryPoll"),
    }


def test_sam_adds_only_rights_for_logs_and_traces(translated: dict) -> None:
    logs, traces = "AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"
    managed = {
        name.removesuffix("Role"): {str(arn).rsplit("/", 1)[-1].rstrip("'}") for arn in role["ManagedPolicyArns"]}
        for name, role in of_type(translated, "AWS::IAM::Role").items()
        if name != "CanaryRole"
    }
    assert managed == {name: {logs, traces} for name in RIGHTS} | {"OrderStateMachine": {traces}}


def test_every_role_has_the_boundary_of_the_parameter(translated: dict) -> None:
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    roles = of_type(translated, "AWS::IAM::Role")
    assert {name: role.get("PermissionsBoundary") for name, role in roles.items()} == dict.fromkeys(roles, boundary)


def test_every_function_is_traced_and_logs_to_the_one_group_with_retention(template: dict, translated: dict) -> None:
    functions = of_type(translated, "AWS::Lambda::Function")
    assert functions.keys() == RIGHTS.keys()
    for name, function in functions.items():
        assert function["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionLogs"}}, name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
    groups = {name: r for name, r in template["Resources"].items() if r["Type"] == "AWS::Logs::LogGroup"}
    assert groups.keys() == {"FunctionLogs", "ApiAccessLogs"}
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert group["DeletionPolicy"] == group["UpdateReplacePolicy"] == "Delete"
    # A name outside of /aws/lambda/, which is Lambda's own.
    assert groups["FunctionLogs"]["Properties"]["LogGroupName"] == {"Fn::Sub": "/${AWS::StackName}/functions"}
    assert template["Outputs"]["FunctionLogGroup"]["Value"] == {"Ref": "FunctionLogs"}


def test_the_api_has_one_stage_that_is_logged_and_traced(translated: dict) -> None:
    (stage,) = of_type(translated, "AWS::ApiGateway::Stage").values()
    assert stage["StageName"] in ("Dev", {"Ref": "StageName"})
    assert stage["TracingEnabled"] is True
    assert '"request_id":"$context.requestId"' in stage["AccessLogSetting"]["Format"]


def test_the_api_takes_no_tls_below_1_2(translated: dict) -> None:
    (api,) = of_type(translated, "AWS::ApiGateway::RestApi").values()
    policy, mode = api["SecurityPolicy"], api["EndpointAccessMode"]
    assert (policy, mode) == ("SecurityPolicy_TLS13_1_2_2021_06", "BASIC")
    # cfn-lint does not know which names there are.
    model = botocore.session.get_session().get_service_model("apigateway")
    assert policy in model.shape_for("SecurityPolicy").enum
    assert mode in model.shape_for("EndpointAccessMode").enum


def test_requests_are_limited_by_parameters(template: dict, translated: dict) -> None:
    (stage,) = of_type(translated, "AWS::ApiGateway::Stage").values()
    (limits,) = stage["MethodSettings"]
    assert limits == {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "ThrottlingRateLimit": {"Ref": "RequestsPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "RequestBurst"},
    }
    defaults = {name: p.get("Default") for name, p in template["Parameters"].items()}
    assert (defaults["RequestsPerSecond"], defaults["RequestBurst"]) == (100, 200)


def test_the_stack_sets_no_account_wide_logging_role(translated: dict) -> None:
    assert not of_type(translated, "AWS::ApiGateway::Account")


def test_orders_are_protected(template: dict) -> None:
    table = template["Resources"]["OrdersTable"]
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["IsProd", True, False]}
    policy = {"Fn::FindInMap": ["DataByEnvironment", {"Ref": "Environment"}, "DeletionPolicy"]}
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == policy
    assert template["Mappings"]["DataByEnvironment"]["prod"]["DeletionPolicy"] == "Retain"


def test_tables_cost_no_more_than_they_are_worth(template: dict) -> None:
    tables = of_type(template, "AWS::DynamoDB::Table")
    assert tables.keys() == {"OrdersTable", "IdempotencyTable"}
    for table in tables.values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        # It is encrypted without it, too; with it, KMS bills each request.
        assert "SSESpecification" not in table
    assert "PointInTimeRecoverySpecification" not in tables["IdempotencyTable"]


def test_unsettled_orders_are_found_by_an_index_of_keys(template: dict) -> None:
    table = template["Resources"]["OrdersTable"]["Properties"]
    (index,) = table["GlobalSecondaryIndexes"]
    assert index == {
        "IndexName": "unsettled",
        "KeySchema": [
            {"AttributeName": "unsettled", "KeyType": "HASH"},
            {"AttributeName": "updated_at", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    assert {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]} == dict.fromkeys(
        ("user_id", "id", "unsettled", "updated_at"), "S"
    )


@pytest.fixture(scope="session")
def api(translated: dict) -> dict:
    (api,) = of_type(translated, "AWS::ApiGateway::RestApi").values()
    return api["Body"]


def test_every_method_needs_a_token_of_the_pool_with_one_of_its_scopes(api: dict) -> None:
    authorizers = api["components"]["securitySchemes"]
    arns = {name: a["x-amazon-apigateway-authorizer"]["providerARNs"] for name, a in authorizers.items()}
    assert arns == {"SignedIn": [{"Fn::GetAtt": ["UserPool", "Arn"]}]}
    methods = {(m, p): o for p, path in api["paths"].items() for m, o in path.items() if m != "options"}
    order, published = "/orders/{userId}/order/{id}", "/order/{userId}/id/{id}"
    collection = {(method, "/orders") for method in ("get", "put", "post")}
    assert methods.keys() == collection | {(m, order) for m in ("get", "put", "delete")} | {("delete", published)}
    for (method, _), operation in methods.items():
        scope = "orders/read" if method == "get" else "orders/write"
        assert operation["security"] == [{"SignedIn": [scope, "orders/admin"]}]


def test_preflight_requests_need_no_token(api: dict) -> None:
    for path, methods in api["paths"].items():
        preflight = methods["options"]
        assert "security" not in preflight, path
        headers = preflight["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"]
        names = [name.removeprefix("method.response.header.Access-Control-") for name in headers]
        allowed = dict(zip(names, headers.values(), strict=True))
        assert allowed["Allow-Origin"] == {"Fn::Sub": "'${WebOrigin}'"}
        names = ["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"]
        assert allowed["Allow-Headers"].strip("'").split(",") == [*names, "X-Amzn-Trace-Id", "traceparent"]
        listed = allowed["Allow-Methods"].strip("'").lower().split(",")
        assert {m for m in methods if m != "options"} <= set(listed), path


# Kind of problem of each response of the gateway.
PROBLEMS = {
    "UNAUTHORIZED": "unauthenticated",
    "EXPIRED_TOKEN": "unauthenticated",
    "ACCESS_DENIED": "insufficient-scope",
    "MISSING_AUTHENTICATION_TOKEN": "no-such-route",
    "INVALID_SIGNATURE": "no-such-route",
    "RESOURCE_NOT_FOUND": "no-such-route",
    "REQUEST_TOO_LARGE": "body-too-large",
    "THROTTLED": "too-many-requests",
    "QUOTA_EXCEEDED": "too-many-requests",
    "DEFAULT_4XX": "refused",
    "DEFAULT_5XX": "unavailable",
}


def gateway_problem(response: dict) -> dict:
    return json.loads(response["responseTemplates"]["application/json"])


def test_responses_of_the_gateway_are_problems_that_browsers_may_read(api: dict) -> None:
    responses = api["x-amazon-apigateway-gateway-responses"]
    kinds = {
        name: gateway_problem(r)["type"].removeprefix("urn:problem-type:order-api:") for name, r in responses.items()
    }
    assert kinds == PROBLEMS
    for name, response in responses.items():
        expected = {
            "Access-Control-Allow-Origin": {"Fn::Sub": "'${WebOrigin}'"},
            "Access-Control-Expose-Headers": "'Retry-After'",
            "Content-Type": "'application/problem+json'",
        }
        if PROBLEMS[name] == "unauthenticated":
            expected["WWW-Authenticate"] = "'Bearer'"
        if PROBLEMS[name] in ("too-many-requests", "unavailable"):
            expected["Retry-After"] = "'2'"
        headers = {n.removeprefix("gatewayresponse.header."): v for n, v in response["responseParameters"].items()}
        assert headers == expected, name
        problem = gateway_problem(response)
        assert problem["request_id"] == "$context.requestId", name
        assert str(problem["status"]) == str(response["statusCode"]), name
    # The names are those of API Gateway.
    model = botocore.session.get_session().get_service_model("apigateway")
    assert responses.keys() <= set(model.shape_for("GatewayResponseType").enum)


def test_responses_of_the_gateway_are_what_openapi_promises(api: dict, root: Path) -> None:
    document = yaml.safe_load((root / "openapi.yaml").read_text())
    schema = {"$ref": "#/components/schemas/ProblemDetails", "components": document["components"]}
    validator = Draft202012Validator(schema)
    for name, response in api["x-amazon-apigateway-gateway-responses"].items():
        text = response["responseTemplates"]["application/json"].replace("$context.requestId", "r1")
        # Nothing else is filled in, so the text is JSON and every member has its type.
        assert "$" not in text, name
        assert list(validator.iter_errors(json.loads(text))) == [], name
    assert not validator.is_valid({"type": "about:blank"})


def test_responses_of_the_gateway_are_problems_of_the_catalogue(api: dict, root: Path) -> None:
    document = yaml.safe_load((root / "openapi.yaml").read_text())
    catalogue = {p["type"]: p for p in document["components"]["schemas"]["ProblemDetails"]["examples"]}
    for name, response in api["x-amazon-apigateway-gateway-responses"].items():
        problem = gateway_problem(response)
        expected = catalogue[problem["type"]] | {"request_id": "$context.requestId"}
        assert problem == expected, name


def accepted(template: dict, parameter: str, values: list[str]) -> list[str]:
    """Returns the values that the parameter accepts."""
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    return [value for value in values if re.fullmatch(pattern, value)]


def test_the_web_origin_is_one_that_browsers_send(template: dict) -> None:
    good = ["https://orders.example.com", "https://orders.example.com:65535", "http://localhost:5173"]
    bad = [
        "https://orders.example.com:443",
        "http://orders.example.com:80",
        "https://Orders.example.com",
        "HTTPS://orders.example.com",
        "https://orders.example.com/",
        "https://orders.example.com:",
        "https://orders.example.com:65536",
        "orders.example.com",
        "*",
        "",
    ]
    assert accepted(template, "WebOrigin", good + bad) == good


def test_the_web_ui_is_nobodys_by_default(template: dict, root: Path) -> None:
    defaults = {name: template["Parameters"][name]["Default"] for name in ("WebOrigin", "CallbackUrls", "LogoutUrls")}
    nobody = "https://nobody.invalid"
    assert defaults == {"WebOrigin": nobody, "CallbackUrls": "", "LogoutUrls": ""}
    config = tomllib.loads((root / "samconfig.toml").read_text())
    for environment in ("local", "dev"):
        overrides = config[environment]["deploy"]["parameters"]["parameter_overrides"]
        here = "http://localhost:5173"
        assert {f"WebOrigin={here}", f"CallbackUrls={here}/", f"LogoutUrls={here}/"} <= set(overrides), environment


@pytest.mark.parametrize("provider", ["Payment", "Restaurant"])
def test_a_provider_has_a_url_without_a_key_and_a_secret_with_one(template: dict, provider: str) -> None:
    good = ["", "https://pay.example.com/v1", "http://127.0.0.1:8080"]
    bad = ["pay.example.com", "https://me:key@pay.example.com", "https://pay.example.com?key=key"]
    assert accepted(template, f"{provider}Url", good + bad) == good
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
    good = ["", f"{arn}order-api/payment-AbCdEf"]
    bad = ["order-api/payment", f"{arn}*", "arn:aws:sns:eu-west-1:123456789012:orders"]
    assert accepted(template, f"{provider}KeySecret", good + bad) == good


def test_another_web_origin_is_deployed(template: dict) -> None:
    assert template["Resources"]["Api"]["Properties"]["AlwaysDeploy"] is True


def test_accounts_are_protected(template: dict) -> None:
    pool = template["Resources"]["UserPool"]
    settings = pool["Properties"]
    required = {f"Require{kind}": True for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols")}
    password = {"MinimumLength": 12, **required, "TemporaryPasswordValidityDays": 3}
    assert settings["Policies"]["PasswordPolicy"] == password
    assert settings["UsernameAttributes"] == settings["AutoVerifiedAttributes"] == ["email"]
    verified_first = {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    assert settings["UserAttributeUpdateSettings"] == verified_first
    assert [m["Name"] for m in settings["AccountRecoverySetting"]["RecoveryMechanisms"]] == ["verified_email"]
    assert (settings["MfaConfiguration"], settings["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])
    assert settings["DeletionProtection"] == {"Fn::If": ["IsProd", "ACTIVE", "INACTIVE"]}
    assert (
        pool["DeletionPolicy"] == pool["UpdateReplacePolicy"] == template["Resources"]["OrdersTable"]["DeletionPolicy"]
    )
    only_admins = settings["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"]
    assert only_admins == {"Fn::If": ["CanSignUp", False, True]}
    assert template["Parameters"]["SelfSignUp"]["Default"] == "true"


def test_the_web_client_has_no_secret_and_its_tokens_are_short_lived(template: dict) -> None:
    web = template["Resources"]["WebClient"]["Properties"]
    assert web["GenerateSecret"] is False
    assert web["AllowedOAuthFlows"] == ["code"]
    assert {s for s in web["AllowedOAuthScopes"] if "/" in s} == {"orders/read", "orders/write"}
    assert (web["AccessTokenValidity"], web["TokenValidityUnits"]["AccessToken"]) == (15, "minutes")
    assert (web["RefreshTokenValidity"], web["TokenValidityUnits"]["RefreshToken"]) == (7, "days")
    assert web["RefreshTokenRotation"] == {"Feature": "ENABLED", "RetryGracePeriodSeconds": 10}
    assert web["EnableTokenRevocation"] is True
    assert web["PreventUserExistenceErrors"] == "ENABLED"
    # Cognito refuses rotation if the pool's own API may refresh, too.
    assert "ALLOW_REFRESH_TOKEN_AUTH" not in web["ExplicitAuthFlows"]


def test_the_machine_client_signs_in_no_people(template: dict) -> None:
    machine = template["Resources"]["MachineClient"]["Properties"]
    assert machine["GenerateSecret"] is True
    assert machine["AllowedOAuthFlows"] == ["client_credentials"]
    assert set(machine["AllowedOAuthScopes"]) == {"orders/read", "orders/write", "orders/admin"}
    assert machine["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    server = template["Resources"]["OrdersScopes"]["Properties"]
    assert {f"{server['Identifier']}/{s['ScopeName']}" for s in server["Scopes"]} == set(machine["AllowedOAuthScopes"])


# --- Submitted orders ---

QUEUES = {"OrdersQueue": "StartOrderFunction", "RecoveryQueue": "RecoverOrderFunction"}


def test_queues_are_encrypted_and_have_dead_letter_queues(template: dict) -> None:
    queues = of_type(template, "AWS::SQS::Queue")
    dead_letter = {name: name.replace("Queue", "DeadLetterQueue") for name in QUEUES}
    assert queues.keys() == {*dead_letter, *dead_letter.values()}
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    for name, target in dead_letter.items():
        policy = {"deadLetterTargetArn": {"Fn::GetAtt": [target, "Arn"]}, "maxReceiveCount": 10}
        assert queues[name]["RedrivePolicy"] == policy


def time(key: str) -> dict:
    """Returns the reference to a time that depends on the environment."""
    return {"Fn::FindInMap": ["TimesByEnvironment", {"Ref": "Environment"}, key]}


def test_times_depend_on_the_environment(template: dict) -> None:
    on_aws = {"QueueTimeout": 10, "QueueVisibility": 60, "RecoveryDelay": 60, "DeliveryPoll": 30}
    here = {"QueueTimeout": 10, "QueueVisibility": 10, "RecoveryDelay": 5, "DeliveryPoll": 1}
    times = template["Mappings"]["TimesByEnvironment"]
    assert times == {"local": here, "dev": on_aws, "prod": on_aws}
    assert times.keys() == set(template["Parameters"]["Environment"]["AllowedValues"])
    # SQS needs a visibility timeout as long as the function's; AWS recommends six times as long.
    assert on_aws["QueueVisibility"] == 6 * on_aws["QueueTimeout"]
    assert here["QueueVisibility"] >= here["QueueTimeout"]


def test_queues_and_their_functions_have_the_times_of_their_environment(template: dict) -> None:
    functions, queues = of_type(template, "AWS::Serverless::Function"), of_type(template, "AWS::SQS::Queue")
    for queue, function in QUEUES.items():
        assert functions[function]["Timeout"] == time("QueueTimeout")
        assert queues[queue]["VisibilityTimeout"] == time("QueueVisibility")
    delays = {name: queue["DelaySeconds"] for name, queue in queues.items() if "DelaySeconds" in queue}
    assert delays == {"RecoveryQueue": time("RecoveryDelay")}


def test_every_parameter_of_samconfig_is_a_parameter_of_the_template(template: dict, root: Path) -> None:
    config = tomllib.loads((root / "samconfig.toml").read_text())
    for environment in ("local", "dev", "prod"):
        overrides = dict(o.split("=", 1) for o in config[environment]["deploy"]["parameters"]["parameter_overrides"])
        assert overrides["Environment"] == environment
        assert overrides.keys() <= template["Parameters"].keys()


def test_batches_report_failures_by_message(translated: dict) -> None:
    sources = of_type(translated, "AWS::Lambda::EventSourceMapping")
    # Deployed stacks have them under these names, and Lambda refuses a second mapping of the same queue.
    assert sources.keys() == {f"{function}Queue" for function in QUEUES.values()}
    found = {}
    for source in sources.values():
        assert source["BatchSize"] == 10  # noqa: PLR2004
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["ScalingConfig"] == {"MaximumConcurrency": 10}
        found[source["EventSourceArn"]["Fn::GetAtt"][0]] = source["FunctionName"]
    assert found == {queue: alias(function) for queue, function in QUEUES.items()}


def test_the_state_machine_is_durable_and_traced(translated: dict) -> None:
    (machine,) = of_type(translated, "AWS::StepFunctions::StateMachine").values()
    assert machine["StateMachineType"] == "STANDARD"
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_a_step_has_more_time_than_its_calls_take_and_less_than_its_task(translated: dict, root: Path) -> None:
    machine = json.loads((root / "statemachine/order.asl.json").read_text())
    tasks = [state for state in machine["States"].values() if state["Type"] == "Task"]
    names = {task["Arguments"]["FunctionName"].strip("${}") for task in tasks}
    functions = of_type(translated, "AWS::Lambda::Function")
    # Three calls of the store of 6 seconds and one of a provider of 5 seconds: see aws::sdk_config and providers.rs.
    slowest = 3 * 6 + 5
    for name in names:
        assert slowest < functions[name]["Timeout"] < min(task["TimeoutSeconds"] for task in tasks), name


def test_failed_executions_are_sent_to_the_recovery_queue(template: dict) -> None:
    (rule,) = of_type(template, "AWS::Events::Rule").values()
    assert rule["EventPattern"] == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [{"Ref": "OrderStateMachine"}], "status": ["FAILED", "TIMED_OUT", "ABORTED"]},
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["RecoveryQueue", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["RecoveryDeadLetterQueue", "Arn"]}}


def test_each_queue_of_failed_executions_takes_messages_of_their_rule_only(template: dict) -> None:
    policies = of_type(template, "AWS::SQS::QueuePolicy")
    assert policies.keys() == {"RecoveryQueuePolicy", "RecoveryDeadLetterQueuePolicy"}
    for name, policy in policies.items():
        queue = name.removesuffix("Policy")
        assert policy["Queues"] == [{"Ref": queue}]
        # SQS refuses a policy that names another queue.
        assert policy["PolicyDocument"]["Statement"] == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": {"Fn::GetAtt": [queue, "Arn"]},
                "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["FailedExecutionsRule", "Arn"]}}},
            }
        ]


def test_the_sweep_runs_every_15_minutes(translated: dict) -> None:
    rules = of_type(translated, "AWS::Events::Rule")
    rules = {name: rule for name, rule in rules.items() if "ScheduleExpression" in rule}
    ((name, rule),) = rules.items()
    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    sweep = alias("SweepOrdersFunction")
    assert [target["Arn"] for target in rule["Targets"]] == [sweep]
    permissions = of_type(translated, "AWS::Lambda::Permission").values()
    assert [p["FunctionName"] for p in permissions if p.get("SourceArn") == {"Fn::GetAtt": [name, "Arn"]}] == [sweep]
    # It ends before the next one starts.
    assert translated["Resources"]["SweepOrdersFunction"]["Properties"]["Timeout"] == 5 * 60
    outputs = {name: output["Value"] for name, output in translated["Outputs"].items() if name.endswith("FunctionName")}
    assert outputs == {"SweepFunctionName": sweep, "SettleFunctionName": alias("SettleOrderFunction")}


def test_emails_are_sent_to_the_addresses_in_the_parameters(template: dict) -> None:
    subscriptions = {
        r["Properties"]["TopicArn"]["Ref"]: (
            r["Condition"],
            r["Properties"]["Protocol"],
            r["Properties"]["Endpoint"]["Ref"],
        )
        for r in template["Resources"].values()
        if r["Type"] == "AWS::SNS::Subscription"
    }
    assert subscriptions == {
        "NotificationsTopic": ("HasNotificationEmail", "email", "NotificationEmail"),
        "AlarmsTopic": ("HasAlarmEmail", "email", "AlarmEmail"),
    }
    for parameter in ("NotificationEmail", "AlarmEmail"):
        assert template["Parameters"][parameter]["Default"] == ""
        assert template["Conditions"][f"Has{parameter}"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}


def test_prod_has_no_simulators(template: dict) -> None:
    rule = template["Rules"]["ProvidersInProd"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Environment"}, "prod"]}
    asserted = [a["Assert"] for a in rule["Assertions"]]
    assert asserted == [{"Fn::Not": [{"Fn::Equals": [{"Ref": name}, ""]}]} for name in ("PaymentUrl", "RestaurantUrl")]


def test_the_simulators_refuse_a_tenth_of_the_payments_and_a_twentieth_of_the_deliveries(template: dict) -> None:
    defaults = {name: p.get("Default") for name, p in template["Parameters"].items()}
    assert (defaults["PaymentFailuresPercent"], defaults["RestaurantFailuresPercent"]) == (10, 5)
    assert (defaults["GracePeriodSeconds"], defaults["DeliveryMinutes"]) == (30, 20)


def test_a_price_is_at_least_one_minor_unit_of_a_currency(template: dict) -> None:
    price, currency = template["Parameters"]["UnitPrice"], template["Parameters"]["Currency"]
    assert (price["Default"], price["MinValue"], price["Type"]) == (1000, 1, "Number")
    assert currency["Default"] == "EUR"
    assert accepted(template, "Currency", ["EUR", "USD", "eur", "EURO", "E1R", ""]) == ["EUR", "USD"]


def test_clients_are_created_after_their_scopes(template: dict) -> None:
    for client in ("WebClient", "MachineClient"):
        assert template["Resources"][client]["DependsOn"] == "OrdersScopes"


def test_the_sign_in_domain_is_unique_to_account_and_stack(template: dict) -> None:
    domain = template["Resources"]["UserPoolDomain"]["Properties"]["Domain"]
    assert domain == {"Fn::Sub": "${AWS::StackName}-${AWS::AccountId}"}


def test_cfn_lint_accepts_the_translated_template(translated: dict, tmp_path: Path) -> None:
    assert lint(translated, tmp_path) == []


# What is right, what is wrong, and what cfn-lint says of it.
MISTAKES = [
    ("KeyType: HASH", "KeyType: HASHED", "'KeyType': 'HASHED'"),
    ("IndexName: unsettled", "IndexNames: unsettled", "'IndexNames' was unexpected"),
    ("ORDERS_TABLE: !Ref OrdersTable", "ORDERS_TABLE: !Ref OrderTable", "'OrderTable' is not one of"),
    ("!GetAtt ApiAccessLogs.Arn", "!GetAtt AccessLogs.Arn", "'AccessLogs' is not one of"),
    ("UserPoolArn: !GetAtt UserPool.Arn", "UserPoolArn: !GetAtt Users.Arn", "'Users' is not one of"),
    ("- !GetAtt QueuesAlarm.Arn", "- !GetAtt QueueAlarm.Arn", "'QueueAlarm' is not one of"),
]


# cfn-lint follows references only in the translated template. All at once, because it takes seconds for each template.
def test_mistakes_are_noticed(root: Path, tmp_path: Path) -> None:
    text = (root / "template.yaml").read_text()
    for right, wrong, _ in MISTAKES:
        assert right in text
        text = text.replace(right, wrong)
    found = "\n".join(lint(translate(yaml_parse(text)), tmp_path))
    assert [said for _, _, said in MISTAKES if said not in found] == []
