//! Rounds of measurements: each starts every function anew, one after the other, so that what else the machine does meets
//! all of them alike.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::aws::Aws;
use crate::callgrind;
use crate::function::{Function, Subject};
use crate::share::Share;
use crate::statistics::{Summary, quantile};

/// Calls after the first one, in each round.
const WARM_CALLS: u32 = 200;

/// Warm calls whose instructions are counted.
const COUNTED_CALLS: u32 = 20;

/// A quantity that is measured, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Figure {
    /// From the start to the first request for an event, in milliseconds.
    Init,
    /// The first call, in milliseconds.
    First,
    /// Both of them.
    InitAndFirst,
    /// The first call with Lambda's share for 512 MB.
    FirstAt512,
    /// The first call with Lambda's share for 256 MB.
    FirstAt256,
    /// The first call with Lambda's share for 128 MB.
    FirstAt128,
    /// Median of the warm calls, in microseconds.
    WarmP50,
    /// The slowest of a hundred warm calls, in microseconds.
    WarmP99,
    /// Processor time of a warm call, in microseconds.
    WarmCpu,
    /// Instructions of the start and the first call, in millions.
    StartInstructions,
    /// Instructions of a warm call, in millions.
    WarmInstructions,
    /// Peak of the memory, in MB.
    Rss,
    /// Size of the bootstrap for this machine, in MB.
    Bootstrap,
    /// Its size after `gzip -9`, which is that of its zip.
    Gzip,
    /// Size of the bootstrap for arm64.
    Arm64Bootstrap,
    /// Size of its zip.
    Arm64Zip,
}

impl Figure {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 16] = [
        Self::Init,
        Self::First,
        Self::InitAndFirst,
        Self::FirstAt512,
        Self::FirstAt256,
        Self::FirstAt128,
        Self::WarmP50,
        Self::WarmP99,
        Self::WarmCpu,
        Self::StartInstructions,
        Self::WarmInstructions,
        Self::Rss,
        Self::Bootstrap,
        Self::Gzip,
        Self::Arm64Bootstrap,
        Self::Arm64Zip,
    ];

    /// Its name and its unit.
    pub fn label(self) -> &'static str {
        match self {
            Self::Init => "init, ms",
            Self::First => "first call, ms",
            Self::InitAndFirst => "init + first call, ms",
            Self::FirstAt512 => "first call at the 512 MB share, ms",
            Self::FirstAt256 => "first call at the 256 MB share, ms",
            Self::FirstAt128 => "first call at the 128 MB share, ms",
            Self::WarmP50 => "warm call, p50, us",
            Self::WarmP99 => "warm call, p99, us",
            Self::WarmCpu => "CPU of a warm call, us",
            Self::StartInstructions => "instructions, init + first call, M",
            Self::WarmInstructions => "instructions, warm call, M",
            Self::Rss => "peak RSS, MB",
            Self::Bootstrap => "bootstrap, MB",
            Self::Gzip => "bootstrap gzipped, MB",
            Self::Arm64Bootstrap => "arm64 bootstrap, MB",
            Self::Arm64Zip => "arm64 zip, MB",
        }
    }
}

/// Shares of a processor, by the memory for which Lambda gives them.
const SHARES: [(u64, Figure); 3] = [(512, Figure::FirstAt512), (256, Figure::FirstAt256), (128, Figure::FirstAt128)];

/// What was measured of one subject.
#[derive(Debug, Default)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Requests to AWS that its first call makes.
    pub requests: u32,
    values: BTreeMap<Figure, Vec<f64>>,
}

impl Measured {
    /// Adds the value of a round.
    pub fn add(&mut self, figure: Figure, value: f64) {
        self.values.entry(figure).or_default().push(value);
    }

    /// Median and spread; none if it was not measured.
    pub fn summary(&self, figure: Figure) -> Option<Summary> {
        Summary::of(self.values.get(&figure)?)
    }

    /// Median and spread of the ratios to another subject, round by round.
    pub fn ratio(&self, figure: Figure, to: &Self) -> Option<Summary> {
        let (own, other) = (self.values.get(&figure)?, to.values.get(&figure)?);
        Summary::of(&own.iter().zip(other).map(|(own, other)| own / other).collect::<Vec<_>>())
    }
}

