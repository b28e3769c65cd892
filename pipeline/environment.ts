import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Artifacts } from "./artifacts";
import { BuildProject } from "./build-project";
import { NAME, type Place } from "./place";
import { type Statement, allow, policy, role } from "./policy";
import { packages, stackBoundary, stackRights } from "./stack-rights";

/** Macros of CloudFormation that template.yaml uses. */
const MACROS = ["Serverless-2016-10-31", "LanguageExtensions"];

/** One environment of samconfig.toml: the role of its stack, and the projects that change it. */
export class Environment extends pulumi.ComponentResource {
  /** Creates a change set. */
  readonly prepare: BuildProject;
  /** Executes it. */
  readonly execute: BuildProject;
  /** Publishes the web UI. */
  readonly web: BuildProject;

  constructor(
    readonly name: "dev" | "prod",
    place: Place,
    artifacts: Artifacts,
  ) {
    super("order-api:pipeline:Environment", name);
    const inside = { parent: this };
    const stack = `order-api-${name}`;
    const stackName = `${NAME}-${name}-stack`;
    const limit = new aws.iam.Policy(
      stackName,
      {
        // Named, because its ARN is a parameter of the stack and should not change.
        name: stackName,
        description: `Boundary of the roles of ${stack}`,
        policy: policy(stackBoundary(place, stack)),
      },
      inside,
    );
    const limitArn = place.globalArn("iam", `policy/${stackName}`);
    const stackRole = role(stackName, place, "cloudformation", stackRights(place, stack, limitArn), {
      ...inside,
      dependsOn: limit,
    });

    const thisStack = place.arn("cloudformation", `stack/${stack}/*`);
    const changeStack: Statement[] = [
      allow(
        [
          "cloudformation:CreateChangeSet",
          "cloudformation:DescribeChangeSet",
          "cloudformation:DescribeStackEvents",
          "cloudformation:DescribeStacks",
          "cloudformation:ExecuteChangeSet",
          "cloudformation:GetTemplateSummary",
        ],
        [thisStack],
      ),
      allow(
        ["cloudformation:CreateChangeSet"],
        MACROS.map((macro) => place.regionalArn("cloudformation", "aws", `transform/${macro}`)),
      ),
      allow(["iam:PassRole"], [stackRole.arn], {
        StringEquals: { "iam:PassedToService": "cloudformation.amazonaws.com" },
      }),
      ...packageRights(place),
    ];
    const publishWeb: Statement[] = [
      allow(["cloudformation:DescribeStacks"], [thisStack]),
      allow(["s3:ListBucket"], [place.bucket(`${stack}-webbucket-*`)]),
      allow(["s3:PutObject"], [place.bucket(`${stack}-webbucket-*/*`)]),
      // CloudFront gives distributions their ids, so they can't be named here.
      allow(["cloudfront:CreateInvalidation"], [place.globalArn("cloudfront", "distribution/*")]),
    ];
    const variables = { DEPLOY_ENV: name };
    const release = { ...variables, STACK_ROLE: stackRole.arn, STACK_BOUNDARY: limitArn };
    const project = (step: string, description: string, rights: Statement[], variables: BuildVariables) =>
      new BuildProject(
        `${name}-${step}`,
        {
          place,
          artifacts,
          description,
          buildspec: `pipeline/buildspecs/${step}.yml`,
          // A canary takes its time.
          minutes: 120,
          rights,
          variables,
        },
        this,
      );
    this.prepare = project("prepare", `Creates a change set for ${stack}`, changeStack, release);
    this.execute = project("execute", `Executes a change set of ${stack}`, changeStack, release);
    this.web = project("web", `Publishes the web UI of ${stack}`, publishWeb, variables);
    this.registerOutputs();
  }
}

type BuildVariables = Record<string, pulumi.Input<string>>;

/** Rights to upload packages to the bucket of the SAM CLI. */
export function packageRights(place: Place): Statement[] {
  return [
    allow(["cloudformation:DescribeStacks"], [place.arn("cloudformation", "stack/aws-sam-cli-managed-default/*")]),
    allow(["s3:GetObject", "s3:PutObject"], [pulumi.interpolate`${packages(place)}/*`]),
    allow(["s3:GetBucketLocation", "s3:ListBucket"], [packages(place)]),
  ];
}
