//! Progress on a terminal; silence anywhere else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Counts rows, of `all` if that is known.
    pub fn rows(what: &'static str, all: Option<u64>) -> Self {
        let template = match all {
            Some(_) => "{msg} {wide_bar} {human_pos} of {human_len} rows, {eta} left",
            None => "{spinner} {msg} {human_pos} rows, {per_sec}, {elapsed}",
        };
        Self::new(what, all, template)
    }

    /// Counts bytes.
    pub fn bytes(what: &'static str, all: Option<u64>) -> Self {
        let template = match all {
            Some(_) => "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left",
            None => "{spinner} {msg} {bytes}, {bytes_per_sec}, {elapsed}",
        };
        Self::new(what, all, template)
    }

    fn new(what: &'static str, all: Option<u64>, template: &str) -> Self {
        let bar = match all {
            Some(all) => ProgressBar::new(all),
            None => ProgressBar::new_spinner(),
        };
        if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Progress(bar)
    }

    /// So many more are done.
    pub fn add(&self, n: u64) {
        self.0.inc(n);
    }

    /// How many are done.
    pub fn position(&self) -> u64 {
        self.0.position()
    }

    /// So many are done in all.
    pub fn set(&self, n: u64) {
        self.0.set_position(n);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
