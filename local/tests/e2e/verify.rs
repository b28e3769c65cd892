//! Work with a deployed stack by its name, with the emulator in the place of AWS.

use local::Stack;
use tokio::process::Command;

use crate::dev::{in_a_terminal, program};
use crate::support::{Api, on_the_emulator, remember};

/// Returns what a command prints, and whether it has succeeded.
async fn printed(command: &mut Command) -> (String, bool) {
    let ran = command.output().await.unwrap();
    let printed = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
    (printed.trim().to_owned(), ran.status.success())
}

/// Runs these tests on the stack, and returns the report and whether they passed.
async fn verify(stack: &Stack, tests: &[&str]) -> (String, bool) {
    let mut python = in_a_terminal(".tools/aws/bin/python");
    on_the_emulator(&mut python, stack).current_dir("..");
    python.args(["tools/verify.py", "--config-env", "local", "--stack", &stack.name]);
    for test in tests {
        python.args(["--only", test]);
    }
    let (printed, passed) = printed(&mut python).await;
    let (_, report) = printed.rsplit_once(": see ").unwrap_or_else(|| panic!("{printed}"));
    (std::fs::read_to_string(format!("../{report}")).unwrap(), passed)
}

#[tokio::test]
async fn a_stack_is_verified_and_a_report_tells_the_result() {
    let stack = Stack::from_environment().unwrap();
    let tests = ["auth::idempotency_keys_of_different_callers", "simulated::a_repeated_submission"];
    let (report, passed) = verify(&stack, &tests).await;
    assert!(passed, "{report}");
    for line in [
        format!("# Verification of {}", stack.name),
        "| result | passed |".to_owned(),
        "| place | the emulator, not AWS |".to_owned(),
        format!("| {} | 1 | 0 |", tests[0]),
        format!("| {} | 1 | 0 |", tests[1]),
        "Nothing but logs".to_owned(),
    ] {
        assert!(report.contains(&line), "{line} in {report}");
    }

    let (report, passed) = verify(&stack, &["api::no_such_test"]).await;
    assert!(!passed && report.contains("| result | failed |"), "{report}");
    assert!(report.contains("### api::no_such_test"), "{report}");
}

#[tokio::test]
async fn a_stack_has_its_url_and_its_tokens_by_its_name() {
    let api = Api::new().await;
    let of_stack = |verb| {
        let mut command = Command::new(program());
        command.args([verb, "--config-env", "local", "--stack", &api.stack.name]);
        on_the_emulator(&mut command, &api.stack);
        command
    };
    assert_eq!(printed(&mut of_stack("url")).await, (api.stack.api_url.clone(), true));
    let (token, _) = printed(&mut of_stack("token")).await;
    api.with_token(remember(token)).get("/orders?limit=1").await.is(200);
    // What the tests are handed is what `local run` hands them.
    let stack = (api.stack.to_environment().unwrap().1, true);
    assert_eq!(printed(&mut of_stack("stack")).await, stack);

    let mut missing = Command::new(program());
    missing.args(["url", "--config-env", "local", "--stack", "order-api-nobody"]);
    let (error, succeeded) = printed(on_the_emulator(&mut missing, &api.stack)).await;
    let said =
        "error: the stack order-api-nobody can't be read in eu-west-1: is it deployed, and are AWS credentials set?";
    assert!(!succeeded && error.starts_with(said), "{error}");
}
