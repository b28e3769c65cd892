//! The command `local`, which `make dev`, `make watch`, `make e2e` and others run.

use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::{Args, Parser, Subcommand};
use local::sign_in::{self, Person};
use local::{
    Emulator, Reach, STACK, Server, Settings, Stack, StackFile, WEB_ORIGIN, command_for, deploy, follow, free_port,
    logs, region, sample_event, samples, status, without_proxy,
};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Runs the whole system on this machine")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the system with sample orders until Ctrl-C and shows the functions' logs
    Dev {
        /// Port of the emulator
        #[arg(long, default_value_t = 4566)]
        port: u16,
        /// Port of the web UI
        #[arg(long, default_value_t = 5173)]
        web_port: u16,
    },
    /// Serves the API by `cargo lambda watch`, which recompiles after an edit, with sample orders
    Watch {
        /// Port of the API
        #[arg(long, default_value_t = 9000)]
        port: u16,
    },
    /// Serves the API by `sam local start-api`, in containers, with sample orders
    StartApi {
        /// Port of the API
        #[arg(long, default_value_t = 3000)]
        port: u16,
    },
    /// Prints the URL of the API of a running system
    Url {
        #[command(flatten)]
        system: System,
    },
    /// Prints an access token for the API, a machine's or a person's
    Token {
        #[command(flatten)]
        system: System,
        /// Scopes of the token, separated by spaces; by default, all that are allowed
        #[arg(long)]
        scope: Option<String>,
        /// E-mail address of a person
        #[arg(long, requires = "password")]
        person: Option<String>,
        /// Password of that person
        #[arg(long, requires = "person")]
        password: Option<String>,
    },
    /// Prints the state of a running system on one screen; exits with 0 even if something needs attention
    Status {
        #[command(flatten)]
        system: System,
    },
    /// Prints everything that happened to an order, in the order of time, and what is charged, refunded and owed
    Follow {
        #[command(flatten)]
        system: System,
        /// Id of the order, or its `Location`: `orders/{user}/order/{id}`
        #[arg(long)]
        order: String,
    },
    /// Prints a running system as the tests read it from the variable `ORDER_API_STACK`
    Stack {
        #[command(flatten)]
        system: System,
    },
    /// Calls a function with an event, in the system of the enclosing `run` or of `dev`, or else in a fresh one
    Invoke {
        /// Name of the function, as in `functions/`
        function: String,
        /// File with the event; by default, the function's sample in `events/`
        #[arg(long)]
        event: Option<PathBuf>,
        /// Port of the emulator that `dev` has started
        #[arg(long, default_value_t = 4566)]
        port: u16,
    },
    /// Runs a command with a fresh system on a free port; the command's environment describes the system
    Run {
        /// Deploy nothing: the command gets an empty emulator, to which its environment leads every AWS client
        #[arg(long)]
        empty: bool,
        /// Enforce the policies of the functions: refuse calls that they do not allow, and record all calls
        #[arg(long, conflicts_with = "empty")]
        iam: bool,
        /// Limit of concurrent function calls; calls beyond it are throttled
        #[arg(long, default_value_t = Emulator::CONCURRENCY)]
        concurrency: u16,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
}

/// A running system; by default, that of the enclosing `run`.
#[derive(Args)]
struct System {
    /// Port of the emulator that `dev` has started
    #[arg(long)]
    port: Option<u16>,
    /// Name of a deployed stack; read with the AWS credentials of the environment
    #[arg(long, conflicts_with = "port", requires = "config_env")]
    stack: Option<String>,
    /// Environment of samconfig.toml with the region of that stack
    #[arg(long)]
    config_env: Option<String>,
}

