import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/** Prefix of the names of everything that this program makes. The role of `pulumi up` may touch nothing else. */
export const NAME = "order-api-pipeline";

/** The account and region of the pipeline, and the ARNs in it. */
export class Place {
  readonly region = aws.getRegionOutput().region;
  readonly account = aws.getCallerIdentityOutput().accountId;
  private readonly partition = aws.getPartitionOutput().partition;

  arn(service: string, resource: pulumi.Input<string>): pulumi.Output<string> {
    return pulumi.interpolate`arn:${this.partition}:${service}:${this.region}:${this.account}:${resource}`;
  }

  /** Returns the ARN of a resource of a service that has no regions, such as IAM. */
  globalArn(service: string, resource: pulumi.Input<string>): pulumi.Output<string> {
    return pulumi.interpolate`arn:${this.partition}:${service}::${this.account}:${resource}`;
  }

  /** Returns the ARN of what belongs to AWS in this region: a macro of CloudFormation, or a path of API Gateway. */
  regionalArn(service: string, owner: "" | "aws", resource: string): pulumi.Output<string> {
    return pulumi.interpolate`arn:${this.partition}:${service}:${this.region}:${owner}:${resource}`;
  }

  managedPolicy(name: string): pulumi.Output<string> {
    return pulumi.interpolate`arn:${this.partition}:iam::aws:policy/${name}`;
  }

  bucket(name: pulumi.Input<string>): pulumi.Output<string> {
    return pulumi.interpolate`arn:${this.partition}:s3:::${name}`;
  }

  console(path: pulumi.Input<string>): pulumi.Output<string> {
    return pulumi.interpolate`https://${this.region}.console.aws.amazon.com/${path}`;
  }
}
