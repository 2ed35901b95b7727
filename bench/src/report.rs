//! What a bench found, as a table on the screen and as JSON under `target/bench`.

use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::Command;

/// The figures of one bench, in the order in which they were added.
pub(crate) struct Report {
    bench: &'static str,
    rows: Vec<(String, Value)>,
}

impl Report {
    pub(crate) fn new(bench: &'static str) -> Report {
        Report { bench, rows: Vec::new() }
    }

    /// Adds a figure. A number that is not finite was not measured: say why with [`Report::unknown`] instead.
    pub(crate) fn number(&mut self, key: impl Into<String>, value: f64) {
        let key = key.into();
        match serde_json::Number::from_f64(round(value)) {
            Some(n) => self.rows.push((key, Value::Number(n))),
            None => self.unknown(key, "the figure is not finite"),
        }
    }

    /// Adds a figure that could not be measured.
    pub(crate) fn unknown(&mut self, key: impl Into<String>, why: impl Into<String>) {
        let key = key.into();
        self.rows.push((key.clone(), Value::Null));
        self.explain(key, why);
    }

    /// Says of a figure why it is what it is.
    pub(crate) fn explain(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.rows.push((format!("{}_why", key.into()), Value::String(why.into())));
    }

    /// Prints the table and writes `target/bench/NAME.json`; answers where.
    pub(crate) fn write(&self) -> std::io::Result<PathBuf> {
        let width = self.rows.iter().map(|(k, _)| k.len()).max().unwrap_or(0);
        for (key, value) in &self.rows {
            println!("{key:width$}  {value}");
        }
        let results: Map<String, Value> = self.rows.iter().cloned().collect();
        let document = json!({ "bench": self.bench, "commit": commit(), "machine": machine(), "results": results });
        let folder = PathBuf::from("target/bench");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", self.bench));
        std::fs::write(&path, serde_json::to_string_pretty(&document).expect("strings and numbers serialise") + "\n")?;
        Ok(path)
    }
}

/// Four significant digits are more than any of these measurements repeats to.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

fn commit() -> Value {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output();
    match output {
        Ok(o) if o.status.success() => Value::String(String::from_utf8_lossy(&o.stdout).trim().to_owned()),
        _ => Value::Null,
    }
}

fn machine() -> Value {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    json!({
        "cpu": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().ok().map(usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "lp_num_threads": std::env::var("LP_NUM_THREADS").ok(),
    })
}

/// The median; NaN of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_four_digits() {
        assert_eq!(round(4.567_8), 4.568);
        assert_eq!(round(123_456.0), 123_500.0);
        assert_eq!(round(-0.000_123_456), -0.000_123_5);
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
