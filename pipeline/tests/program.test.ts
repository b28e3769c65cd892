import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, expect, test } from "vitest";

import { ACCOUNT, EMAIL, type Graph, REGION, type Resource, graph } from "./graph";

interface Statement {
  Sid?: string;
  Effect: string;
  Action: string[];
  Resource?: string[];
  Condition?: Record<string, Record<string, unknown>>;
}

interface Stage {
  name: string;
  onFailure?: { result: string };
  actions: Action[];
}

interface Action {
  name: string;
  category: string;
  provider: string;
  runOrder?: number;
  namespace?: string;
  inputArtifacts?: string[];
  outputArtifacts?: string[];
  configuration: Record<string, string>;
}

/** Statements for which AWS has no narrower resource. The reasons stand beside them in the code. */
const EVERYWHERE = [
  "EventSourceMappingHasNoArnYet",
  "QueryDefinitionsAreNoResources",
  "SubscriptionsAreNoResources",
  "TracesAreNoResources",
  "UserPoolHasNoArnYet",
];

// Limits of IAM, in characters without white space.
const INLINE_LIMIT = 10_240;
const MANAGED_LIMIT = 6_144;

let made: Graph;

beforeAll(async () => {
  made = await graph();
}, 60_000);

function ofType(type: string): Resource[] {
  const found = made.resources.filter((resource) => resource.type === type);
  expect(found, type).not.toEqual([]);
  return found;
}

function only(type: string): Resource {
  const found = ofType(type);
  expect(found).toHaveLength(1);
  return found[0] as Resource;
}

function statements(policy: unknown): Statement[] {
  return (JSON.parse(policy as string) as { Statement: Statement[] }).Statement;
}

/** Policies by the names of the resources that have them. */
function policies(): { name: string; policy: string }[] {
  const keys = ["policy", "assumeRolePolicy"];
  return made.resources.flatMap(({ name, inputs }) =>
    keys.filter((key) => key in inputs).map((key) => ({ name, policy: inputs[key] as string })),
  );
}

function rightsOf(name: string): Statement[] {
  const found = ofType("aws:iam/rolePolicy:RolePolicy").filter((resource) => resource.name === name);
  expect(found, name).toHaveLength(1);
  return statements(found[0]?.inputs.policy);
}

function actionsOf(name: string): string[] {
  return rightsOf(name).flatMap((statement) => statement.Action);
}

function stages(): Stage[] {
  return only("aws:codepipeline/pipeline:Pipeline").inputs.stages as Stage[];
}

function stage(name: string): Stage {
  const found = stages().find((stage) => stage.name === name);
  expect(found, name).toBeDefined();
  return found as Stage;
}

