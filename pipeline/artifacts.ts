import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { NAME } from "./place";
import { type Statement, allow, policy } from "./policy";

/** Days that a build is kept. A stage can be rolled back to a build that is still there. */
const KEEP_DAYS = 90;

/** The bucket of the artifacts that stages pass on, and of the build's cache. */
export class Artifacts extends pulumi.ComponentResource {
  readonly bucket: aws.s3.Bucket;

  constructor() {
    super("order-api:pipeline:Artifacts", "artifacts");
    const name = `${NAME}-artifacts`;
    const inside = { parent: this };
    // All of it can be built again, so `pulumi destroy` may delete it.
    this.bucket = new aws.s3.Bucket(name, { forceDestroy: true }, inside);
    const bucket = this.bucket.bucket;
    const publicAccess = new aws.s3.BucketPublicAccessBlock(
      name,
      { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      inside,
    );
    new aws.s3.BucketOwnershipControls(name, { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } }, inside);
    new aws.s3.BucketServerSideEncryptionConfiguration(
      name,
      // Without a key of our own: that of S3 costs nothing, and CodePipeline uses it, too.
      { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms" }, bucketKeyEnabled: true }] },
      inside,
    );
    new aws.s3.BucketLifecycleConfiguration(
      name,
      {
        bucket,
        rules: [
          {
            id: "expire",
            status: "Enabled",
            filter: { prefix: "" },
            expiration: { days: KEEP_DAYS },
            abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
          },
        ],
      },
      inside,
    );
    const tlsOnly: Statement = {
      Sid: "TlsOnly",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:*"],
      Resource: [this.bucket.arn, this.objects],
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    };
    // S3 refuses two changes of one bucket's access at once.
    const after = { ...inside, dependsOn: publicAccess };
    new aws.s3.BucketPolicy(name, { bucket, policy: policy([tlsOnly]) }, after);
    this.registerOutputs();
  }

  private get objects(): pulumi.Output<string> {
    return pulumi.interpolate`${this.bucket.arn}/*`;
  }

  get rights(): Statement[] {
    return [
      allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], [this.objects]),
      allow(["s3:GetBucketLocation", "s3:ListBucket"], [this.bucket.arn]),
    ];
  }
}
