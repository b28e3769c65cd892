//! Memory size against latency and cost: Lambda gives a share of a processor by the memory.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::aws::Aws;
use crate::function::{Function, Subject};
use crate::measure::ms;
use crate::share::Share;
use crate::statistics::quantile;
use crate::subjects::{MAIN, bytes, list_event};

/// Memory sizes. The last one gives a whole processor.
const SIZES: [u64; 5] = [128, 256, 512, 1024, 1769];

/// Orders on a page: the usual list, and the largest page.
const PAGES: [usize; 2] = [25, 1000];

/// Warm calls for each size.
const CALLS: u32 = 50;

/// Time, in milliseconds, that DynamoDB is assumed to take on AWS; here it takes almost none.
const DYNAMODB_MS: f64 = 5.0;

/// Prices of arm64 in `docs/costs.md`: of a million calls, and of a million GB-seconds.
const USD_PER_MILLION_CALLS: f64 = 0.20;
const USD_PER_MILLION_GB_SECONDS: f64 = 13.3334;

/// Warm calls with the share for a memory size.
#[derive(Debug, Serialize)]
pub struct Size {
    /// The memory.
    pub mb: u64,
    /// Orders on a page.
    pub orders: usize,
    /// Median of the calls, in milliseconds.
    pub p50_ms: f64,
    /// The slowest of a hundred calls, in milliseconds.
    pub p99_ms: f64,
}

impl Size {
    /// Price of a million calls as long as the median and DynamoDB's time, in USD. Lambda bills whole milliseconds.
    pub fn usd_per_million(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let gb = self.mb as f64 / 1024.0;
        let seconds = (self.p50_ms + DYNAMODB_MS).ceil() / 1000.0;
        USD_PER_MILLION_CALLS + seconds * gb * USD_PER_MILLION_GB_SECONDS
    }
}

/// Measures the main function. Empty if there are no shares here, of which the rounds have told.
pub async fn measure(subject: &Subject, aws: &Aws) -> anyhow::Result<Vec<Size>> {
    let sample = serde_json::from_slice(&fs::read(Path::new("events").join(MAIN).with_extension("json"))?)?;
    let mut sizes = Vec::new();
    for mb in SIZES {
        let Ok(share) = Share::of(mb) else { break };
        for orders in PAGES {
            eprintln!("{mb} MB with {orders} orders on a page");
            let mut subject = subject.clone();
            subject.content.listed = orders;
            subject.event = bytes(&list_event(&sample, orders, None));
            let mut function = Function::start(&subject, aws, &share.wrapper()?).await?;
            function.call(&subject.event).await?;
            share.limit()?;
            let mut calls = Vec::new();
            for _ in 0..CALLS {
                calls.push(ms(function.call(&subject.event).await?.1));
            }
            function.stop().await?;
            let [p50_ms, p99_ms] = [0.5, 0.99].map(|part| quantile(&calls, part).unwrap_or_default());
            sizes.push(Size { mb, orders, p50_ms, p99_ms });
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_billed_by_its_memory_and_by_whole_milliseconds() {
        let size = |mb, p50_ms| Size { mb, orders: 25, p50_ms, p99_ms: p50_ms };
        let usd = [size(1024, 0.3), size(1024, 0.9), size(512, 0.3)].map(|size| size.usd_per_million());
        assert!((usd[0] - 0.28).abs() < 1e-4, "{usd:?}");
        assert!((usd[0] - usd[1]).abs() < 1e-9 && (usd[2] - 0.24).abs() < 1e-4, "{usd:?}");
    }
}
