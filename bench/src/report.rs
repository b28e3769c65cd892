//! The tables, and the file for programs.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::growth::Growth;
use crate::load::Loaded;
use crate::measure::{Figure, Measured};
use crate::memory::Size;
use crate::reach::Must;
use crate::statistics::Summary;

/// Figures of the table that has a line for each function.
const SHORT: [(Figure, &str); 8] = [
    (Figure::InitAndFirst, "init+first ms"),
    (Figure::FirstAt128, "first at 128 MB"),
    (Figure::WarmP50, "warm p50 us"),
    (Figure::StartInstructions, "start M instr."),
    (Figure::WarmInstructions, "warm M instr."),
    (Figure::Rss, "RSS MB"),
    (Figure::Gzip, "gzip MB"),
    (Figure::Arm64Zip, "arm64 zip MB"),
];

/// The machine and the commit, in one line.
pub fn heading() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let (date, commit) = (output("date", &["-u", "+%F"]), output("git", &["describe", "--always", "--dirty"]));
    format!("{date}, commit {commit}, {cpus} x {model}")
}

/// Numbers with three digits.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

fn with_spread(summary: Summary) -> String {
    let Summary { median, low, high } = summary;
    let [median, low, high] = [median, low, high].map(number);
    if low == high { median } else { format!("{median} ({low}-{high})") }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Lines of columns. The first column is aligned to the left.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text
}

/// All figures of some subjects, the floor first: medians, quartiles in parentheses, and ratios to the floor.
pub fn figures(measured: &[&Measured]) -> String {
    let Some((floor, others)) = measured.split_first() else { return String::new() };
    let mut rows = vec![vec![String::new(), floor.name.clone()]];
    rows[0].extend(others.iter().flat_map(|other| [other.name.clone(), "ratio".to_owned()]));
    for figure in Figure::ALL {
        let mut row = vec![figure.label().to_owned(), or_dash(floor.summary(figure).map(with_spread))];
        for other in others {
            row.push(or_dash(other.summary(figure).map(with_spread)));
            row.push(or_dash(other.ratio(figure, floor).map(with_spread)));
        }
        rows.push(row);
    }
    table(&rows)
}

/// A line for each function and number of processes. The last column is what one processor could do.
pub fn load(loaded: &[Loaded]) -> String {
    let heads = ["", "processes", "calls a second", "p50 ms", "p99 ms", "CPU of a call us", "a second of CPU"];
    let rows = loaded.iter().map(|one| {
        let figures = [one.per_second, one.p50, one.p99, one.cpu, 1e6 / one.cpu].map(number);
        [one.name.clone(), one.processes.to_string()].into_iter().chain(figures).collect()
    });
    table(&std::iter::once(heads.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())
}

/// A line for each function, with ratios to the floor in parentheses.
pub fn functions(measured: &[Measured], floor: &Measured) -> String {
    let heads = SHORT.map(|(_, head)| head.to_owned());
    let mut rows = vec![std::iter::once(String::new()).chain(heads).collect::<Vec<_>>()];
    for one in measured {
        let cell = |(figure, _): (Figure, &str)| {
            let median = number(one.summary(figure)?.median);
            let ratio = one.ratio(figure, floor).map(|ratio| format!(" (x{})", number(ratio.median)));
            Some(median + &ratio.unwrap_or_default())
        };
        rows.push(std::iter::once(one.name.clone()).chain(SHORT.map(|short| or_dash(cell(short)))).collect());
    }
    table(&rows)
}

/// The growth of a list.
pub fn growth(growth: &Growth) -> String {
    let mut rows = vec![["orders on a page", "M instr. of a call", "instr. of an order"].map(str::to_owned).to_vec()];
    for (orders, instructions) in &growth.instructions {
        let of_an_order = number(instructions / f64::from(*orders));
        rows.push(vec![orders.to_string(), number(instructions / 1e6), of_an_order]);
    }
    let [first, last] = growth.walk.cpu_us.map(number);
    let [before, after] = growth.walk.rss_kb;
    let orders = growth.walk.orders;
    let walk =
        format!("walk over {orders} orders: CPU of an order {first} us in the first tenth, {last} us in the last");
    format!("{}{walk}; peak RSS {before} KB after the first tenth, {after} KB at the end\n", table(&rows))
}

/// Memory sizes of the main function.
pub fn sizes(sizes: &[Size]) -> String {
    let mut rows = vec![["memory MB", "orders", "p50 ms", "p99 ms", "USD a million"].map(str::to_owned).to_vec()];
    rows.extend(sizes.iter().map(|size| {
        let [p50, p99, usd] = [size.p50_ms, size.p99_ms, size.usd_per_million()].map(number);
        vec![size.mb.to_string(), size.orders.to_string(), p50, p99, usd]
    }));
    table(&rows)
}

/// What must be reached.
pub fn musts(musts: &[Must]) -> String {
    let mut rows = vec![["", "value", "must", "aim", ""].map(str::to_owned).to_vec()];
    rows.extend(musts.iter().map(|must| {
        vec![
            must.what.clone(),
            or_dash(must.value.map(number)),
            number(must.limit),
            or_dash(must.aim.map(number)),
            if must.is_missed() { "MISSED" } else { "" }.to_owned(),
        ]
    }));
    table(&rows)
}

/// Everything, for programs.
pub fn json(heading: &str, measured: &[Measured], growth: Option<&Growth>, sizes: &[Size], musts: &[Must]) -> Value {
    let floor = measured.first();
    let subjects = measured.iter().map(|one| {
        let figures = Figure::ALL.into_iter().filter_map(|figure| {
            let ratio = floor.and_then(|floor| one.ratio(figure, floor));
            Some((figure.label().to_owned(), json!({"value": one.summary(figure)?, "ratio": ratio})))
        });
        (one.name.clone(), figures.collect::<serde_json::Map<_, _>>().into())
    });
    let subjects: serde_json::Map<String, Value> = subjects.collect();
    json!({"run": heading, "subjects": subjects, "growth": growth, "memory": sizes, "musts": musts})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([1030.4, 15.64, 2.187, 0.0].map(number), ["1030", "15.6", "2.19", "0.00"]);
    }

    #[test]
    fn a_spread_is_shown_where_there_is_one() {
        assert_eq!(with_spread(Summary { median: 2.0, low: 1.5, high: 3.0 }), "2.00 (1.50-3.00)");
        assert_eq!(with_spread(Summary { median: 2.0, low: 2.0, high: 2.0 }), "2.00");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["", "floor"], ["init, ms", "1.40"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "          floor\ninit, ms   1.40\n");
    }

    #[test]
    fn a_missed_must_is_marked() {
        let must = |value| Must { what: "init".into(), value, limit: 2.8, aim: Some(2.4) };
        let text = musts(&[must(Some(3.1)), must(Some(2.5))]);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[1..], ["init   3.10  2.80  2.40  MISSED", "init   2.50  2.80  2.40"]);
    }
}
