//! A board whose temperature a test writes.

use ocelli_types::{Heat, Thermometer};

/// Tells one reading after the other, and panics when it is asked for more than there are.
#[derive(Debug)]
pub struct ScriptedThermometer<I> {
    heats: I,
}

impl<I: Iterator<Item = Heat>> ScriptedThermometer<I> {
    /// One that tells these.
    pub fn new(heats: impl IntoIterator<IntoIter = I>) -> Self {
        Self { heats: heats.into_iter() }
    }
}

impl<I: Iterator<Item = Heat>> Thermometer for ScriptedThermometer<I> {
    fn read(&mut self) -> Heat {
        self.heats.next().expect("no more readings should be asked for than were written")
    }
}
