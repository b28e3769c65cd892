//! The logs of the whole run. `make e2e` runs this after all other tests, on the same stack.

use std::fs;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use local::Stack;
use local::logs::lines_of;
use local::sign_in::client_secret;

use crate::support::{machine_token, secrets_file};

/// Returns every log of the run: its name and its text.
async fn logs(stack: &Stack, client: &Client) -> Vec<(String, String)> {
    let mut logs = Vec::new();
    let files = [fs::read_dir(stack.scratch().unwrap()).unwrap(), fs::read_dir("../target/fuzz").unwrap()];
    for path in files.into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(logs.len() > 1, "the emulator and schemathesis have logs");
    let pages = client.describe_log_groups().into_paginator().items().send();
    for group in pages.collect::<Result<Vec<_>, _>>().await.unwrap() {
        let name = group.log_group_name.unwrap();
        let lines = lines_of(client, &name).await.unwrap();
        logs.push((name, lines.join("\n")));
    }
    logs
}

/// Returns the names of the logs that contain one of the secrets or anything that looks like a token.
fn leaks<'a>(logs: &'a [(String, String)], secrets: &[String]) -> Vec<&'a str> {
    let has_token = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).any(is_token);
    let is_leak = |text: &str| has_token(text) || secrets.iter().any(|secret| text.contains(secret));
    logs.iter().filter(|(_, text)| is_leak(text)).map(|(name, _)| name.as_str()).collect()
}

fn is_token(word: &str) -> bool {
    // A JWT begins with a JSON object in base64, so with these letters (RFC 7519).
    word.starts_with("eyJ") && word.split('.').count() == 3
}

#[tokio::test]
async fn no_log_contains_a_token_a_password_or_a_secret() {
    let stack = Stack::from_environment().unwrap();
    let client = Client::new(&stack.sdk_config().await);
    let mut secrets: Vec<String> = fs::read_to_string(secrets_file()).unwrap().lines().map(str::to_owned).collect();
    assert!(secrets.len() > 50, "the other tests have run on this stack");
    secrets.push(client_secret(&stack, &stack.machine_client_id).await.unwrap());
    let before = logs(&stack, &client).await;
    let (_, functions) = before.iter().find(|(name, _)| *name == stack.function_logs).unwrap();
    assert!(functions.lines().count() > 1000, "the functions have logged");
    assert_eq!(leaks(&before, &secrets), [""; 0]);

    // Planted secrets are found: a token in the functions' log, and a password in a file beside the emulator's log.
    let token = machine_token(&stack, None).await;
    let group = &stack.function_logs;
    let stream = "planted";
    client.create_log_stream().log_group_name(group).log_stream_name(stream).send().await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let event = InputLogEvent::builder()
        .timestamp(now.try_into().unwrap())
        .message(format!(r#"{{"authorization":"Bearer {token}"}}"#))
        .build()
        .unwrap();
    let put = client.put_log_events().log_group_name(group).log_stream_name(stream).log_events(event);
    put.send().await.unwrap();
    let password = secrets.iter().find(|secret| secret.starts_with("Order-")).unwrap();
    let file = stack.scratch().unwrap().join("planted.log");
    fs::write(&file, format!("signed in with {password}\n")).unwrap();
    let after = logs(&stack, &client).await;
    let mut found = leaks(&after, &secrets);
    found.sort_unstable();
    let mut planted = [group.as_str(), file.to_str().unwrap()];
    planted.sort_unstable();
    assert_eq!(found, planted);
    fs::remove_file(file).unwrap();
}
