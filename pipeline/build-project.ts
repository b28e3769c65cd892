import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Artifacts } from "./artifacts";
import { NAME, type Place } from "./place";
import { type Statement, allow, role } from "./policy";

const LOG_DAYS = 90;

export interface BuildProjectArgs {
  place: Place;
  artifacts: Artifacts;
  description: string;
  /** File of the input artifact with the commands. */
  buildspec: string;
  minutes: number;
  rights: Statement[];
  variables?: Record<string, pulumi.Input<string>>;
  /** A build compiles, and keeps what it downloads. */
  compiles?: boolean;
}

/** A project of CodeBuild with its own role and log group. */
export class BuildProject extends pulumi.ComponentResource {
  readonly project: aws.codebuild.Project;
  readonly logGroup: aws.cloudwatch.LogGroup;

  constructor(name: string, args: BuildProjectArgs, parent?: pulumi.Resource) {
    super("order-api:pipeline:BuildProject", name, {}, { parent });
    const inside = { parent: this };
    const fullName = `${NAME}-${name}`;
    // Named, so that CodeBuild does not create it without retention.
    this.logGroup = new aws.cloudwatch.LogGroup(
      fullName,
      { name: `/aws/codebuild/${fullName}`, retentionInDays: LOG_DAYS },
      inside,
    );
    const writeLogs = allow(
      ["logs:CreateLogStream", "logs:PutLogEvents"],
      [pulumi.interpolate`${this.logGroup.arn}:log-stream:*`, this.logGroup.arn],
    );
    const serviceRole = role(
      fullName,
      args.place,
      "codebuild",
      [writeLogs, ...args.artifacts.rights, ...args.rights],
      inside,
    );
    this.project = new aws.codebuild.Project(
      fullName,
      {
        name: fullName,
        description: args.description,
        serviceRole: serviceRole.arn,
        buildTimeout: args.minutes,
        source: { type: "CODEPIPELINE", buildspec: args.buildspec },
        artifacts: { type: "CODEPIPELINE" },
        environment: {
          type: "ARM_CONTAINER",
          computeType: args.compiles ? "BUILD_GENERAL1_LARGE" : "BUILD_GENERAL1_SMALL",
          image: "aws/codebuild/amazonlinux-aarch64-standard:3.0",
          environmentVariables: Object.entries(args.variables ?? {}).map(([key, value]) => ({ name: key, value })),
        },
        cache: args.compiles
          ? { type: "S3", location: pulumi.interpolate`${args.artifacts.bucket.bucket}/cache` }
          : { type: "NO_CACHE" },
        logsConfig: { cloudwatchLogs: { groupName: this.logGroup.name } },
      },
      inside,
    );
    this.registerOutputs();
  }
}
