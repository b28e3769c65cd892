//! What the functions must reach. Ratios are to the floor of the same run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::growth::Growth;
use crate::measure::{Figure, Measured};
use crate::share::wait_ms;
use crate::subjects::{FLOOR, MAIN};

/// The main function's ratios: what must be reached, and the aim.
const RATIOS: [(Figure, f64, f64); 4] = [
    (Figure::InitAndFirst, 2.8, 2.4),
    (Figure::FirstAt128, 3.2, 2.5),
    (Figure::Rss, 2.9, 2.3),
    (Figure::Gzip, 5.6, 4.0),
];

/// Millions of instructions of its warm call.
const WARM_INSTRUCTIONS: (f64, f64) = (2.0, 1.5);

/// Ratio of the other functions' first call at the 128 MB share, for each request to AWS that the call makes. One request is
/// what the limit was made for; the call of a function with several takes a multiple of it even on a warm connection.
const OTHERS_FIRST_CALL: f64 = 3.0;

/// The function whose first call uses up its share, and how often. The time for which it must wait is added to its limit.
const WAITS: (&str, u32) = ("sweep-orders", 2);

/// What the other functions may differ from the baseline: identifiers and hashes are random, and so is the layout of the
/// memory.
const TOLERANCE: f64 = 1.05;

/// What a further order may cost on the larger page, by the cost of one on the smaller page. The same for a walk's memory.
const FLAT: f64 = 1.05;

/// The same for the processor time of a walk, which depends on what else the machine does.
const FLAT_TIME: f64 = 1.25;

/// Figures of a function as they were, with which later ones are compared.
#[derive(Debug, Serialize, Deserialize)]
pub struct Before {
    /// Millions of instructions of a warm call.
    warm_instructions: f64,
    /// Ratio of the peak of the memory.
    rss: f64,
    /// Ratio of the size of the gzipped bootstrap.
    gzip: f64,
}

/// The functions as they were.
pub type Baseline = BTreeMap<String, Before>;

/// A condition.
#[derive(Debug, Serialize)]
pub struct Must {
    /// What is limited.
    pub what: String,
    /// Its value; none if it was not measured.
    pub value: Option<f64>,
    /// The highest value allowed.
    pub limit: f64,
    /// The value to aim at.
    pub aim: Option<f64>,
}

impl Must {
    /// Returns true if the limit is exceeded, and if nothing shows that it is not.
    pub fn is_missed(&self) -> bool {
        self.value.is_none_or(|value| value > self.limit)
    }
}

/// The figures that a baseline keeps. None if one of them was not measured.
pub fn baseline(measured: &[Measured]) -> Option<Baseline> {
    let (floor, functions) = split(measured)?;
    let figures = functions.map(|function| {
        let ratio = |figure| Some(function.ratio(figure, floor)?.median);
        let warm_instructions = function.summary(Figure::WarmInstructions)?.median;
        let before = Before { warm_instructions, rss: ratio(Figure::Rss)?, gzip: ratio(Figure::Gzip)? };
        Some((function.name.clone(), before))
    });
    figures.collect()
}

fn split(measured: &[Measured]) -> Option<(&Measured, impl Iterator<Item = &Measured>)> {
    let floor = measured.iter().find(|one| one.name == FLOOR)?;
    Some((floor, measured.iter().filter(|one| one.name != FLOOR)))
}

