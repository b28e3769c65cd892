"""The hosting of the web UI in template.yaml, after SAM's translation.

The emulator serves the files, but it refuses an API Gateway origin and ignores TLS, encryption and caching.
"""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from test_template import accepted, of_type
from translation import translate

# Policies that AWS manages, by their documented ids.
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
TWO_YEARS = 2 * 365 * 24 * 60 * 60


@pytest.fixture(scope="module")
def template(root: Path) -> dict:
    return yaml_parse((root / "template.yaml").read_text())


@pytest.fixture(scope="module")
def translated(template: dict) -> dict:
    return translate(template)


@pytest.fixture(scope="module")
def distribution(translated: dict) -> dict:
    (distribution,) = of_type(translated, "AWS::CloudFront::Distribution").values()
    return distribution["DistributionConfig"]


@pytest.fixture(scope="module")
def origins(distribution: dict) -> dict:
    return {origin["Id"]: origin for origin in distribution["Origins"]}


@pytest.fixture(scope="module")
def behaviors(distribution: dict) -> dict:
    """Behaviours by their path patterns; "*" is the default behaviour."""
    others = {behavior["PathPattern"]: behavior for behavior in distribution["CacheBehaviors"]}
    return {"*": distribution["DefaultCacheBehavior"]} | others


def function_of(translated: dict, behavior: dict) -> dict | None:
    """Returns the one function of a behaviour."""
    associations = behavior.get("FunctionAssociations", [])
    if not associations:
        return None
    (association,) = associations
    assert association["EventType"] == "viewer-request"
    name, attribute = association["FunctionARN"]["Fn::GetAtt"]
    assert attribute == "FunctionMetadata.FunctionARN"
    return translated["Resources"][name]["Properties"]


def rewrite(function: dict, path: str) -> str:
    """Runs a CloudFront function and returns the path that it asks the origin for."""
    code = f"{function['FunctionCode']}\nconsole.log(handler({{ request: {{ uri: {json.dumps(path)} }} }}).uri);"
    return subprocess.run(["node", "--eval", code], check=True, capture_output=True, text=True).stdout.strip()


# --- The bucket ---


