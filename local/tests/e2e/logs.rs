//! The logs of the whole run. `make e2e` runs this after all other tests, on the same stack.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use local::Stack;
use local::logs::lines_of;
use local::sign_in::client_secret;
use serde_json::Value;

use crate::support::{PERSONAL, machine_token, secrets_file};

/// Returns every log of the run, with those of these groups: its name and its text.
fn logs(stack: &Stack, groups: &[(String, Vec<String>)]) -> Vec<(String, String)> {
    let mut logs = Vec::new();
    let files = [fs::read_dir(stack.scratch().unwrap()).unwrap(), fs::read_dir("../target/fuzz").unwrap()];
    for path in files.into_iter().flatten().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(logs.len() > 1, "the emulator and schemathesis have logs");
    logs.extend(groups.iter().map(|(name, lines)| (name.clone(), lines.join("\n"))));
    logs
}

/// Returns every log group of the run: its name and its lines.
async fn groups(client: &Client) -> Vec<(String, Vec<String>)> {
    let mut groups = Vec::new();
    let pages = client.describe_log_groups().into_paginator().items().send();
    for group in pages.collect::<Result<Vec<_>, _>>().await.unwrap() {
        let name = group.log_group_name.unwrap();
        let lines = lines_of(client, &name).await.unwrap();
        groups.push((name, lines));
    }
    groups
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

/// Returns the lines of log groups that have something personal: a value that a client has sent, an e-mail address, an
/// order, or the header with a token. `values` are what the tests have sent. Ids may be logged.
fn personal<'a>(groups: &'a [(String, Vec<String>)], values: &BTreeSet<String>) -> Vec<&'a str> {
    let has_value = |line: &str| values.iter().any(|value| line.contains(value));
    let has_address = |line: &str| line.split(|c: char| !c.is_alphanumeric() && !"._%+-@".contains(c)).any(is_address);
    // A line is JSON itself, so JSON in it has escaped quotes.
    let has_field = |line: &str| {
        ["quantity\":", "quantity\\\":", "restaurant_id\":", "restaurant_id\\\":"]
            .iter()
            .any(|field| line.contains(field))
    };
    // As a field, because SNS refuses a call with the code `AuthorizationError`.
    let has_header = |line: &str| {
        let line = line.to_ascii_lowercase();
        ["authorization\":", "authorization\\\":", "authorization: "].iter().any(|field| line.contains(field))
    };
    let is_personal = |line: &str| has_value(line) || has_address(line) || has_field(line) || has_header(line);
    groups.iter().flat_map(|(_, lines)| lines).map(String::as_str).filter(|line| is_personal(line)).collect()
}

fn is_address(word: &str) -> bool {
    word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.trim_end_matches('.').contains('.'))
}

#[tokio::test]
async fn no_log_contains_a_token_a_password_a_secret_or_anything_personal() {
    let stack = Stack::from_environment().unwrap();
    let client = Client::new(&stack.sdk_config().await);
    let mut secrets: Vec<String> = fs::read_to_string(secrets_file()).unwrap().lines().map(str::to_owned).collect();
    assert!(secrets.len() > 50, "the other tests have run on this stack");
    secrets.push(client_secret(&stack, &stack.machine_client_id).await.unwrap());
    let groups_before = groups(&client).await;
    let before = logs(&stack, &groups_before);
    let (_, functions) = before.iter().find(|(name, _)| *name == stack.function_logs).unwrap();
    assert!(functions.lines().count() > 1000, "the functions have logged");
    assert_eq!(leaks(&before, &secrets), [""; 0]);
    let values = fs::read_to_string(stack.scratch().unwrap().join(PERSONAL)).unwrap();
    let values: BTreeSet<String> = values.lines().map(str::to_owned).collect();
    let address = values.iter().find(|value| is_address(value)).expect("people have signed in");
    let restaurant = "Restaurant 3";
    assert!(values.contains(restaurant) && values.len() > 20, "the other tests have run on this stack: {values:?}");
    assert_eq!(personal(&groups_before, &values), [""; 0]);

    // Planted secrets are found: a token in the functions' log, and a password in a file beside the emulator's log.
    let token = machine_token(&stack, None).await;
    let group = &stack.function_logs;
    let stream = "planted";
    client.create_log_stream().log_group_name(group).log_stream_name(stream).send().await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let planted = [
        format!(r#"{{"authorization":"Bearer {token}"}}"#),
        format!(r#"{{"message":"signed in: {address}"}}"#),
        r#"{"message":"signed in: somebody.else@example.org."}"#.to_owned(),
        format!(r#"{{"message":"sent to {restaurant}"}}"#),
        r#"{"body":"{\"restaurant_id\":\"R\",\"quantity\":1}"}"#.to_owned(),
        r#"{"order":{"quantity":"1"}}"#.to_owned(),
    ];
    let events = planted
        .iter()
        .map(|message| InputLogEvent::builder().timestamp(now.try_into().unwrap()).message(message).build().unwrap());
    let put = client.put_log_events().log_group_name(group).log_stream_name(stream);
    put.set_log_events(Some(events.collect())).send().await.unwrap();
    let groups_after = groups(&client).await;
    let found: BTreeSet<_> = personal(&groups_after, &values).into_iter().map(str::to_owned).collect();
    assert_eq!(found, planted.into());
    let password = secrets.iter().find(|secret| secret.starts_with("Order-")).unwrap();
    let file = stack.scratch().unwrap().join("planted.log");
    fs::write(&file, format!("signed in with {password}\n")).unwrap();
    let after = logs(&stack, &groups_after);
    let mut found = leaks(&after, &secrets);
    found.sort_unstable();
    let mut leaking = [group.as_str(), file.to_str().unwrap()];
    leaking.sort_unstable();
    assert_eq!(found, leaking);
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn each_request_step_and_message_names_its_calls_and_their_time() {
    let stack = Stack::from_environment().unwrap();
    let client = Client::new(&stack.sdk_config().await);
    // Those of other tests' stacks, too.
    let functions = groups(&client).await.into_iter().filter(|(name, _)| name.ends_with("/functions"));
    let lines = functions.flat_map(|(_, lines)| lines).filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let ends: Vec<_> = lines.filter(|line| line["duration_ms"].is_number()).collect();
    for line in &ends {
        let number = |field: &str| line[field].as_f64().unwrap_or_else(|| panic!("{field} in {line}"));
        assert_eq!(number("aws_calls") > 0.0, number("aws_ms") > 0.0, "{line}");
        assert_eq!(number("provider_calls") > 0.0, number("provider_ms") > 0.0, "{line}");
        // The sweep alone makes calls at the same time.
        let is_sum = line["function"] != "sweep-orders";
        assert!(!is_sum || number("aws_ms") + number("provider_ms") <= number("duration_ms") + 0.1, "{line}");
    }
    // An attempt more or less is no mistake, so these are the most frequent numbers: calls of AWS and of providers.
    let usual = |is_meant: &dyn Fn(&Value) -> bool| {
        let mut counts = BTreeMap::new();
        for line in ends.iter().filter(|line| is_meant(line)) {
            let calls = ["aws_calls", "provider_calls"].map(|field| line[field].as_u64().unwrap());
            *counts.entry(calls).or_insert(0) += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(calls, _)| calls)
    };
    assert_eq!(usual(&|line| line["route"] == "PUT /orders" && line["status"] == 201), Some([1, 0]));
    // The simulators of some stacks need no call.
    let has_called = |line: &Value| line["function"] == "process-payment" && line["provider_calls"] != 0;
    assert_eq!(usual(&|line| has_called(line) && line["message"] == "done"), Some([3, 1]));
}
