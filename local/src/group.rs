//! Child processes that end with us, together with everything that they have started.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Time that a group has to end before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A child and its descendants in a process group of their own: Ctrl-C reaches only us, and we end the group.
#[derive(Debug)]
pub struct Group {
    leader: Child,
}

impl Group {
    /// Starts a command as the leader of a group.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        Ok(Self { leader: command.process_group(0).spawn()? })
    }

    /// Returns the leader's exit status if it has ended.
    pub fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.leader.try_wait()
    }

    /// Ends the group: by SIGTERM, and by SIGKILL if that is not enough.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.leader.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        self.signal(Signal::SIGKILL);
        let _ = self.leader.wait();
    }

    fn signal(&self, signal: Signal) {
        // It fails if the group has ended already, which is fine.
        let _ = killpg(Pid::from_raw(self.leader.id().cast_signed()), signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}