def test_the_bucket_is_private_and_encrypted_and_goes_with_the_stack(translated: dict) -> None:
    bucket = translated["Resources"]["WebBucket"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Delete"
    settings = bucket["Properties"]
    blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert settings["PublicAccessBlockConfiguration"] == dict.fromkeys(blocks, True)
    (rule,) = settings["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert settings["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "WebsiteConfiguration" not in settings


def test_only_the_distribution_may_read_the_bucket_and_only_over_tls(translated: dict) -> None:
    (policy,) = of_type(translated, "AWS::S3::BucketPolicy").values()
    assert policy["Bucket"] == {"Ref": "WebBucket"}
    everything = [{"Fn::GetAtt": ["WebBucket", "Arn"]}, {"Fn::Sub": "${WebBucket.Arn}/*"}]
    arn = "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${WebDistribution}"
    read, tls_only = policy["PolicyDocument"]["Statement"]
    assert read == {
        "Sid": "ReadByTheDistribution",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": everything,
        "Condition": {"StringEquals": {"aws:SourceArn": {"Fn::Sub": arn}}},
    }
    condition, on_aws, locally = tls_only["Fn::If"]
    assert (condition, locally) == ("IsAws", {"Ref": "AWS::NoValue"})
    assert on_aws == {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": everything,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_the_distribution_signs_its_requests_to_the_bucket(translated: dict, origins: dict) -> None:
    files = origins["files"]
    assert files["DomainName"] == {"Fn::GetAtt": ["WebBucket", "RegionalDomainName"]}
    assert files["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    access = translated["Resources"][files["OriginAccessControlId"]["Ref"]]["Properties"]["OriginAccessControlConfig"]
    access.pop("Name")
    expected = {"OriginAccessControlOriginType": "s3", "SigningBehavior": "always", "SigningProtocol": "sigv4"}
    assert access == expected


# --- The distribution ---


def test_everything_is_served_over_https_only(distribution: dict, behaviors: dict, template: dict) -> None:
    protocols = {path: behavior["ViewerProtocolPolicy"] for path, behavior in behaviors.items()}
    # A token must not be sent a second time after it was sent in plain text.
    assert protocols == {"*": "redirect-to-https", "/assets/*": "redirect-to-https", "/api/*": "https-only"}
    condition, own, default = distribution["ViewerCertificate"]["Fn::If"]
    assert template["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "WebDomainName"}, ""]}]}
    assert (own["MinimumProtocolVersion"], own["SslSupportMethod"]) == ("TLSv1.2_2021", "sni-only")
    assert own["AcmCertificateArn"]["Ref"] == "WebCertificateArn"
    # The minimum of this certificate can't be chosen.
    assert default == {"CloudFrontDefaultCertificate": True}
    assert distribution["Aliases"]["Fn::If"][0] == condition


def test_only_assets_with_hashed_names_are_cached(distribution: dict, behaviors: dict) -> None:
    policies = {path: behavior["CachePolicyId"] for path, behavior in behaviors.items()}
    assert policies == {"*": CACHING_DISABLED, "/api/*": CACHING_DISABLED, "/assets/*": CACHING_OPTIMIZED}
    # CloudFront keeps these errors of assets for ten seconds by default. There is no page of ours for any of them: it
    # would replace the API's problems.
    errors = {error.pop("ErrorCode"): error for error in distribution["CustomErrorResponses"]}
    assert errors == {code: {"ErrorCachingMinTTL": 0} for code in (404, 414, 500, 501, 502, 503, 504)}


def test_every_response_has_the_security_headers(translated: dict, behaviors: dict) -> None:
    assert {behavior["ResponseHeadersPolicyId"]["Ref"] for behavior in behaviors.values()} == {"WebHeaders"}
    policy = translated["Resources"]["WebHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    assert policy.keys() == {"Name", "SecurityHeadersConfig"}
    headers = policy["SecurityHeadersConfig"]
    assert all(header.pop("Override") is True for header in headers.values())
    csp = headers.pop("ContentSecurityPolicy")["ContentSecurityPolicy"]["Fn::Sub"]
    assert headers == {
        "StrictTransportSecurity": {"AccessControlMaxAgeSec": TWO_YEARS, "IncludeSubdomains": True},
        "ContentTypeOptions": {},
        "FrameOptions": {"FrameOption": "DENY"},
        "ReferrerPolicy": {"ReferrerPolicy": "same-origin"},
    }
    directives = dict(directive.strip().split(" ", 1) for directive in csp.split(";"))
    assert directives == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "connect-src": "'self' https://${UserPoolDomain}.auth.${AWS::Region}.amazoncognito.com",
        "font-src": "'self' data:",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "img-src": "'self' data:",
        "manifest-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self'",
    }


def test_the_sign_in_that_the_policy_allows_is_the_one_of_the_output(template: dict) -> None:
    policy = template["Resources"]["WebHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    csp = policy["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    assert f" {template['Outputs']['SignInUrl']['Value']['Fn::Sub']};" in csp


# --- Pages and files ---


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/", "/index.html"),
        ("/orders", "/index.html"),
        ("/orders/Burger_2/order/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1", "/index.html"),
        ("/users/ann@example.com/orders", "/index.html"),
        ("/orders/", "/index.html"),
        ("/index.html", "/index.html"),
        ("/config.json", "/config.json"),
        ("/missing.txt", "/missing.txt"),
    ],
)
def test_paths_without_an_extension_are_pages_of_the_app(
    path: str, file: str, translated: dict, distribution: dict, behaviors: dict
) -> None:
    assert rewrite(function_of(translated, behaviors["*"]), path) == file
    # Also if the function is ever missing: a request for / would list the bucket.
    assert distribution["DefaultRootObject"] == "index.html"


def test_a_missing_asset_is_an_error_and_no_page(translated: dict, behaviors: dict) -> None:
    assets = behaviors["/assets/*"]
    assert function_of(translated, assets) is None
    assert assets["TargetOriginId"] == behaviors["*"]["TargetOriginId"] == "files"
    for behavior in (assets, behaviors["*"]):
        assert behavior["AllowedMethods"] == ["GET", "HEAD"]
        assert "OriginRequestPolicyId" not in behavior


# --- The API on the same origin ---


def test_the_api_gets_every_request_as_it_was_sent(translated: dict, behaviors: dict, origins: dict) -> None:
    api = behaviors["/api/*"]
    assert set(api["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}
    # All headers and the query, but the name of the distribution: API Gateway would not know it.
    assert api["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST_HEADER
    # Compression makes ETags weak, and If-Match needs strong ones.
    assert api["Compress"] is False
    origin = origins[api["TargetOriginId"]]
    assert origin == {
        "Id": "api",
        "DomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
        "OriginPath": {"Fn::Sub": "/${StageName}"},
        "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]},
    }
    # The same API, under the same stage, as the output for direct use.
    url = translated["Outputs"]["ApiUrl"]["Value"]["Fn::Sub"]
    assert url == f"https://{origin['DomainName']['Fn::Sub']}{origin['OriginPath']['Fn::Sub']}"


@pytest.mark.parametrize("path", ["/orders", "/orders/ann%2Fbob/order/1", "/orders/api/order/1", "/orders/a.b/order/1"])
def test_the_prefix_is_taken_off_and_the_rest_is_left_as_it_is(path: str, translated: dict, behaviors: dict) -> None:
    assert rewrite(function_of(translated, behaviors["/api/*"]), f"/api{path}") == path


def test_functions_are_published(translated: dict) -> None:
    functions = of_type(translated, "AWS::CloudFront::Function")
    assert functions.keys() == {"WebPages", "WebApiPrefix"}
    for function in functions.values():
        assert function["AutoPublish"] is True
        assert function["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"


# --- Sign-in ---


def test_the_sign_in_leads_back_to_the_web_ui_and_to_urls_that_are_added(template: dict, root: Path) -> None:
    domain, distribution = "https://${WebDomainName}", "https://${WebDistribution.DomainName}"
    web_url = {"Fn::If": ["HasWebDomain", {"Fn::Sub": domain}, {"Fn::Sub": distribution}]}
    assert template["Outputs"]["WebUrl"]["Value"] == web_url
    client = template["Resources"]["WebClient"]["Properties"]
    for name in ("Callback", "Logout"):
        more = {"Fn::If": [f"Has{name}Urls", {"Fn::Sub": f",${{{name}Urls}}"}, ""]}
        joined = {"Fn::Sub": ["${WebUrl}/${More}", {"WebUrl": web_url, "More": more}]}
        assert client[f"{name}URLs"] == {"Fn::Split": [",", joined]}
        assert template["Parameters"][f"{name}Urls"]["Default"] == ""
    # localhost is for development only.
    config = tomllib.loads((root / "samconfig.toml").read_text())
    for environment, url in [("local", True), ("dev", True), ("prod", False)]:
        overrides = config[environment]["deploy"]["parameters"]["parameter_overrides"]
        for name in ("CallbackUrls", "LogoutUrls"):
            assert (f"{name}=http://localhost:5173/" in overrides) is url
        assert ("localhost" in str(overrides)) is url


@pytest.mark.parametrize("parameter", ["CallbackUrls", "LogoutUrls"])
def test_urls_that_are_added_may_have_the_scheme_of_an_app(template: dict, parameter: str) -> None:
    good = [
        "",
        "https://orders.example.com/",
        "http://localhost:5173/,https://orders.example.com/",
        "com.example.orders://signed-in",
    ]
    bad = ["orders.example.com", "https://", "https://a.example/, https://b.example/", "https://a.example/,", "*"]
    assert accepted(template, parameter, good + bad) == good


def test_the_domain_is_one_that_browsers_name(template: dict) -> None:
    good = ["", "orders.example.com", "orders.xn--bcher-kva.example"]
    bad = [
        "https://orders.example.com",
        "Orders.example.com",
        "orders.example.com/",
        "*.example.com",
        "orders",
        "a.b:443",
    ]
    assert accepted(template, "WebDomainName", good + bad) == good


def test_a_domain_needs_a_certificate(template: dict) -> None:
    rule = template["Rules"]["CertificateOfWebDomain"]
    assert rule["RuleCondition"] == template["Conditions"]["HasWebDomain"]
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "WebCertificateArn"}, ""]}]}