function variables(action: Action | undefined): Record<string, string> {
  const list = JSON.parse(action?.configuration.EnvironmentVariables ?? "[]") as { name: string; value: string }[];
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

// --- Rights ---

test("no policy allows a wildcard action", () => {
  const allowed = policies().flatMap(({ policy }) => statements(policy).filter(({ Effect }) => Effect === "Allow"));
  expect(allowed.length).toBeGreaterThan(50);
  for (const { Action } of allowed) {
    expect(Action.filter((action) => action.includes("*") || !/^[a-z0-9-]+:[A-Za-z]+$/.test(action))).toEqual([]);
  }
});

test("a wildcard resource stands only where AWS has no other", () => {
  const everywhere = policies().flatMap(({ policy }) =>
    statements(policy).filter(({ Effect, Resource }) => Effect === "Allow" && Resource?.includes("*")),
  );
  expect([...new Set(everywhere.map(({ Sid }) => Sid))].sort()).toEqual(EVERYWHERE);
});

test("every other resource is one of this account, or one that its service shares", () => {
  const shared = [
    /^arn:of:aws:/, // made by this program
    /^arn:aws:s3:::(order-api-|aws-sam-cli-managed-default-samclisourcebucket-)/,
    /^arn:aws:apigateway:eu-west-1::\/(restapis|tags)/,
    /^arn:aws:cloudformation:eu-west-1:aws:transform\//,
  ];
  const account = new RegExp(`^arn:aws:[a-z0-9-]+:(${REGION})?:${ACCOUNT}:.`);
  const resources = policies().flatMap(({ policy }) => statements(policy).flatMap(({ Resource }) => Resource ?? []));
  const others = resources.filter((resource) => resource !== "*" && !account.test(resource));
  expect(others.filter((resource) => !shared.some((pattern) => pattern.test(resource)))).toEqual([]);
});

test("every role has the boundary, which this program does not make", () => {
  const boundary = `arn:aws:iam::${ACCOUNT}:policy/order-api-pipeline-boundary`;
  const roles = ofType("aws:iam/role:Role");
  // The pipeline; the build; the stack and four projects of each environment; API Gateway.
  expect(roles).toHaveLength(1 + 1 + 2 * 5 + 1);
  expect(roles.map(({ inputs }) => inputs.permissionsBoundary)).toEqual(roles.map(() => boundary));
  expect(made.resources.map(({ inputs }) => inputs.name)).not.toContain("order-api-pipeline-boundary");
});

test("roles are assumed by one service, for this account", () => {
  for (const { name, inputs } of ofType("aws:iam/role:Role")) {
    const [trust, ...more] = statements(inputs.assumeRolePolicy);
    expect(more).toEqual([]);
    const condition = { StringEquals: { "aws:SourceAccount": ACCOUNT } };
    expect(trust?.Condition, name).toEqual(name.endsWith("gateway-logs") ? undefined : condition);
  }
});

test.each(["dev", "prod"])("the stack of %s creates roles only with its boundary", (environment) => {
  const name = `order-api-pipeline-${environment}-stack`;
  const boundary = `arn:of:aws:iam/policy:Policy:${name}`;
  const rights = rightsOf(name);
  const giving = ["CreateRole", "PutRolePolicy", "AttachRolePolicy", "PutRolePermissionsBoundary"];
  for (const action of giving.map((verb) => `iam:${verb}`)) {
    const allowed = rights.filter(({ Action }) => Action.includes(action));
    expect(allowed).toHaveLength(1);
    expect(allowed[0]?.Condition?.StringEquals).toEqual({ "iam:PermissionsBoundary": boundary });
  }
  expect(actionsOf(name)).not.toContain("iam:DeleteRolePermissionsBoundary");
});

test("the boundary allows what the roles of template.yaml are given", () => {
  const template = readFileSync(join(__dirname, "../../template.yaml"), "utf8");
  // In the policies, an action stands after `Action:` or in its list.
  const given = [...template.matchAll(/Action: (?:&\w+ )?(\[[^\]]*\]|[a-z]+:\w+)/g)].flatMap(([, actions]) =>
    (actions ?? "").replace(/[[\] ]/g, "").split(","),
  );
  // The policy of the bucket, and who assumes a role, are no rights of a role.
  const rights = given.filter((action) => !/^(s3|sts):/.test(action));
  expect(rights).toEqual(expect.arrayContaining(["states:StartExecution", "sqs:ReceiveMessage", "lambda:UpdateAlias"]));
  for (const { inputs } of ofType("aws:iam/policy:Policy")) {
    const allowed = statements(inputs.policy).flatMap(({ Action }) => Action);
    expect(allowed).toEqual(expect.arrayContaining(rights));
    expect(allowed.filter((action) => action.startsWith("iam:"))).toEqual([]);
  }
});

test("policies fit into the limits of IAM", () => {
  for (const { name, inputs } of ofType("aws:iam/rolePolicy:RolePolicy")) {
    expect((inputs.policy as string).length, name).toBeLessThanOrEqual(INLINE_LIMIT);
  }
  for (const { name, inputs } of ofType("aws:iam/policy:Policy")) {
    expect((inputs.policy as string).length, name).toBeLessThanOrEqual(MANAGED_LIMIT);
  }
});

