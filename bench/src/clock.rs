//! CPU time, wall time and memory of this process.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// The seconds of CPU time that all threads of this process have used.
pub fn cpu() -> f64 {
    let at = clock_gettime(ClockId::ProcessCPUTime);
    at.tv_sec as f64 + at.tv_nsec as f64 * 1e-9
}

/// The most memory that this process had resident, in MB; 0 where the system does not tell.
pub fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or_default() / 1024.0
}

/// Seconds of wall and CPU time by stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Wall time of S1 to S5.
    pub wall: [f64; 5],
    /// CPU time of S1 to S5.
    pub cpu: [f64; 5],
}

/// A stop watch that runs from stage to stage.
#[derive(Debug)]
pub struct Laps {
    wall: Instant,
    cpu: f64,
}

impl Laps {
    /// Starts the watch.
    #[expect(clippy::new_without_default, reason = "starting a watch is no default")]
    pub fn new() -> Self {
        Laps { wall: Instant::now(), cpu: cpu() }
    }

    /// Ends `stage` (0 is S1) and begins the next.
    pub fn end(&mut self, stage: usize, times: &mut Times) {
        let now = Laps::new();
        times.wall[stage] += (now.wall - self.wall).as_secs_f64();
        times.cpu[stage] += now.cpu - self.cpu;
        *self = now;
    }
}

/// The median of `values`; of an even number the upper one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
