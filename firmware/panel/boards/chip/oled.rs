//! An SSD1306 OLED of 128 x 64 pixels on I2C, address 0x3C.

use embedded_hal::i2c::I2c;
use ocelli_panel::{Screen, WIDTH};
use ssd1306::command::AddrMode;
use ssd1306::mode::BasicMode;
use ssd1306::prelude::*;
use ssd1306::{I2CDisplayInterface, Ssd1306};

/// The screen.
pub struct Oled<I>(Ssd1306<I2CInterface<I>, DisplaySize128x64, BasicMode>);

impl<I: I2c> Oled<I> {
    /// One that is not started yet.
    pub fn new(i2c: I) -> Self {
        Self(Ssd1306::new(I2CDisplayInterface::new(i2c), DisplaySize128x64, DisplayRotation::Rotate0))
    }
}

impl<I: I2c> Screen for Oled<I> {
    fn start(&mut self) -> bool {
        self.0.init_with_addr_mode(AddrMode::Horizontal).is_ok()
    }

    fn show(&mut self, page: u8, columns: &[u8; WIDTH]) -> bool {
        let (top, bottom) = (page * 8, page * 8 + 8);
        let area = self.0.set_draw_area((0, top), (WIDTH as u8, bottom));
        area.and_then(|()| self.0.draw(columns)).is_ok()
    }
}