test("the pipeline starts builds, and changes nothing itself", () => {
  expect([...new Set(actionsOf("order-api-pipeline").map((action) => action.split(":")[0]))].sort()).toEqual([
    "codebuild",
    "codeconnections",
    "codestar-connections",
    "s3",
    "sns",
  ]);
});

test.each([
  ["dev", "prod"],
  ["prod", "dev"],
])("what deploys %s has no rights in %s", (environment, other) => {
  const resources = ["prepare", "execute", "web", "smoke", "stack"].flatMap((part) =>
    rightsOf(`order-api-pipeline-${environment}-${part}`).flatMap(({ Resource }) => Resource ?? []),
  );
  expect(resources.filter((resource) => resource.includes(`order-api-${environment}`))).not.toEqual([]);
  expect(resources.filter((resource) => resource.includes(`order-api-${other}`))).toEqual([]);
});

test("only the stack's own role has rights to its resources", () => {
  for (const part of ["prepare", "execute"]) {
    const [passRole] = rightsOf(`order-api-pipeline-prod-${part}`).filter(({ Action }) =>
      Action.includes("iam:PassRole"),
    );
    expect(passRole?.Resource).toEqual(["arn:of:aws:iam/role:Role:order-api-pipeline-prod-stack"]);
    expect(passRole?.Condition).toEqual({ StringEquals: { "iam:PassedToService": "cloudformation.amazonaws.com" } });
    const services = actionsOf(`order-api-pipeline-prod-${part}`).map((action) => action.split(":")[0]);
    expect([...new Set(services)].sort()).toEqual(["cloudformation", "iam", "logs", "s3"]);
  }
});

test("the smoke test can change nothing but orders, over HTTPS", () => {
  const other = /^(cloudformation|cognito-idp|lambda|states):/;
  expect(actionsOf("order-api-pipeline-prod-smoke").filter((action) => other.test(action))).toEqual([
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
    "lambda:GetAlias",
    "lambda:GetFunctionConfiguration",
    "cognito-idp:DescribeUserPoolClient",
    "states:DescribeExecution",
  ]);
});

// --- The pipeline ---

test("each push to the configured branch starts a run, one after the other", () => {
  const { inputs } = only("aws:codepipeline/pipeline:Pipeline");
  expect(inputs).toMatchObject({ pipelineType: "V2", executionMode: "QUEUED" });
  // A trigger of its own would filter pushes.
  expect(inputs).not.toHaveProperty("triggers");
  const [source] = stage("Source").actions;
  expect(source?.configuration).toEqual({
    ConnectionArn: "arn:of:aws:codeconnections/connection:Connection:order-api-pipeline",
    FullRepositoryId: "someone/order-api",
    BranchName: "trunk",
    DetectChanges: "true",
    OutputArtifactFormat: "CODEBUILD_CLONE_REF",
  });
});

test("a commit is built once, then deployed to dev, approved, and deployed to prod", () => {
  const order = stages().map(({ name, actions }) => [
    name,
    ...[...actions].sort((a, b) => (a.runOrder ?? 1) - (b.runOrder ?? 1)).map((action) => action.name),
  ]);
  expect(order).toEqual([
    ["Source", "Source"],
    ["Build", "Build"],
    ["DeployDev", "PrepareChangeSet", "ExecuteChangeSet", "PublishWeb", "SmokeTest"],
    ["Approval", "PrepareChangeSet", "Approve"],
    ["DeployProd", "ExecuteChangeSet", "PublishWeb", "SmokeTest"],
  ]);
  // One after the other, in each stage.
  for (const { actions } of stages()) {
    expect(new Set(actions.map(({ runOrder }) => runOrder ?? 1)).size).toBe(actions.length);
  }
  const [build] = stage("Build").actions;
  expect(build).toMatchObject({ inputArtifacts: ["Source"], outputArtifacts: ["Build"] });
  for (const action of stages()
    .slice(2)
    .flatMap(({ actions }) => actions)) {
    expect(action.inputArtifacts, action.name).toEqual(action.category === "Approval" ? undefined : ["Build"]);
  }
});

