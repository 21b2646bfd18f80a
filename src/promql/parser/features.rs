//! The parts of the language beyond the stable ones.

/// The features switched on by `--enable-feature`; all are off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`.
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_ranges: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
    /// `use-start-timestamps`, which `start_timestamp()` needs as well.
    pub start_timestamps: bool,
}

impl Features {
    /// Switches everything on.
    pub fn all() -> Features {
        Features {
            experimental_functions: true,
            extended_ranges: true,
            fill_modifiers: true,
            start_timestamps: true,
        }
    }
}
