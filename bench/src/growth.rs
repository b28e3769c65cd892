//! How the cost of a list grows with its orders: it should be the same for each order, and need no more memory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::aws::Aws;
use crate::callgrind;
use crate::function::{Function, Subject};
use crate::statistics::quantile;
use crate::subjects::{MAIN, bytes, list_event};

/// Orders on a page.
const PAGES: [u32; 3] = [25, 100, 1000];

/// Warm calls whose instructions are counted.
const COUNTED_CALLS: u32 = 5;

/// Orders that are walked over, page by page.
const WALKED: usize = 100_000;

/// Orders on each page of the walk: the API's default.
const WALKED_PAGE: usize = 100;

/// Cost of a list by the number of its orders.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// Instructions of a warm call for each number of orders on the page; empty if they can't be counted.
    pub instructions: Vec<(u32, f64)>,
    /// The walk over many orders.
    pub walk: Walk,
}

/// A walk over a list, from link to link.
#[derive(Debug, Serialize)]
pub struct Walk {
    /// Number of its orders.
    pub orders: usize,
    /// Processor time for an order in the first tenth and in the last tenth, in microseconds: the median of the pages.
    pub cpu_us: [f64; 2],
    /// Peak of the memory after the first tenth and at the end, in KB.
    pub rss_kb: [u64; 2],
}

impl Growth {
    /// Instructions for each further order, from each page to the next larger one.
    pub fn further(&self) -> Vec<f64> {
        let pairs = self.instructions.iter().zip(self.instructions.iter().skip(1));
        pairs.map(|((small, less), (large, more))| (more - less) / f64::from(large - small)).collect()
    }
}

/// Measures the growth of the main function's costs.
pub async fn measure(subject: &Subject, aws: &Aws) -> anyhow::Result<Growth> {
    let sample = serde_json::from_slice(&fs::read(Path::new("events").join(MAIN).with_extension("json"))?)?;
    let mut instructions = Vec::new();
    // The reason was told before.
    if callgrind::check().await.is_ok() {
        for orders in PAGES {
            eprintln!("instructions with {orders} orders on a page");
            let mut subject = subject.clone();
            subject.content.listed = usize::try_from(orders)?;
            subject.event = bytes(&list_event(&sample, subject.content.listed, None));
            instructions.push((orders, callgrind::start_and_warm(&subject, aws, COUNTED_CALLS).await?.1));
        }
    }
    eprintln!("a walk over {WALKED} orders");
    Ok(Growth { instructions, walk: walk(subject, aws, &sample).await? })
}

async fn walk(subject: &Subject, aws: &Aws, sample: &Value) -> anyhow::Result<Walk> {
    let mut subject = subject.clone();
    subject.content.listed = WALKED;
    let mut function = Function::start(&subject, aws, &[]).await?;
    let (mut orders, mut cpu, mut rss, mut cursor) = (0, Vec::new(), Vec::new(), None::<String>);
    loop {
        let event = bytes(&list_event(sample, WALKED_PAGE, cursor.as_deref()));
        let before = function.cpu()?;
        let (answer, _) = function.call(&event).await?;
        cpu.push(us_per_order(function.cpu()?.saturating_sub(before)));
        rss.push(function.peak_rss()?);
        let body: Value = serde_json::from_str(answer["body"].as_str().context("a page has a body")?)?;
        orders += body.as_array().context("a page is an array")?.len();
        cursor = link(&answer).map(|link| next_cursor(&link)).transpose()?;
        if cursor.is_none() {
            break;
        }
    }
    function.stop().await?;
    ensure!(orders == WALKED, "the walk has met {orders} orders of {WALKED}");
    let tenth = cpu.len() / 10;
    let median = |part: &[f64]| quantile(part, 0.5).unwrap_or_default();
    Ok(Walk {
        orders,
        // The first call connects.
        cpu_us: [median(&cpu[1..tenth]), median(&cpu[cpu.len() - tenth..])],
        rss_kb: [rss[tenth], *rss.last().context("a walk has pages")?],
    })
}

fn us_per_order(time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let orders = WALKED_PAGE as f64;
    time.as_secs_f64() * 1e6 / orders
}

/// The header `Link` of an answer.
fn link(answer: &Value) -> Option<String> {
    let all = ["headers", "multiValueHeaders"].into_iter().filter_map(|field| answer[field].as_object());
    let (_, value) = all.flatten().find(|(name, _)| name.eq_ignore_ascii_case("link"))?;
    value.as_str().or_else(|| value[0].as_str()).map(str::to_owned)
}

/// The cursor in a link to the next page.
fn next_cursor(link: &str) -> anyhow::Result<String> {
    let query = link.split_once('?').and_then(|(_, rest)| rest.split_once('>')).context("a link without a query")?.0;
    let fields: Vec<(String, String)> = serde_urlencoded::from_str(query)?;
    fields.into_iter().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor).context("a link without a cursor")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_found_in_the_link() {
        let next = r#"<?cursor=a%2Bb&user_id=Burger_2&limit=100>; rel="next""#;
        for answer in [json!({"multiValueHeaders": {"link": [next]}}), json!({"headers": {"Link": next}})] {
            assert_eq!(next_cursor(&link(&answer).unwrap()).unwrap(), "a+b");
        }
        assert_eq!(link(&json!({"multiValueHeaders": {"etag": ["1"]}})), None);
    }

    #[test]
    fn further_orders_are_counted_without_what_each_call_costs() {
        let walk = Walk { orders: 0, cpu_us: [0.0; 2], rss_kb: [0; 2] };
        let growth = Growth { instructions: vec![(25, 1250.0), (100, 2000.0), (1000, 11000.0)], walk };
        assert_eq!(growth.further(), [10.0, 10.0]);
    }
}
