//! The command `bench`, which `make bench` runs: what the start and the calls of a function cost.
//!
//! It serves the Lambda Runtime API and a canned AWS, over TLS, from one thread of this process, so a function waits for
//! nothing but its own work. `docs/performance.md` has the method.

mod aws;
mod callgrind;
mod function;
mod growth;
mod load;
mod measure;
mod memory;
mod processors;
mod reach;
mod report;
mod runtime_api;
mod share;
mod statistics;
mod subjects;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::aws::Aws;
use crate::function::Subject;
use crate::reach::{Baseline, Must};
use crate::subjects::{FLOOR, MAIN, Samples};

/// Files of the run: logs of the functions, the bundle of certificates.
const FOLDER: &str = "target/bench";

/// The result for programs.
const RESULT: &str = "target/bench.json";

/// The functions as they were before they were made faster.
const BASELINE: &str = "bench/baseline.json";

#[derive(Parser)]
#[command(about = "Measures the start and the calls of functions; fails if our own miss what they must reach")]
struct Arguments {
    /// Measure only this function of ours; repeatable
    #[arg(long)]
    only: Vec<String>,
    /// Measure this bootstrap, ours or a peer's, instead of our functions; repeatable
    #[arg(long, requires = "event")]
    bootstrap: Vec<PathBuf>,
    /// File with the event of the bootstraps; repeatable: one for each
    #[arg(long, requires = "bootstrap")]
    event: Vec<PathBuf>,
    /// Environment variable for the bootstraps, NAME=VALUE; repeatable
    #[arg(long, requires = "bootstrap", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Number of rounds
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u16).range(9..))]
    rounds: u16,
    /// Measure only the calls a second of the API's functions, or of those that are named, in 1 to 64 processes
    #[arg(long, conflicts_with_all = ["bootstrap", "rounds", "write_baseline"])]
    load: bool,
    /// Write the baseline with which later runs compare
    #[arg(long, conflicts_with_all = ["bootstrap", "only"])]
    write_baseline: bool,
}

fn variable(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').context("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

// One thread, so that one processor is left to the function.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // A signal drops the work and, with it, the functions and their shares.
    let result = tokio::select! {
        result = run(Arguments::parse()) => result,
        () = stopped() => Err(anyhow!("stopped")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn stopped() {
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = signals else { return };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Makes the subjects use copies of their bootstraps. A file that the linker has written can start a tenth slower than its
/// copy, because the kernel caches its pages otherwise.
fn copy(subjects: &mut [Subject], folder: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder)?;
    for subject in subjects {
        let copy = folder.join(&subject.name);
        fs::copy(&subject.bootstrap, &copy).with_context(|| format!("can't copy {}", subject.bootstrap.display()))?;
        subject.bootstrap = copy;
    }
    Ok(())
}

async fn run(mut arguments: Arguments) -> anyhow::Result<()> {
    if arguments.load && arguments.only.is_empty() {
        arguments.only = load::API.map(str::to_owned).to_vec();
    }
    fs::create_dir_all(FOLDER)?;
    let folder = fs::canonicalize(FOLDER)?;
    let lock = fs::File::create(folder.join("lock"))?;
    lock.try_lock().context("another benchmark runs in this checkout; two would disturb each other")?;
    // The functions are built into the same folder as this program.
    let program = std::env::current_exe()?;
    let builds = program.parent().context("the folder of this program")?;
    let samples = Samples::read()?;
    let mut subjects = if arguments.bootstrap.is_empty() {
        samples.ours(builds, &arguments.only)?
    } else {
        samples.named(builds, &arguments.bootstrap, &arguments.event, &arguments.env)?
    };
    if arguments.bootstrap.is_empty() {
        copy(&mut subjects, &folder.join("bootstraps"))?;
    }
    let aws = Aws::start(samples.order("recorded")?, &folder.join("bundle.pem")).await?;

    // Before this thread is kept to one processor: it would then count no other.
    let heading = report::heading();
    if arguments.load {
        let loaded = load::measure(&subjects, &aws).await?;
        println!("{heading}\n\n{}", report::load(&loaded));
        return Ok(());
    }

    if let Err(error) = processors::separate() {
        eprintln!("the functions have no processor of their own, so their times are too long: {error:#}");
    }
    let measured = measure::measure(&subjects, &aws, arguments.rounds).await?;
    let growth = match subjects.iter().find(|subject| subject.name == MAIN) {
        Some(subject) => Some(growth::measure(subject, &aws).await?),
        None => None,
    };
    let sizes = match subjects.iter().find(|subject| subject.name == MAIN) {
        Some(subject) => memory::measure(subject, &aws).await?,
        None => Vec::new(),
    };
    let musts = if arguments.bootstrap.is_empty() {
        reach::musts(&measured, growth.as_ref(), &read_baseline()?)
    } else {
        Vec::new()
    };

    println!("{heading}, {} rounds: median (quartiles)\n", arguments.rounds);
    let [floor, others @ ..] = measured.as_slice() else { bail!("nothing was measured") };
    let is_detailed = |name: &str| !arguments.bootstrap.is_empty() || [FLOOR, MAIN].contains(&name);
    let detailed: Vec<_> = measured.iter().filter(|one| is_detailed(&one.name)).collect();
    println!("{}", report::figures(&detailed));
    if arguments.bootstrap.is_empty() {
        println!("{}", report::functions(others, floor));
    }
    if let Some(growth) = &growth {
        println!("{}", report::growth(growth));
    }
    if !sizes.is_empty() {
        println!("{}", report::sizes(&sizes));
    }
    let json = report::json(&heading, &measured, growth.as_ref(), &sizes, &musts);
    fs::write(RESULT, format!("{json:#}\n"))?;
    if arguments.write_baseline {
        let baseline = reach::baseline(&measured).context("not everything was measured")?;
        fs::write(BASELINE, serde_json::to_string_pretty(&baseline)? + "\n")?;
    }
    if musts.is_empty() {
        return Ok(());
    }
    println!("{}", report::musts(&musts));
    let missed: Vec<_> = musts.iter().filter(|must| must.is_missed()).map(|Must { what, .. }| what.as_str()).collect();
    if missed.is_empty() { Ok(()) } else { bail!("missed: {}", missed.join("; ")) }
}

fn read_baseline() -> anyhow::Result<Baseline> {
    let path = Path::new(BASELINE);
    if !path.exists() {
        return Ok(Baseline::new());
    }
    serde_json::from_slice(&fs::read(path)?).with_context(|| format!("can't read {BASELINE}"))
}
