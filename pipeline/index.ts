import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { Artifacts } from "./artifacts";
import { BuildProject } from "./build-project";
import { Delivery, useConnection } from "./delivery";
import { Environment, packageRights } from "./environment";
import { Ephemeral } from "./ephemeral";
import { GatewayLogs } from "./gateway-logs";
import { Notifications } from "./notifications";
import { NAME, Place } from "./place";

const config = new pulumi.Config();
const place = new Place();

const connection = new aws.codeconnections.Connection(NAME, { name: NAME, providerType: "GitHub" });
const artifacts = new Artifacts();
const build = new BuildProject("build", {
  place,
  artifacts,
  description: "Checks, builds and packages a commit",
  buildspec: "buildspec.yml",
  minutes: 120,
  compiles: true,
  rights: [useConnection(connection), ...packageRights(place)],
});
const dev = new Environment("dev", place, artifacts);
const prod = new Environment("prod", place, artifacts);
const notifications = new Notifications(Delivery.pipelineName, config.get("email") ?? "");
new Delivery({
  place,
  artifacts,
  connection,
  repository: config.require("repository"),
  branch: config.require("branch"),
  build,
  dev,
  prod,
  topic: notifications.topic.arn,
});
new GatewayLogs(place);
const ephemeral = config.getBoolean("ephemeral")
  ? new Ephemeral({
      place,
      repository: config.require("repository"),
      immutableRepository: config.get("immutableRepository") ?? "",
      branch: config.require("branch"),
    })
  : undefined;

/** A new connection waits there for a click: "Update pending connection". */
export const connectionUrl = place.console("codesuite/settings/connections");
export const pipelineUrl = place.console(`codesuite/codepipeline/pipelines/${Delivery.pipelineName}/view`);
export const buildLogsUrl = place.console(
  pulumi.interpolate`cloudwatch/home#logsV2:log-groups/log-group/${build.logGroup.name.apply(encodeURIComponent)}`,
);
export const stacksUrl = place.console("cloudformation/home#/stacks?filteringText=order-api");
export const connectionArn = connection.arn;
export const artifactsBucket = artifacts.bucket.bucket;
export const topicArn = notifications.topic.arn;
/** Variables of the repository: AWS_EPHEMERAL_ROLE, AWS_EPHEMERAL_STACK_ROLE and AWS_EPHEMERAL_BOUNDARY. */
export const ephemeralRole = ephemeral?.jobRole;
export const ephemeralStackRole = ephemeral?.stackRole;
export const ephemeralBoundary = ephemeral?.stackBoundary;