test("a failed deployment is rolled back, a refused approval is not", () => {
  const rolledBack = stages().filter(({ onFailure }) => onFailure?.result === "ROLLBACK");
  expect(rolledBack.map(({ name }) => name)).toEqual(["DeployDev", "DeployProd"]);
});

test.each([
  ["dev", "DeployDev", "DeployDev"],
  ["prod", "Approval", "DeployProd"],
])("the change set that was prepared for %s is executed", (environment, preparing, deploying) => {
  const prepare = stage(preparing).actions.find(({ name }) => name === "PrepareChangeSet");
  const execute = stage(deploying).actions.find(({ name }) => name === "ExecuteChangeSet");
  expect(prepare?.namespace).toBe(`ChangeSet_${environment}`);
  expect(prepare?.configuration.ProjectName).toBe(`order-api-pipeline-${environment}-prepare`);
  expect(variables(prepare)).toEqual({ RUN: "#{codepipeline.PipelineExecutionId}" });
  expect(execute?.configuration.ProjectName).toBe(`order-api-pipeline-${environment}-execute`);
  expect(variables(execute)).toEqual({
    CHANGE_SET: `#{ChangeSet_${environment}.CHANGE_SET}`,
    PREPARED_BY: `#{ChangeSet_${environment}.PREPARED_BY}`,
    RUN: "#{codepipeline.PipelineExecutionId}",
  });
});

test("the approval links the change set and is asked for by e-mail", () => {
  const approve = stage("Approval").actions.find(({ name }) => name === "Approve");
  expect(approve).toMatchObject({ category: "Approval", provider: "Manual" });
  expect(approve?.configuration).toMatchObject({
    ExternalEntityLink: "#{ChangeSet_prod.CHANGE_SET_URL}",
    NotificationArn: "arn:of:aws:sns/topic:Topic:order-api-pipeline",
  });
});

test("failed runs are told by e-mail", () => {
  const { inputs } = only("aws:cloudwatch/eventRule:EventRule");
  expect(JSON.parse(inputs.eventPattern as string)).toEqual({
    source: ["aws.codepipeline"],
    "detail-type": ["CodePipeline Pipeline Execution State Change"],
    detail: { pipeline: [only("aws:codepipeline/pipeline:Pipeline").inputs.name], state: ["FAILED"] },
  });
  const topic = "arn:of:aws:sns/topic:Topic:order-api-pipeline";
  expect(only("aws:cloudwatch/eventTarget:EventTarget").inputs).toMatchObject({ arn: topic });
  expect(only("aws:sns/topicSubscription:TopicSubscription").inputs).toEqual({
    topic,
    protocol: "email",
    endpoint: EMAIL,
  });
  const [publish] = statements(only("aws:sns/topicPolicy:TopicPolicy").inputs.policy);
  expect(publish).toMatchObject({ Principal: { Service: "events.amazonaws.com" }, Resource: [topic] });
});

// --- Builds and their artifacts ---

test("builds run on arm64, without rights to the machine, and log for a limited time", () => {
  const projects = ofType("aws:codebuild/project:Project");
  expect(projects).toHaveLength(9);
  const groups = ofType("aws:cloudwatch/logGroup:LogGroup");
  for (const { name, inputs } of projects) {
    expect(inputs.environment).toMatchObject({ type: "ARM_CONTAINER" });
    expect(inputs.environment).not.toHaveProperty("privilegedMode");
    const group = groups.find((group) => group.name === name)?.inputs;
    expect(group).toMatchObject({ name: `/aws/codebuild/${name}`, retentionInDays: 90 });
    expect(inputs.logsConfig).toEqual({ cloudwatchLogs: { groupName: group?.name } });
  }
});

test("the files with the commands of the builds exist", () => {
  for (const { inputs } of ofType("aws:codebuild/project:Project")) {
    const { buildspec } = inputs.source as { buildspec: string };
    expect(readFileSync(join(__dirname, "../..", buildspec), "utf8")).toMatch(/^version: 0.2$/m);
  }
});

