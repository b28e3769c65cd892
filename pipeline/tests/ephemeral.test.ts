import { readFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, expect, test } from "vitest";

import { ACCOUNT, type Graph, type Resource, graph } from "./graph";

interface Statement {
  Sid?: string;
  Principal?: unknown;
  Action: string[];
  Resource?: string[];
  Condition?: Record<string, Record<string, unknown>>;
}

const JOB = "order-api-pipeline-ephemeral-job";
const STACK = "order-api-pipeline-ephemeral-stack";

let made: Graph;

beforeAll(async () => {
  made = await graph({
    "order-api-pipeline:ephemeral": "true",
    "order-api-pipeline:immutableRepository": "someone@1/order-api@2",
  });
}, 60_000);

function resource(type: string, name: string): Resource {
  const found = made.resources.filter((resource) => resource.type === type && resource.name === name);
  expect(found, name).toHaveLength(1);
  return found[0] as Resource;
}

function statements(policy: unknown): Statement[] {
  return (JSON.parse(policy as string) as { Statement: Statement[] }).Statement;
}

function rightsOf(name: string): Statement[] {
  return statements(resource("aws:iam/rolePolicy:RolePolicy", name).inputs.policy);
}

test("only the job on the branch gets the role, by both forms of its subject", () => {
  const [trust, ...more] = statements(resource("aws:iam/role:Role", JOB).inputs.assumeRolePolicy);
  expect(more).toEqual([]);
  expect(trust).toEqual({
    Effect: "Allow",
    Principal: { Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/token.actions.githubusercontent.com` },
    Action: ["sts:AssumeRoleWithWebIdentity"],
    Condition: {
      StringEquals: {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": [
          "repo:someone/order-api:ref:refs/heads/trunk",
          "repo:someone@1/order-api@2:ref:refs/heads/trunk",
        ],
      },
    },
  });
});

test("both roles have the boundary, and the session is as long as the workflow asks", () => {
  for (const name of [JOB, STACK]) {
    const { inputs } = resource("aws:iam/role:Role", name);
    expect(inputs.permissionsBoundary).toBe(`arn:aws:iam::${ACCOUNT}:policy/order-api-pipeline-boundary`);
  }
  const workflow = readFileSync(join(__dirname, "../../.github/workflows/ephemeral.yml"), "utf8");
  const asked = Number(/role-duration-seconds: (\d+)/.exec(workflow)?.[1]);
  expect(resource("aws:iam/role:Role", JOB).inputs.maxSessionDuration).toBe(asked);
});

test("there are no wildcard actions, and wildcard resources only where AWS has no other", () => {
  for (const name of [JOB, STACK]) {
    const rights = rightsOf(name);
    expect(rights.flatMap(({ Action }) => Action).filter((action) => action.includes("*"))).toEqual([]);
    const everywhere = rights.filter(({ Resource }) => Resource?.includes("*")).map(({ Sid }) => Sid);
    const expected = [
      "EventSourceMappingHasNoArnYet",
      "QueryDefinitionsAreNoResources",
      "SubscriptionsAreNoResources",
      "UserPoolHasNoArnYet",
    ];
    expect(everywhere.filter((sid) => !expected.includes(sid ?? ""))).toEqual([]);
  }
});

test("neither role reaches the stacks of dev and prod by name", () => {
  // Characters that a pattern of IAM may have in the place of the stack's name.
  const reaches = (pattern: string, text: string) =>
    new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")}$`).test(text);
  const resources = [JOB, STACK].flatMap((name) => rightsOf(name).flatMap(({ Resource }) => Resource ?? []));
  const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:${ACCOUNT}:${rest}`;
  for (const environment of ["dev", "prod"]) {
    for (const other of [
      arn("cloudformation", `stack/order-api-${environment}/7`),
      arn("dynamodb", `table/order-api-${environment}-OrdersTable-7`),
      arn("lambda", `function:order-api-${environment}-GetOrdersFunction-7`),
      arn("sqs", `order-api-${environment}-OrdersQueue-7`),
      arn("sns", `order-api-${environment}-NotificationsTopic-7`),
      `arn:aws:iam::${ACCOUNT}:role/order-api-${environment}-GetOrdersFunctionRole-7`,
      `arn:aws:s3:::order-api-${environment}-webbucket-7/index.html`,
    ]) {
      expect(
        resources.filter((pattern) => pattern !== "*" && reaches(pattern, other)),
        other,
      ).toEqual([]);
    }
  }
  expect(resources.some((pattern) => reaches(pattern, arn("cloudformation", "stack/order-api-e-ann/7")))).toBe(true);
});

test("the job reaches no user pool of dev and prod, which the tags tell apart", () => {
  const pools = rightsOf(JOB).filter(({ Action }) => Action.some((action) => action.startsWith("cognito-idp:")));
  expect(pools.map(({ Condition }) => Condition?.StringLike)).toEqual([
    { "aws:ResourceTag/order-api-stack": "order-api-e-*" },
    { "aws:RequestTag/order-api-stack": "order-api-e-*" },
  ]);
  const tagged = (file: string) => readFileSync(join(__dirname, "../..", file), "utf8");
  expect(tagged("template.yaml")).toContain("UserPoolTags: { order-api-stack: !Ref AWS::StackName }");
  expect(tagged("local/tests/e2e/auth.rs")).toContain('.user_pool_tags("order-api-stack", &stack.name)');
});

test("CloudFormation gives roles rights only inside the boundary of these stacks", () => {
  const boundary = `arn:of:aws:iam/policy:Policy:${STACK}`;
  const giving = ["CreateRole", "PutRolePolicy", "AttachRolePolicy", "PutRolePermissionsBoundary"];
  for (const action of giving.map((verb) => `iam:${verb}`)) {
    const allowed = rightsOf(STACK).filter(({ Action }) => Action.includes(action));
    expect(allowed.map(({ Condition }) => Condition?.StringEquals)).toEqual([{ "iam:PermissionsBoundary": boundary }]);
  }
  const ofIam = rightsOf(JOB).filter(({ Action }) => Action.some((action) => action.startsWith("iam:")));
  expect(ofIam).toMatchObject([{ Action: ["iam:PassRole"], Resource: [`arn:of:aws:iam/role:Role:${STACK}`] }]);
});

test("policies fit into the limits of IAM", () => {
  for (const name of [JOB, STACK]) {
    const { inputs } = resource("aws:iam/rolePolicy:RolePolicy", name);
    expect((inputs.policy as string).length, name).toBeLessThanOrEqual(10_240);
  }
});

test("the outputs are the variables of the workflow", () => {
  expect(made.outputs).toMatchObject({
    ephemeralRole: `arn:of:aws:iam/role:Role:${JOB}`,
    ephemeralStackRole: `arn:of:aws:iam/role:Role:${STACK}`,
    ephemeralBoundary: `arn:of:aws:iam/policy:Policy:${STACK}`,
  });
});
