//! A child process that does not outlive this one.

use crate::run;
use std::path::Path;
use std::process::{Child, Command};

/// Ended, and waited for, when dropped; ended by the kernel when this process ends in another way.
pub(crate) struct Owned {
    pub(crate) child: Child,
}

impl Owned {
    /// Starts a command, with its streams as they are set there. Call it on the main thread: the kernel watches the
    /// thread that started a child.
    pub(crate) fn spawn(command: &mut Command) -> Result<Owned, String> {
        let child =
            command.spawn().map_err(|error| format!("`{}` could not be started: {error}", run::describe(command)))?;
        Ok(Owned { child })
    }

    /// Asks it to end and waits for it.
    pub(crate) fn end(&mut self) {
        let id = self.child.id();
        // The shell's own `kill`: a minimal system has no other.
        let asked = run::captured("sh", &["-c", &format!("kill -TERM {id}")]);
        if asked.is_none() && self.child.kill().is_err() {
            eprintln!("process {id} could not be ended");
        }
        if let Err(error) = self.child.wait() {
            eprintln!("waiting for process {id} failed: {error}");
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// A program that will be owned, run in the repository's root.
pub(crate) fn command(program: &Path) -> Command {
    // util-linux's setpriv has the kernel end the child when this process ends, however it does.
    let setpriv = Path::new("/usr/bin/setpriv");
    let mut command = if setpriv.exists() {
        let mut wrapped = Command::new(setpriv);
        wrapped.args(["--pdeathsig", "TERM", "--"]).arg(program);
        wrapped
    } else {
        Command::new(program)
    };
    command.current_dir(run::root());
    command
}