test("artifacts are private, encrypted, sent by TLS only, and expire", () => {
  const bucket = only("aws:s3/bucket:Bucket").name;
  const [store] = only("aws:codepipeline/pipeline:Pipeline").inputs.artifactStores as { location: string }[];
  expect(store?.location).toBe(bucket);
  const settings = (type: string) => {
    const { inputs } = only(`aws:s3/${type}`);
    expect(inputs.bucket).toBe(bucket);
    return inputs;
  };
  expect(settings("bucketPublicAccessBlock:BucketPublicAccessBlock")).toMatchObject({
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  });
  expect(settings("bucketOwnershipControls:BucketOwnershipControls").rule).toEqual({
    objectOwnership: "BucketOwnerEnforced",
  });
  const encryption = "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";
  expect(settings(encryption).rules).toMatchObject([
    { applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms" } },
  ]);
  expect(settings("bucketLifecycleConfiguration:BucketLifecycleConfiguration").rules).toMatchObject([
    { status: "Enabled", expiration: { days: 90 } },
  ]);
  const arn = `arn:of:aws:s3/bucket:Bucket:${bucket}`;
  expect(statements(settings("bucketPolicy:BucketPolicy").policy)).toMatchObject([
    { Effect: "Deny", Resource: [arn, `${arn}/*`], Condition: { Bool: { "aws:SecureTransport": "false" } } },
  ]);
});

// --- The account ---

test("the role of API Gateway's logs outlives the pipeline", () => {
  expect(made.kept.sort()).toEqual([
    "aws:apigateway/account:Account",
    "aws:iam/role:Role",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  ]);
  expect(only("aws:apigateway/account:Account").inputs.cloudwatchRoleArn).toBe(
    "arn:of:aws:iam/role:Role:order-api-pipeline-gateway-logs",
  );
});

test("everything has the prefix that the role of pulumi up is limited to", () => {
  for (const { name, inputs } of made.resources) {
    expect(name).toMatch(/^order-api-pipeline/);
    if (typeof inputs.name === "string") {
      expect(inputs.name).toMatch(/^(\/aws\/codebuild\/)?order-api-pipeline/);
    }
  }
});

test("the outputs lead to the console", () => {
  const { connectionUrl, pipelineUrl, buildLogsUrl, stacksUrl } = made.outputs;
  const console = `https://${REGION}.console.aws.amazon.com`;
  expect({ connectionUrl, pipelineUrl, buildLogsUrl, stacksUrl }).toEqual({
    connectionUrl: `${console}/codesuite/settings/connections`,
    pipelineUrl: `${console}/codesuite/codepipeline/pipelines/order-api-pipeline/view`,
    buildLogsUrl: `${console}/cloudwatch/home#logsV2:log-groups/log-group/%2Faws%2Fcodebuild%2Forder-api-pipeline-build`,
    stacksUrl: `${console}/cloudformation/home#/stacks?filteringText=order-api`,
  });
});

test("Pulumi can load the program", () => {
  // As `pulumi up` loads it: with its own ts-node, which is old, and our TypeScript.
  const load = `
    const { loadTypeScriptCompilerOptions, typeScriptRequireStrings } = require("@pulumi/pulumi/tsutils");
    const { tsnodeRequire, typescriptRequire } = typeScriptRequireStrings();
    const compilerOptions = loadTypeScriptCompilerOptions("tsconfig.json");
    require(tsnodeRequire).register({ compiler: typescriptRequire, project: "tsconfig.json", compilerOptions });
    const pulumi = require("@pulumi/pulumi");
    pulumi.runtime.setMocks({ newResource: ({ name }) => ({ id: name, state: {} }), call: () => ({}) });
    pulumi.runtime.setAllConfig({ "project:repository": "a/b", "project:branch": "main" });
    console.log(Object.keys(require("./index")).join());
  `;
  const shown = execFileSync("node", ["--eval", load], { cwd: join(__dirname, ".."), encoding: "utf8" });
  expect(shown).toContain("pipelineUrl");
}, 60_000);