/// Measures the subjects. Says what can't be measured here, and leaves it out.
pub async fn measure(subjects: &[Subject], aws: &Aws, rounds: u16) -> anyhow::Result<Vec<Measured>> {
    let mut measured: Vec<_> =
        subjects.iter().map(|subject| Measured { name: subject.name.clone(), ..Measured::default() }).collect();
    let mut shares = Vec::new();
    for (memory_mb, figure) in SHARES {
        match Share::of(memory_mb) {
            Ok(share) => shares.push((share, figure)),
            Err(error) => eprintln!("not measured: the share of {memory_mb} MB: {error:#}"),
        }
    }
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            let context = || subject.name.clone();
            run(subject, aws, measured).await.with_context(context)?;
            for (share, figure) in &shares {
                let first = first_call_within(share, subject, aws).await.with_context(context)?;
                measured.add(*figure, ms(first));
            }
        }
    }
    for (subject, measured) in subjects.iter().zip(&mut measured) {
        sizes(subject, measured)?;
    }
    match callgrind::check().await {
        Ok(()) => {
            for (subject, measured) in subjects.iter().zip(&mut measured) {
                eprintln!("instructions of {}", subject.name);
                let counted = callgrind::start_and_warm(subject, aws, COUNTED_CALLS).await;
                let (start, warm) = counted.with_context(|| subject.name.clone())?;
                measured.add(Figure::StartInstructions, start / 1e6);
                measured.add(Figure::WarmInstructions, warm / 1e6);
            }
        }
        Err(error) => eprintln!("not measured: instructions: {error}"),
    }
    Ok(measured)
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Microseconds.
pub fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A start, a first call and warm calls with the whole machine.
async fn run(subject: &Subject, aws: &Aws, measured: &mut Measured) -> anyhow::Result<()> {
    let mut function = Function::start(subject, aws, &[]).await?;
    let requests = aws.requests();
    let (_, first) = function.call(&subject.event).await?;
    measured.requests = aws.requests() - requests;
    let mut warm = Vec::new();
    let before = function.cpu()?;
    for _ in 0..WARM_CALLS {
        warm.push(us(function.call(&subject.event).await?.1));
    }
    let cpu = function.cpu()?.saturating_sub(before);
    measured.add(Figure::Init, ms(function.init));
    measured.add(Figure::First, ms(first));
    measured.add(Figure::InitAndFirst, ms(function.init + first));
    measured.add(Figure::WarmP50, quantile(&warm, 0.5).unwrap_or_default());
    measured.add(Figure::WarmP99, quantile(&warm, 0.99).unwrap_or_default());
    measured.add(Figure::WarmCpu, us(cpu / WARM_CALLS));
    measured.add(Figure::Rss, mb(function.peak_rss()? * 1024));
    function.stop().await
}

/// The first call with a share of a processor. The init phase has a whole one, as Lambda gives it.
async fn first_call_within(share: &Share, subject: &Subject, aws: &Aws) -> anyhow::Result<Duration> {
    let mut function = Function::start(subject, aws, &share.wrapper()?).await?;
    share.limit()?;
    let (_, first) = function.call(&subject.event).await?;
    function.stop().await?;
    Ok(first)
}

fn mb(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52")]
    let bytes = bytes as f64;
    bytes / 1e6
}

fn sizes(subject: &Subject, measured: &mut Measured) -> anyhow::Result<()> {
    measured.add(Figure::Bootstrap, mb(fs::metadata(&subject.bootstrap)?.len()));
    measured.add(Figure::Gzip, mb(gzipped(&subject.bootstrap)?));
    let zip = Path::new("target/lambda").join(&subject.name).join("bootstrap.zip");
    if let Ok(zip) = fs::read(&zip) {
        measured.add(Figure::Arm64Zip, mb(u64::try_from(zip.len())?));
        measured.add(Figure::Arm64Bootstrap, mb(unzipped(&zip).with_context(|| measured.name.clone())?));
    }
    Ok(())
}

fn gzipped(path: &Path) -> anyhow::Result<u64> {
    let gzip = Command::new("gzip").args(["-9", "-c"]).arg(path).stderr(Stdio::inherit()).output().context("gzip")?;
    ensure!(gzip.status.success(), "gzip failed");
    Ok(gzip.stdout.len().try_into()?)
}

/// Size of the one file in a zip, from the head of the file's entry.
fn unzipped(zip: &[u8]) -> anyhow::Result<u64> {
    let size = zip.get(22..26).filter(|_| zip.starts_with(b"PK\x03\x04")).context("not a zip")?;
    Ok(u32::from_le_bytes(size.try_into()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_the_values_of_the_same_round() {
        let [mut floor, mut function] = [Measured::default(), Measured::default()];
        for (low, high) in [(1.0, 3.0), (10.0, 30.0), (2.0, 6.0)] {
            floor.add(Figure::First, low);
            function.add(Figure::First, high);
        }
        let ratio = function.ratio(Figure::First, &floor).unwrap();
        assert_eq!(ratio, Summary { median: 3.0, low: 3.0, high: 3.0 });
        assert_eq!(function.ratio(Figure::Init, &floor), None);
    }

    #[test]
    fn the_head_of_a_zip_has_the_size_of_its_file() {
        let mut zip = b"PK\x03\x04".to_vec();
        zip.resize(22, 0);
        zip.extend(9_420_000_u32.to_le_bytes());
        assert_eq!(unzipped(&zip).unwrap(), 9_420_000);
        assert!(unzipped(b"bootstrap").is_err());
    }
}
