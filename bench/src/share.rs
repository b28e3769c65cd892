//! Lambda's share of a processor, by a quota of the kernel.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;

/// The memory with which Lambda gives one processor.
const MB_PER_PROCESSOR: u64 = 1769;

/// Period of the quota. AWS does not publish its own; 20 ms is what others have measured.
const PERIOD_US: u64 = 20_000;

/// Processor time of a period for that memory, in microseconds.
fn quota_us(memory_mb: u64) -> u64 {
    PERIOD_US * memory_mb / MB_PER_PROCESSOR
}

/// Milliseconds for which a process waits after it has used up the quota of a period: the rest of the period.
#[expect(clippy::cast_precision_loss, reason = "far less than 2^52")]
pub fn wait_ms(memory_mb: u64) -> f64 {
    (PERIOD_US - quota_us(memory_mb)) as f64 / 1e3
}

/// A control group with a quota. It is removed when it is dropped; its processes must have ended, or be about to.
pub struct Share {
    folder: PathBuf,
    /// File of the quota, and its content with and without a limit.
    quota: (&'static str, String, &'static str),
}

impl Share {
    /// The share of a function with that memory.
    pub fn of(memory_mb: u64) -> anyhow::Result<Self> {
        let quota = quota_us(memory_mb);
        let name = format!("order-api-bench-{}-{memory_mb}", std::process::id());
        let is_v2 = fs::exists("/sys/fs/cgroup/cgroup.controllers")?;
        let root = PathBuf::from(if is_v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/cpu" });
        let quota = if is_v2 {
            ("cpu.max", format!("{quota} {PERIOD_US}"), "max")
        } else {
            ("cpu.cfs_quota_us", quota.to_string(), "-1")
        };
        let share = Self { folder: root.join(name), quota };
        if is_v2 {
            fs::write(root.join("cgroup.subtree_control"), "+cpu").context("the controller of processors")?;
        }
        fs::create_dir(&share.folder).with_context(|| format!("{} is not writable", root.display()))?;
        if !is_v2 {
            share.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
        }
        Ok(share)
    }

    /// Command that starts a bootstrap in the group, at first without a limit. It takes the kernel milliseconds to move a
    /// running process into the group, and the first call after that is slower.
    pub fn wrapper(&self) -> anyhow::Result<[String; 4]> {
        let (file, _, unlimited) = &self.quota;
        self.write(file, unlimited)?;
        let processes = self.folder.join("cgroup.procs").display().to_string();
        Ok(["sh".into(), "-c".into(), r#"echo $$ >"$0" && exec "$@""#.into(), processes])
    }

    /// Holds the process to the share from now on.
    pub fn limit(&self) -> anyhow::Result<()> {
        let (file, limited, _) = &self.quota;
        self.write(file, limited)
    }

    fn write(&self, file: &str, value: &str) -> anyhow::Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, value).with_context(|| format!("can't write {}", path.display()))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // A process that was killed may still be there for a moment. A folder that stays has no process and no effect.
        for _ in 0..20 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
}
