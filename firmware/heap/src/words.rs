//! The last line of a program that may not allocate.

use std::fmt;

/// What fits into a line; the rest is left out.
const LINE_BYTES: usize = 320;

/// A line that is written without allocating.
pub(crate) struct Line {
    bytes: [u8; LINE_BYTES],
    len: usize,
}

impl Line {
    pub fn new() -> Self {
        Self { bytes: [0; LINE_BYTES], len: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last byte is kept for the end of the line.
        let room = LINE_BYTES - 1 - self.len.min(LINE_BYTES - 1);
        let text = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
        Ok(())
    }
}

/// Why an allocation was refused, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub asked: usize,
    pub held: usize,
    /// What may be held, if that is what was reached.
    pub ceiling: Option<usize>,
    /// What the ceiling was made from.
    pub budget: Option<usize>,
}

impl Refusal {
    /// The line, with its end.
    pub fn line(&self, advice: &str) -> Line {
        use fmt::Write as _;
        let mut line = Line::new();
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        // Writing into a line does not fail.
        let (asked, held) = (self.asked, mib(self.held));
        let _ = write!(line, "ocelli: out of memory: {asked} bytes asked with {held:.1} MiB held; ");
        let _ = match (self.ceiling, self.budget.map(mib)) {
            (Some(ceiling), Some(budget)) => {
                write!(line, "the budget of {budget:.1} MiB leaves {:.1} MiB for the heap; ", mib(ceiling))
            }
            (Some(ceiling), None) => write!(line, "at most {:.1} MiB may be; ", mib(ceiling)),
            (None, Some(budget)) => write!(line, "the system gives no more within the budget of {budget:.1} MiB; "),
            (None, None) => write!(line, "the system gives no more; "),
        };
        let _ = line.write_str(advice);
        line.bytes[line.len] = b'\n';
        line.len += 1;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_one_whole_line() {
        let all = [(None, None), (Some(1 << 20), None), (None, Some(64 << 20)), (Some(41 << 20), Some(64 << 20))];
        for (ceiling, budget) in all {
            let refusal = Refusal { asked: 4096, held: 40 << 20, ceiling, budget };
            for advice in ["raise memory_budget", &"x".repeat(1000)] {
                let line = refusal.line(advice);
                let line = std::str::from_utf8(line.bytes()).expect("a text");
                let start = "ocelli: out of memory: 4096 bytes asked with 40.0 MiB held; ";
                assert!(line.starts_with(start) && line.ends_with('\n') && line.lines().count() == 1, "{line}");
                assert!(advice.len() > 100 || line.contains(advice), "{line}");
            }
        }
        let refusal = Refusal { asked: 1, held: 0, ceiling: Some(41 << 20), budget: Some(64 << 20) };
        let line = refusal.line("");
        assert!(String::from_utf8_lossy(line.bytes()).contains("the budget of 64.0 MiB leaves 41.0 MiB for the heap"));
    }
}
