//! Steps of a run: what passed, how long it took, and what failed.

use std::time::Instant;

/// What ran, and how long it took; and what failed.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, f32)>,
    failed: Vec<String>,
}

impl Steps {
    /// A step that others need.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        println!("== {name}");
        let began = Instant::now();
        step()?;
        self.done.push((name, began.elapsed().as_secs_f32()));
        Ok(())
    }

    /// A step that others go on without.
    pub(crate) fn attempt(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), String>) {
        if let Err(error) = self.run(name, step) {
            eprintln!("== {name} failed: {error}");
            self.failed.push(format!("{name}: {error}"));
        }
    }

    /// Tells of all steps.
    pub(crate) fn end(self) -> Result<(), String> {
        let parts: Vec<String> = self.done.iter().map(|(name, seconds)| format!("{name} {seconds:.0} s")).collect();
        println!("\npassed: {}", parts.join(", "));
        if self.failed.is_empty() {
            println!("all passed");
            return Ok(());
        }
        Err(format!("{} of the steps failed:\n  {}", self.failed.len(), self.failed.join("\n  ")))
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn a_step_that_fails_stops_no_other_and_is_told() {
        let (mut steps, mut ran) = (Steps::default(), Vec::new());
        for (name, result) in [("a", Ok(())), ("b", Err("no")), ("c", Ok(())), ("d", Err("never"))] {
            steps.attempt(name, || {
                ran.push(name);
                result.map_err(str::to_owned)
            });
        }
        assert_eq!(ran, ["a", "b", "c", "d"]);
        assert_eq!(steps.end(), Err("2 of the steps failed:\n  b: no\n  d: never".into()));
    }
}
