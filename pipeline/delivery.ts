import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Artifacts } from "./artifacts";
import type { BuildProject } from "./build-project";
import type { Environment } from "./environment";
import { NAME, type Place } from "./place";
import { allow, role } from "./policy";

type Action = aws.types.input.codepipeline.PipelineStageAction;

/** Version of each kind of action that is used here. */
const VERSION = "1";
const SOURCE = "Source";
const BUILD = "Build";
const THIS_RUN = "#{codepipeline.PipelineExecutionId}";

export interface DeliveryArgs {
  place: Place;
  artifacts: Artifacts;
  connection: aws.codeconnections.Connection;
  repository: string;
  branch: string;
  build: BuildProject;
  dev: Environment;
  prod: Environment;
  /** Topic of requests for approval. */
  topic: pulumi.Input<string>;
}

/** The pipeline: each push to the branch is built once, deployed to dev, approved, and deployed to prod. */
export class Delivery extends pulumi.ComponentResource {
  static readonly pipelineName = NAME;

  constructor(args: DeliveryArgs) {
    super("order-api:pipeline:Delivery", "delivery");
    const { place, artifacts, connection, build, dev, prod } = args;
    const inside = { parent: this };
    const projects = [
      build,
      ...[dev, prod].flatMap(({ prepare, execute, web, smoke }) => [prepare, execute, web, smoke]),
    ];
    const serviceRole = role(
      NAME,
      place,
      "codepipeline",
      [
        ...artifacts.rights,
        useConnection(connection),
        allow(
          ["codebuild:BatchGetBuilds", "codebuild:StartBuild"],
          projects.map(({ project }) => project.arn),
        ),
        allow(["sns:Publish"], [args.topic]),
      ],
      inside,
    );
    // If a deployment or its test fails, CodePipeline repeats the stage with the build that last succeeded in it.
    const onFailure = { result: "ROLLBACK" };
    new aws.codepipeline.Pipeline(
      NAME,
      {
        name: Delivery.pipelineName,
        roleArn: serviceRole.arn,
        pipelineType: "V2",
        // Each run is deployed, one after the other: a run that waits for approval is not overtaken.
        executionMode: "QUEUED",
        artifactStores: [{ type: "S3", location: artifacts.bucket.bucket }],
        stages: [
          { name: "Source", actions: [source(args)] },
          { name: "Build", actions: [{ ...run("Build", build, 1, {}, SOURCE), outputArtifacts: [BUILD] }] },
          { name: "DeployDev", actions: [prepare(dev, 1), ...deploy(dev, 2)], onFailure },
          { name: "Approval", actions: [prepare(prod, 1), approval(prod, args.topic, 2)] },
          { name: "DeployProd", actions: deploy(prod, 1), onFailure },
        ],
      },
      inside,
    );
    this.registerOutputs();
  }
}

/** The right to read the repository. The service was renamed: which of the prefixes counts depends on the connection. */
export function useConnection(connection: aws.codeconnections.Connection) {
  return allow(["codeconnections:UseConnection", "codestar-connections:UseConnection"], [connection.arn]);
}

function source({ connection, repository, branch }: DeliveryArgs): Action {
  return {
    name: "Source",
    category: "Source",
    owner: "AWS",
    provider: "CodeStarSourceConnection",
    version: VERSION,
    configuration: {
      ConnectionArn: connection.arn,
      FullRepositoryId: repository,
      BranchName: branch,
      DetectChanges: "true",
      // A zip would lose the files' right to be executed.
      OutputArtifactFormat: "CODEBUILD_CLONE_REF",
    },
    outputArtifacts: [SOURCE],
  };
}

function run(
  name: string,
  { project }: BuildProject,
  runOrder: number,
  variables: Record<string, string>,
  input = BUILD,
): Action {
  const list = Object.entries(variables).map(([name, value]) => ({ name, value, type: "PLAINTEXT" }));
  return {
    name,
    category: "Build",
    owner: "AWS",
    provider: "CodeBuild",
    version: VERSION,
    runOrder,
    inputArtifacts: [input],
    configuration: {
      ProjectName: project.name,
      ...(list.length > 0 && { EnvironmentVariables: JSON.stringify(list) }),
    },
  };
}

/** Namespace of the variables that the creation of the change set exports. */
function changeSetOf(environment: Environment): string {
  return `ChangeSet_${environment.name}`;
}

function prepare(environment: Environment, runOrder: number): Action {
  return {
    ...run("PrepareChangeSet", environment.prepare, runOrder, { RUN: THIS_RUN }),
    namespace: changeSetOf(environment),
  };
}

/** Executes the change set, publishes the web UI, which needs the new API, and tests both. */
function deploy(environment: Environment, runOrder: number): Action[] {
  const namespace = changeSetOf(environment);
  return [
    run("ExecuteChangeSet", environment.execute, runOrder, {
      CHANGE_SET: `#{${namespace}.CHANGE_SET}`,
      PREPARED_BY: `#{${namespace}.PREPARED_BY}`,
      RUN: THIS_RUN,
    }),
    run("PublishWeb", environment.web, runOrder + 1, {}),
    run("SmokeTest", environment.smoke, runOrder + 2, {}),
  ];
}

function approval(environment: Environment, topic: pulumi.Input<string>, runOrder: number): Action {
  return {
    name: "Approve",
    category: "Approval",
    owner: "AWS",
    provider: "Manual",
    version: VERSION,
    runOrder,
    configuration: {
      NotificationArn: topic,
      CustomData: `The changes of the stack in ${environment.name}: see the link`,
      ExternalEntityLink: `#{${changeSetOf(environment)}.CHANGE_SET_URL}`,
    },
  };
}
