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
  /** Tests what is deployed. */
  readonly smoke: BuildProject;

  constructor(
    readonly name: "dev" | "prod",
    place: Place,
    artifacts: Artifacts,
  ) {
    super("order-api:pipeline:Environment", name);
    const inside = { parent: this };
    // As in samconfig.toml.
    const stack = `order-api-${name}`;
    const roleName = `${NAME}-${name}-stack`;
    const limit = new aws.iam.Policy(
      roleName,
      {
        // Named, because its ARN is a parameter of the stack and should not change.
        name: roleName,
        description: `Boundary of the roles of ${stack}`,
        policy: policy(stackBoundary(place, stack)),
      },
      inside,
    );
    const stackRole = role(roleName, place, "cloudformation", stackRights(place, stack, limit.arn), inside);
    const project = (step: string, description: string, rights: Statement[], variables: BuildVariables = {}) =>
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
          variables: { DEPLOY_ENV: name, ...variables },
        },
        this,
      );
    const rights = releaseRights(place, stack, stackRole.arn);
    const arns = { STACK_ROLE: stackRole.arn, STACK_BOUNDARY: limit.arn };
    this.prepare = project("prepare", `Creates a change set for ${stack}`, rights, arns);
    this.execute = project("execute", `Executes a change set of ${stack}`, rights, arns);
    this.web = project("web", `Publishes the web UI of ${stack}`, webRights(place, stack));
    this.smoke = project("smoke", `Tests ${stack}`, smokeRights(place, stack));
    this.registerOutputs();
  }
}

type BuildVariables = Record<string, pulumi.Input<string>>;

/** Rights to create and execute change sets, which CloudFormation then carries out by the role of the stack. */
export function releaseRights(place: Place, stack: string, stackRole: pulumi.Output<string>): Statement[] {
  return [
    allow(
      [
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:GetTemplateSummary",
      ],
      [stackArn(place, stack)],
    ),
    allow(
      ["cloudformation:CreateChangeSet"],
      MACROS.map((macro) => place.regionalArn("cloudformation", "aws", `transform/${macro}`)),
    ),
    allow(["iam:PassRole"], [stackRole], { StringEquals: { "iam:PassedToService": "cloudformation.amazonaws.com" } }),
    ...packageRights(place),
  ];
}

export function webRights(place: Place, stack: string): Statement[] {
  return [
    allow(["cloudformation:DescribeStacks"], [stackArn(place, stack)]),
    allow(["s3:ListBucket"], [place.bucket(`${stack}-webbucket-*`)]),
    allow(["s3:PutObject"], [place.bucket(`${stack}-webbucket-*/*`)]),
    // CloudFront gives distributions their ids, so they can't be named here.
    allow(["cloudfront:CreateInvalidation"], [place.globalArn("cloudfront", "distribution/*")]),
  ];
}

/** Rights to read what was deployed, and to sign in. All else is done over HTTPS, with the rights of a machine. */
function smokeRights(place: Place, stack: string): Statement[] {
  return [
    allow(
      ["cloudformation:DescribeStacks", "cloudformation:GetTemplate", "cloudformation:ListStackResources"],
      [stackArn(place, stack)],
    ),
    allow(["lambda:GetAlias", "lambda:GetFunctionConfiguration"], [place.arn("lambda", `function:${stack}-*`)]),
    // Neither a user pool nor a state machine has the stack in its name.
    allow(["cognito-idp:DescribeUserPoolClient"], [place.arn("cognito-idp", "userpool/*")]),
    allow(["states:DescribeExecution"], [place.arn("states", "execution:OrderStateMachine-*:*")]),
  ];
}

export function stackArn(place: Place, stack: string): pulumi.Output<string> {
  return place.arn("cloudformation", `stack/${stack}/*`);
}

/** Rights to upload packages to the bucket of the SAM CLI. */
export function packageRights(place: Place): Statement[] {
  return [
    allow(["cloudformation:DescribeStacks"], [place.arn("cloudformation", "stack/aws-sam-cli-managed-default/*")]),
    allow(["s3:GetObject", "s3:PutObject"], [pulumi.interpolate`${packages(place)}/*`]),
    allow(["s3:GetBucketLocation", "s3:ListBucket"], [packages(place)]),
  ];
}
