//! Child processes that end with us, and all that they have started with them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a stop may take before it is made sure of.
const PATIENCE: Duration = Duration::from_secs(30);

/// A child and its descendants, in a process group of their own: Ctrl-C reaches us alone, and we end them.
#[derive(Debug)]
pub struct Group {
    leader: Child,
}

impl Group {
    /// Starts a command as the leader of a group.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        Ok(Self { leader: command.process_group(0).spawn()? })
    }

    /// How the leader has ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.leader.try_wait()
    }

    /// Ends the group: kindly, then surely.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.leader.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::SIGKILL);
        let _ = self.leader.wait();
    }

    fn signal(&self, signal: Signal) {
        // It fails when the group is gone already, which is what it is for.
        let _ = killpg(Pid::from_raw(self.leader.id().cast_signed()), signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}
