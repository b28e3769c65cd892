import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { NAME } from "./place";
import { policy } from "./policy";

/** The topic of failed runs and of requests for approval. */
export class Notifications extends pulumi.ComponentResource {
  readonly topic: aws.sns.Topic;

  constructor(pipeline: pulumi.Input<string>, email: string) {
    super("order-api:pipeline:Notifications", "notifications");
    const inside = { parent: this };
    // EventBridge can't use the key alias/aws/sns. The messages name runs, and contain no data.
    this.topic = new aws.sns.Topic(NAME, {}, inside);
    const failed = new aws.cloudwatch.EventRule(
      `${NAME}-failed`,
      {
        description: "Runs of the pipeline that failed",
        eventPattern: pulumi.jsonStringify({
          source: ["aws.codepipeline"],
          "detail-type": ["CodePipeline Pipeline Execution State Change"],
          detail: { pipeline: [pipeline], state: ["FAILED"] },
        }),
      },
      inside,
    );
    new aws.cloudwatch.EventTarget(
      `${NAME}-failed`,
      {
        rule: failed.name,
        arn: this.topic.arn,
        inputTransformer: {
          inputPaths: { pipeline: "$.detail.pipeline", run: "$.detail.execution-id", region: "$.region" },
          inputTemplate:
            '"A run of the pipeline <pipeline> failed: https://<region>.console.aws.amazon.com/codesuite/codepipeline/pipelines/<pipeline>/executions/<run>/timeline?region=<region>"',
        },
      },
      inside,
    );
    new aws.sns.TopicPolicy(
      NAME,
      {
        arn: this.topic.arn,
        policy: policy([
          {
            Effect: "Allow",
            Principal: { Service: "events.amazonaws.com" },
            Action: ["sns:Publish"],
            Resource: [this.topic.arn],
            Condition: { ArnEquals: { "aws:SourceArn": failed.arn } },
          },
        ]),
      },
      inside,
    );
    if (email) {
      new aws.sns.TopicSubscription(NAME, { topic: this.topic.arn, protocol: "email", endpoint: email }, inside);
    }
    this.registerOutputs();
  }
}
