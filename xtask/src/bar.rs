//! Progress for people: on a terminal one line that is redrawn, elsewhere a plain line now and then.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Cells of the bar.
const CELLS: usize = 24;
/// Between two drawings on a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Before the first plain line, and between two.
const PLAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Something that takes a while. Dropped without [`Bar::done`], it leaves no line: an error follows.
pub(crate) struct Bar {
    state: Arc<Mutex<State>>,
    /// Its end ends the drawing thread.
    alive: Option<Sender<()>>,
    drawing: Option<JoinHandle<()>>,
}

struct State {
    what: String,
    detail: String,
    /// 0 to 1; `None` where nobody knows.
    fraction: Option<f32>,
    begun: Instant,
    is_terminal: bool,
}

impl Bar {
    pub(crate) fn start(what: &str) -> Bar {
        let is_terminal = std::io::stdout().is_terminal();
        let begun = Instant::now();
        let state = State { what: what.to_owned(), detail: String::new(), fraction: None, begun, is_terminal };
        let state = Arc::new(Mutex::new(state));
        let (alive, ended) = channel();
        let shared = Arc::clone(&state);
        let drawing = std::thread::spawn(move || {
            let mut wait = if is_terminal { REDRAW } else { PLAIN.0 };
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                lock(&shared).draw();
                wait = if is_terminal { REDRAW } else { PLAIN.1 };
            }
        });
        Bar { state, alive: Some(alive), drawing: Some(drawing) }
    }

    /// How far it is: a share from 0 to 1 (`None` where nobody knows), and what is being done.
    pub(crate) fn at(&self, fraction: Option<f32>, detail: &str) {
        let mut state = lock(&self.state);
        state.fraction = fraction.map(|fraction| fraction.clamp(0.0, 1.0));
        detail.clone_into(&mut state.detail);
    }

    /// Prints a line above the bar.
    pub(crate) fn line(&self, text: &str) {
        let state = lock(&self.state);
        state.clear();
        println!("{text}");
    }

    /// Leaves a line that says how long it took.
    pub(crate) fn done(self) {
        let state = Arc::clone(&self.state);
        drop(self);
        let state = lock(&state);
        println!("{}: done in {:.1} s", state.what, state.begun.elapsed().as_secs_f32());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(drawing) = self.drawing.take()
            && drawing.join().is_err()
        {
            eprintln!("the progress line could not be drawn");
        }
        lock(&self.state).clear();
    }
}

/// A state is whole after every statement, so one that another thread left in a panic is as good.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl State {
    fn draw(&self) {
        let text = self.text();
        if self.is_terminal {
            // Without automatic wrapping (DEC private mode 7) the terminal itself cuts what is too long for its line.
            print!("\r\x1b[2K\x1b[?7l{text}\x1b[?7h");
            self.flush();
        } else {
            println!("{text}");
        }
    }

    fn clear(&self) {
        if self.is_terminal {
            print!("\r\x1b[2K");
            self.flush();
        }
    }

    /// A terminal that is gone has nobody to tell.
    fn flush(&self) {
        let _ = std::io::stdout().flush();
    }

    fn text(&self) -> String {
        let elapsed = self.begun.elapsed();
        let share = self.fraction.map_or("    ".into(), |fraction| format!("{:3.0}%", fraction * 100.0));
        if self.is_terminal {
            let cells = cells(self.fraction, elapsed);
            format!("{:<16} [{cells}] {share} {:4} s  {}", self.what, elapsed.as_secs(), self.detail)
        } else {
            [&format!("{}:", self.what), share.trim(), &format!("{} s", elapsed.as_secs()), &self.detail]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        }
    }
}

/// A filled bar, or one with a block that wanders where nobody knows how far it is.
fn cells(fraction: Option<f32>, elapsed: Duration) -> String {
    let (from, to) = match fraction {
        Some(fraction) => (0, (fraction * CELLS as f32) as usize),
        None => {
            let turn = 2 * (CELLS - 4);
            let at = (elapsed.as_millis() / 100) as usize % turn;
            let at = at.min(turn - at);
            (at, at + 4)
        }
    };
    (0..CELLS).map(|cell| if (from..to).contains(&cell) { '#' } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(is_terminal: bool, fraction: Option<f32>) -> State {
        State { what: "build".into(), detail: "serde".into(), fraction, begun: Instant::now(), is_terminal }
    }

    #[test]
    fn a_line_tells_what_how_far_and_how_long() {
        assert_eq!(state(true, Some(0.5)).text(), "build            [############------------]  50%    0 s  serde");
        assert_eq!(state(false, Some(0.5)).text(), "build: 50% 0 s serde");
        assert_eq!(state(false, None).text(), "build: 0 s serde");
    }

    #[test]
    fn an_unknown_share_wanders_within_the_bar() {
        for tenths in 0..100 {
            let cells = cells(None, Duration::from_millis(tenths * 100));
            assert_eq!(cells.len(), CELLS);
            assert_eq!(cells.matches('#').count(), 4, "{cells}");
        }
        assert_eq!(cells(Some(1.0), Duration::ZERO), "#".repeat(CELLS));
    }
}
