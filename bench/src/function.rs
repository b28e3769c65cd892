//! A function that runs: its calls, and what they cost.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use axum::body::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::aws::{Aws, Content, ORDERS_TABLE};
use crate::processors::of_functions;
use crate::runtime_api::{RuntimeApi, Told};

/// Environment of every function: that of the template, with simulators that refuse nothing.
const ENVIRONMENT: [(&str, &str); 24] = [
    ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "example"),
    ("AWS_SESSION_TOKEN", "example"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_LAMBDA_FUNCTION_NAME", "benchmark"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("CURRENCY", "EUR"),
    ("DEAD_LETTER_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/dead-letters"),
    ("DELIVERY_MINUTES", "120"),
    ("ENVIRONMENT", "dev"),
    ("GRACE_PERIOD_SECONDS", "60"),
    ("IDEMPOTENCY_TABLE", "idempotency"),
    ("LOG_LEVEL", "info"),
    ("ORDERS_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"),
    ("ORDERS_TABLE", ORDERS_TABLE),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("PAYMENT_FAILURES_PERCENT", "0"),
    ("RESTAURANT_FAILURES_PERCENT", "0"),
    ("STATE_MACHINE_ARN", "arn:aws:states:eu-west-1:123456789012:stateMachine:orders"),
    ("TOPIC_ARN", "arn:aws:sns:eu-west-1:123456789012:notifications"),
    ("TZ", ":UTC"),
    ("UNIT_PRICE", "1000"),
    ("WEB_ORIGIN", "https://example.com"),
];

/// What is measured: a bootstrap with an event, and what the table holds before each call.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its name in the tables.
    pub name: String,
    /// The executable.
    pub bootstrap: PathBuf,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// The event of each call.
    pub event: Bytes,
    /// Content of the table.
    pub content: Content,
}

/// A function that has started.
pub struct Function<'a> {
    aws: &'a Aws,
    content: &'a Content,
    child: Child,
    /// Keeps what it prints, until it ends.
    printed: JoinHandle<io::Result<()>>,
    log: PathBuf,
    /// Its process.
    pub pid: u32,
    api: RuntimeApi,
    /// Time from its start until it has asked for the first event.
    pub init: Duration,
}

impl<'a> Function<'a> {
    /// Starts the function and waits until it asks for its first event. `wrapper` is the program that runs it, if any.
    pub async fn start(subject: &'a Subject, aws: &'a Aws, wrapper: &[String]) -> anyhow::Result<Self> {
        aws.fill(&subject.content);
        let api = RuntimeApi::start().await?;
        let log = aws.bundle.with_file_name(format!("{}.log", subject.name.replace('/', "_")));
        let (printed, output) = io::pipe()?;
        let printed = tokio::spawn(keep(Receiver::from_owned_fd(printed.into())?, File::create(&log)?));
        let mut words = wrapper.iter().map(Path::new).chain([subject.bootstrap.as_path()]);
        let mut command = Command::new(words.next().unwrap_or(&subject.bootstrap));
        command
            .args(words)
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(subject.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_ENDPOINT_URL", &aws.endpoint)
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("SSL_CERT_FILE", &aws.bundle)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = of_functions(|| command.spawn())?
            .with_context(|| format!("can't start {}", subject.bootstrap.display()))?;
        let pid = child.id().context("it has ended")?;
        let content = &subject.content;
        // It holds the pipe open.
        drop(command);
        let mut function = Self { aws, content, child, printed, log, pid, api, init: Duration::ZERO };
        let ready = function.ready().await;
        function.init = function.or_ended(ready).await?.duration_since(started);
        Ok(function)
    }

    /// Ends the function if it failed, so that its log is complete.
    async fn or_ended<R>(&mut self, result: anyhow::Result<R>) -> anyhow::Result<R> {
        if result.is_err() {
            // It may have ended already.
            let _ = self.child.start_kill();
            self.child.wait().await?;
            (&mut self.printed).await??;
        }
        result
    }

    async fn told(&mut self) -> anyhow::Result<Told> {
        let told = tokio::select! {
            told = self.api.told() => told,
            status = self.child.wait() => Err(anyhow::anyhow!("the function has ended: {}", status?)),
        };
        match told {
            Ok(Told::Error(error)) => Err(anyhow::anyhow!("the function failed: {}", String::from_utf8_lossy(&error))),
            told => told,
        }
        .with_context(|| format!("see {}", self.log.display()))
    }

    async fn ready(&mut self) -> anyhow::Result<Instant> {
        match self.told().await? {
            Told::Ready(at) => Ok(at),
            _ => bail!("the function has answered twice"),
        }
    }

    /// Calls the function, checks its answer, and waits until it asks for the next event. Returns the answer, and the
    /// time until it came.
    pub async fn call(&mut self, event: &Bytes) -> anyhow::Result<(Value, Duration)> {
        let answer = self.answer(event).await;
        self.or_ended(answer).await
    }

    async fn answer(&mut self, event: &Bytes) -> anyhow::Result<(Value, Duration)> {
        self.aws.fill(self.content);
        let started = Instant::now();
        self.api.send(event.clone())?;
        let Told::Answer(at, answer) = self.told().await? else {
            bail!("the function has asked for an event before it answered")
        };
        self.ready().await?;
        let answer: Value = serde_json::from_slice(&answer).context("the answer is not JSON")?;
        ensure!(!is_failure(&answer), "the function failed: {answer}; see {}", self.log.display());
        Ok((answer, at - started))
    }

    /// Processor time that the function has used, all its threads together.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).context("Linux has the times of a process")?;
        let mut sum = Duration::ZERO;
        for thread in threads {
            let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let on_cpu = stat.split(' ').next().context("no time")?.parse()?;
            sum += Duration::from_nanos(on_cpu);
        }
        Ok(sum)
    }

    /// The most memory that the function has had, in KB.
    pub fn peak_rss(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak of memory")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends the function by a signal that lets valgrind write its profile.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid.try_into()?), Signal::SIGTERM)?;
        self.child.wait().await?;
        Ok(self.printed.await??)
    }
}

/// Keeps what a function prints. It prints to a pipe, as in Lambda: a file would take it several times as long.
async fn keep(mut printed: Receiver, mut log: File) -> io::Result<()> {
    let mut bytes = Vec::new();
    while printed.read_buf(&mut bytes).await? > 0 {
        log.write_all(&bytes)?;
        bytes.clear();
    }
    Ok(())
}

/// Returns true if an answer says that the function did not do its work: a status of an error, a message that stays in
/// its queue, an operator's call that is refused, or an order that a sweep could not recover.
fn is_failure(answer: &Value) -> bool {
    let is_error = answer["statusCode"].as_u64().is_some_and(|status| status >= 400);
    let is_returned = answer["batchItemFailures"].as_array().is_some_and(|failed| !failed.is_empty());
    let has_failed = answer["failed"].as_u64().is_some_and(|failed| failed > 0);
    is_error || is_returned || has_failed || answer.get("error").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_reports_a_failure_is_no_success() {
        for failed in [
            json!({"statusCode": 500, "body": "{}"}),
            json!({"batchItemFailures": [{"itemIdentifier": "1"}]}),
            json!({"error": "no such order"}),
            json!({"recovered": 3, "failed": 1}),
        ] {
            assert!(is_failure(&failed), "{failed}");
        }
        for done in [json!({"statusCode": 200}), json!({"batchItemFailures": []}), json!({"next": "PAY"}), Value::Null]
        {
            assert!(!is_failure(&done), "{done}");
        }
    }
}
