//! Child processes that end with us, together with everything that they have started.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
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
    guard: Guard,
}

impl Group {
    /// Starts a command as the leader of a group.
    pub fn spawn(mut command: Command) -> io::Result<Self> {
        let mut guard = Guard::spawn()?;
        let leader = command.process_group(0).spawn()?;
        guard.watch(leader.id())?;
        Ok(Self { leader, guard })
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
        self.guard.dismiss();
    }

    fn signal(&self, signal: Signal) {
        // It fails if the group has ended already, which is fine.
        let _ = killpg(Pid::from_raw(self.leader.id().cast_signed()), signal);
    }
}

/// A shell that ends the group if we are killed and can't do it. It notices by the end of its standard input, which is a
/// pipe from us.
#[derive(Debug)]
struct Guard {
    shell: Child,
    input: ChildStdin,
}

impl Guard {
    /// Reads the group's id, then waits for the end of the input.
    const SCRIPT: &str =
        r#"read -r group && { read -r _; kill -s TERM -- "-$group"; sleep 10; kill -s KILL -- "-$group"; }"#;

    fn spawn() -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", Self::SCRIPT]).process_group(0);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let input = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { shell, input })
    }

    fn watch(&mut self, group: u32) -> io::Result<()> {
        writeln!(self.input, "{group}")
    }

    fn dismiss(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop();
    }
}