/// The conditions for all functions that were measured.
pub fn musts(measured: &[Measured], growth: Option<&Growth>, baseline: &Baseline) -> Vec<Must> {
    let Some((floor, functions)) = split(measured) else { return Vec::new() };
    let mut musts = Vec::new();
    for function in functions {
        let name = &function.name;
        let ratio = |figure| Some(function.ratio(figure, floor)?.median);
        let warm = function.summary(Figure::WarmInstructions).map(|summary| summary.median);
        if name == MAIN {
            for (figure, limit, aim) in RATIOS {
                let what = format!("{name}: {}, ratio", figure.label());
                musts.push(Must { what, value: ratio(figure), limit, aim: Some(aim) });
            }
            let what = format!("{name}: {}", Figure::WarmInstructions.label());
            let (limit, aim) = WARM_INSTRUCTIONS;
            musts.push(Must { what, value: warm, limit, aim: Some(aim) });
            continue;
        }
        let requests = function.requests.max(1);
        let what = format!("{name}: {}, ratio, {requests} requests", Figure::FirstAt128.label());
        let waits = if name == WAITS.0 { f64::from(WAITS.1) * wait_ms(128) } else { 0.0 };
        let waits = floor.summary(Figure::FirstAt128).map_or(0.0, |first| waits / first.median);
        let limit = OTHERS_FIRST_CALL * f64::from(requests) + waits;
        musts.push(Must { what, value: ratio(Figure::FirstAt128), limit, aim: None });
        if let Some(before) = baseline.get(name) {
            for (figure, value, before) in [
                (Figure::WarmInstructions, warm, before.warm_instructions),
                (Figure::Rss, ratio(Figure::Rss), before.rss),
                (Figure::Gzip, ratio(Figure::Gzip), before.gzip),
            ] {
                let value = value.map(|value| value / before);
                let what = format!("{name}: {}, by the baseline", figure.label());
                musts.push(Must { what, value, limit: TOLERANCE, aim: None });
            }
        }
    }
    musts.extend(growth.into_iter().flat_map(flatness));
    musts
}

fn flatness(growth: &Growth) -> Vec<Must> {
    let ratio = |[first, last]: [f64; 2]| Some(last / first);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let rss = growth.walk.rss_kb.map(|kb| kb as f64);
    let must = |what: &str, value, limit| Must { what: what.to_owned(), value, limit, aim: None };
    vec![
        must(
            "growth: instructions of a further order, large page by small page",
            growth.further().try_into().ok().and_then(ratio),
            FLAT,
        ),
        must("growth: CPU of an order, last tenth of a walk by the first", ratio(growth.walk.cpu_us), FLAT_TIME),
        must("growth: peak RSS, end of a walk by its first tenth", ratio(rss), FLAT),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::Walk;

    #[test]
    fn a_must_without_a_value_is_missed() {
        let must = |value| Must { what: String::new(), value, limit: 2.0, aim: None };
        assert!(must(None).is_missed());
        assert!(must(Some(2.1)).is_missed());
        assert!(!must(Some(2.0)).is_missed());
    }

    #[test]
    fn a_first_call_may_take_three_times_the_floor_for_each_request_and_the_sweep_its_waits() {
        let measured = |name: &str, requests, first| {
            let mut measured = Measured::default();
            (measured.name, measured.requests) = (name.to_owned(), requests);
            measured.add(Figure::FirstAt128, first);
            measured
        };
        let functions = [
            measured(FLOOR, 0, 0.2),
            measured("put-order", 1, 0.61),
            measured("complete-order", 5, 2.9),
            measured("sweep-orders", 27, 53.0),
        ];
        let musts = musts(&functions, None, &Baseline::new());
        assert_eq!(musts.iter().map(Must::is_missed).collect::<Vec<_>>(), [true, false, false]);
        let limits = musts.iter().map(|must| must.limit.round()).collect::<Vec<_>>();
        assert_eq!(limits, [3.0, 15.0, 267.0]);
    }

    #[test]
    fn a_list_whose_orders_cost_more_the_more_there_are_is_not_flat() {
        let missed = |more: f64, last_cpu: f64, last_kb: u64| {
            let walk = Walk { orders: 100, cpu_us: [1.0, last_cpu], rss_kb: [10_000, last_kb] };
            let instructions = vec![(25, 1000.0), (100, 1750.0), (1000, 1750.0 + 900.0 * more)];
            let musts = flatness(&Growth { instructions, walk });
            musts.iter().map(Must::is_missed).collect::<Vec<_>>()
        };
        assert_eq!(missed(10.0, 1.0, 10_000), [false, false, false]);
        assert_eq!(missed(11.0, 1.5, 11_000), [true, true, true]);
    }
}
