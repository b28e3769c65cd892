use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;

use super::Error;

/// Returns the text of a secret in Secrets Manager, by its ARN. Needs `secretsmanager:GetSecretValue`.
pub async fn secret(sdk: &SdkConfig, arn: &str) -> Result<String, Error> {
    let secret = Client::new(sdk).get_secret_value().secret_id(arn).send().await?;
    secret.secret_string.ok_or_else(|| Error::Failed("the secret has no text".into()))
}
