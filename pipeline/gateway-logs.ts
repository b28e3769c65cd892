import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { NAME, type Place } from "./place";
import { role } from "./policy";

/**
 * The role by which API Gateway writes logs. It is one setting of the account and the region, so other APIs may need it,
 * too: it is kept when the pipeline is destroyed.
 */
export class GatewayLogs extends pulumi.ComponentResource {
  constructor(place: Place) {
    super("order-api:pipeline:GatewayLogs", "gateway-logs");
    const name = `${NAME}-gateway-logs`;
    const kept = { parent: this, retainOnDelete: true };
    const writer = role(name, place, "apigateway", [], kept);
    // API Gateway refuses a role without the rights of this policy.
    const attached = new aws.iam.RolePolicyAttachment(
      name,
      {
        role: writer.name,
        policyArn: place.managedPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs"),
      },
      kept,
    );
    new aws.apigateway.Account(name, { cloudwatchRoleArn: writer.arn }, { ...kept, dependsOn: attached });
    this.registerOutputs();
  }
}
