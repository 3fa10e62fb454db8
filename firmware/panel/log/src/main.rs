//! Turns the panel's log on standard input, which has numbers in place of words, into lines: `ocelli-panel-log ELF <LOG`.

use std::error::Error;
use std::io::{Read as _, Write as _};

use defmt_decoder::{DecodeError, Table};

fn main() -> Result<(), Box<dyn Error>> {
    let elf = std::env::args_os().nth(1).ok_or("name the firmware (its ELF file) that writes the log")?;
    let elf = std::fs::read(elf)?;
    let table = Table::parse(&elf)?.ok_or("this firmware has no log")?;
    let mut decoder = table.new_stream_decoder();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut bytes = [0; 1024];
    loop {
        let count = input.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        decoder.received(&bytes[..count]);
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    writeln!(output, "{}", frame.display(false))?;
                    output.flush()?;
                }
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) if table.encoding().can_recover() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