impl System {
    async fn find(self) -> anyhow::Result<Stack> {
        match (self.port, self.stack.zip(self.config_env)) {
            (Some(port), _) => Stack::running(port),
            (None, Some((name, env))) => Stack::deployed(&name, &region(&env)?).await,
            (None, None) => Stack::from_environment(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let work = async {
        match Arguments::parse().verb {
            Verb::Dev { port, web_port } => dev(port, web_port).await,
            Verb::Watch { port } => watch(port).await,
            Verb::StartApi { port } => start_api(port).await,
            Verb::Url { system } => Ok(shown(&system.find().await?.api_url)),
            Verb::Token { system, scope, person, password } => {
                let person = person.zip(password).map(|(email, password)| Person { email, password });
                token(&system.find().await?, scope.as_deref(), person).await
            }
            Verb::Status { system } => Ok(shown(&status::status(&system.find().await?).await?)),
            Verb::Follow { system, order } => Ok(shown(&follow::follow(&system.find().await?, &order).await?)),
            Verb::Stack { system } => Ok(shown(&system.find().await?.to_environment()?.1)),
            Verb::Invoke { function, event, port } => invoke(&function, event, port).await,
            Verb::Run { empty: true, concurrency, command, .. } => run_empty(concurrency, &command).await,
            Verb::Run { empty: false, iam, concurrency, command } => run(iam, concurrency, &command).await,
        }
    };
    // A signal drops the work and, with it, the emulator. So does the end of `make`, which has started this process.
    let result = tokio::select! {
        result = work => result,
        () = interrupted() => {
            println!("\nStopped.");
            Ok(ExitCode::SUCCESS)
        }
        () = orphaned() => Err(anyhow!("stopped, because the process that started this one has ended")),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn interrupted() {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| signal(kind).unwrap_or_else(|error| panic!("can't handle signals: {error}")));
    let [interrupt, terminate, hangup] = &mut signals;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Returns when the process that started this one has ended: its children then have another parent.
async fn orphaned() {
    let parent = parent_id();
    while parent_id() == parent {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn dev(port: u16, web_port: u16) -> anyhow::Result<ExitCode> {
    free_port(Some(port))?;
    free_port(Some(web_port))?;
    let (_emulator, stack) = start_with_samples(Some(port), Reach::Processes, Some(web_port)).await?;
    let people = step("Creating users", async {
        let mut people = Vec::new();
        for (email, admin) in [("ann@example.com", false), ("bob@example.com", false), ("admin@example.com", true)] {
            people.push(sign_in::add_person(&stack, email, admin).await?);
        }
        Ok(people)
    })
    .await?;
    let mut web = step("Starting the web UI", Server::web(&stack, web_port)).await?;
    let token = sign_in::machine_token(&stack, None).await?;
    // Here the web UI is served from the sources.
    let web_url = format!("http://localhost:{web_port}");
    let _file = StackFile::write(port, &Stack { web_url: web_url.clone(), ..stack.clone() })?;

    let (api, table) = (&stack.api_url, &stack.orders_table);
    let people: Vec<_> = people.iter().map(|person| format!("  {:18} {}", person.email, person.password)).collect();
    let people = people.join("\n");
    println!(
        r#"
Order API is running. Ctrl-C stops it and deletes its data.

  Web UI     {web_url}
  API        {api}
  Table      {table}, at {endpoint}

Users who can sign in to the web UI, with passwords created for this run:

{people}

Try these in another terminal, as an admin machine (the token is valid for an hour; `make token` prints a new one):

  curl -s '{api}/orders?limit=3' -H 'Authorization: Bearer {token}'

  curl -s -X POST '{api}/orders' -H "Authorization: Bearer $(make token PORT={port})" -H 'Content-Type: application/json' -d '{{"user_id":"Burger_2","quantity":"3","restaurant_id":"Restaurant 3"}}'

Logs of the functions. Another order is being submitted, so you can follow it:
"#,
        endpoint = stack.emulator()?,
    );
    samples::submit(&stack, &token).await?;
    tokio::select! {
        result = logs::follow(&stack) => result?,
        result = web.wait() => result?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

async fn token(stack: &Stack, scope: Option<&str>, person: Option<Person>) -> anyhow::Result<ExitCode> {
    let token = match person {
        None => sign_in::machine_token(stack, scope).await?,
        Some(person) => sign_in::person_tokens(stack, &person, scope).await?.access_token,
    };
    Ok(shown(&token))
}

/// Prints the function's answer alone to the standard output, so that other programs can read it.
async fn invoke(function: &str, event: Option<PathBuf>, port: u16) -> anyhow::Result<ExitCode> {
    let event = event.map_or_else(|| sample_event(function), Ok)?;
    let text = std::fs::read(&event).with_context(|| format!("can't read the event {}", event.display()))?;
    let event = serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", event.display()))?;
    let running = Stack::from_environment().or_else(|_| {
        let announce = |_: &Stack| eprintln!("Using the system on port {port}, with the code it was started with");
        Stack::running(port).inspect(announce)
    });
    let answer = if let Ok(stack) = running {
        local::invoke::invoke(&stack, function, &event).await?
    } else {
        let (_emulator, stack) = start_with_samples(None, Reach::Processes, None).await?;
        local::invoke::invoke(&stack, function, &event).await?
    };
    println!("{:#}", answer.payload);
    ensure!(!answer.failed, "{function} failed with this event");
    Ok(ExitCode::SUCCESS)
}

async fn watch(port: u16) -> anyhow::Result<ExitCode> {
    free_port(Some(port))?;
    let (_emulator, stack) = start_with_samples(None, Reach::Processes, None).await?;
    let mut server = Server::watch(&stack, port)?;
    println!(
        r"
The API is served from the sources. Ctrl-C stops it and deletes its data. The first request to a function compiles it.

  curl -s 'http://localhost:{port}/orders?limit=3'

  .tools/aws/bin/cargo-lambda lambda invoke get-orders --invoke-address 127.0.0.1 --invoke-port {port} --data-file events/get-orders.json
"
    );
    server.wait().await?;
    Ok(ExitCode::SUCCESS)
}

async fn start_api(port: u16) -> anyhow::Result<ExitCode> {
    free_port(Some(port))?;
    let (_emulator, stack) = start_with_samples(None, Reach::Containers, None).await?;
    let mut server = Server::start_api(&stack, port)?;
    println!(
        r"
The API is served by sam local. Ctrl-C stops it and deletes its data. Until then, everybody in this machine's network can
reach the emulator, which checks no credentials: the containers need that access. SAM gives every request the same
request_id.

  curl -s 'http://localhost:{port}/orders?limit=3'
"
    );
    server.wait().await?;
    Ok(ExitCode::SUCCESS)
}

async fn run(iam: bool, concurrency: u16, command: &[String]) -> anyhow::Result<ExitCode> {
    // For the web UI of the tests: `web/e2e/playwright.config.ts` starts its server.
    let web_port = free_port(None)?;
    let settings = Settings { concurrency, iam, ..Settings::default() };
    let (_emulator, stack) = start(None, settings, Some(web_port)).await?;
    let mut program = Command::new(&command[0]);
    program.envs([stack.to_environment()?, ("WEB_PORT", web_port.to_string())]).envs(without_proxy());
    finish(program.args(&command[1..])).await
}

async fn run_empty(concurrency: u16, command: &[String]) -> anyhow::Result<ExitCode> {
    let emulator = start_emulator(None, Settings { concurrency, ..Settings::default() }).await?;
    let mut program = Command::from(command_for(&emulator.endpoint(), Path::new(&command[0])));
    finish(program.args(&command[1..])).await
}

/// Runs a command to its end and returns whether it has succeeded.
async fn finish(command: &mut Command) -> anyhow::Result<ExitCode> {
    let program = command.as_std().get_program().to_owned();
    let running = command.stdin(Stdio::null()).kill_on_drop(true).status();
    let status = running.await.with_context(|| format!("can't start {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start_emulator(port: Option<u16>, settings: Settings) -> anyhow::Result<Emulator> {
    step("Starting the emulator", Emulator::start(port, settings)).await
}

/// Starts the system on this port of the emulator, or on a free one. It runs until the emulator is dropped. Cognito
/// redirects to the web UI on `web_port`, too.
async fn start(port: Option<u16>, settings: Settings, web_port: Option<u16>) -> anyhow::Result<(Emulator, Stack)> {
    let emulator = start_emulator(port, settings).await?;
    let web_ui = web_port.map(|port| format!(",http://localhost:{port}/")).unwrap_or_default();
    let urls = ["CallbackUrls", "LogoutUrls"].map(|name| format!("{name}={WEB_ORIGIN}/{web_ui}"));
    let (endpoint, urls) = (emulator.endpoint(), urls.each_ref().map(String::as_str));
    let stack = step("Deploying template.yaml (sam deploy)", deploy(&endpoint, STACK, &urls)).await?;
    Ok((emulator, stack))
}

async fn start_with_samples(
    port: Option<u16>,
    reach: Reach,
    web_port: Option<u16>,
) -> anyhow::Result<(Emulator, Stack)> {
    let (emulator, stack) = start(port, Settings { reach, ..Settings::default() }, web_port).await?;
    step("Saving sample orders", samples::save(&stack)).await?;
    Ok((emulator, stack))
}

/// Prints a step and the time that it takes, as an error message is printed: it is not what the command was asked for.
async fn step<T>(name: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    eprint!("{name} ... ");
    let started = Instant::now();
    let result = work.await.inspect_err(|_| eprintln!())?;
    eprintln!("{:.1} s", started.elapsed().as_secs_f64());
    Ok(result)
}
