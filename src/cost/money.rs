//! Amounts of money.

use serde::{Serialize, Serializer};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// Nano-dollars (10⁻⁹ USD), negative ones included. The cheapest thing that is priced, one GET, is 400 of them, so that
/// rounding to whole ones stays far below a cent for any number of lines that fits into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i128);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// So many cents.
    pub const fn from_cents(cents: i64) -> Money {
        Money(cents as i128 * 10_000_000)
    }

    /// To the nearest cent, halves away from zero.
    pub fn cents(self) -> i128 {
        self.rounded(10_000_000)
    }

    /// Dollars, for statistics and charts; not for sums.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// How large a part of `whole` this is; `None` where there is no whole.
    pub fn share_of(self, whole: Money) -> Option<f64> {
        (whole.0 > 0).then(|| self.0 as f64 / whole.0 as f64)
    }

    fn rounded(self, unit: i128) -> i128 {
        let away = if self.0 < 0 { -unit / 2 } else { unit / 2 };
        self.0.saturating_add(away) / unit
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

/// Dollars as a number, for machines.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Money::add)
    }
}

/// Dollars and cents, `$1,234.50`; whole dollars under `{:.0}`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole_only = f.precision() == Some(0);
        let rounded = if whole_only { self.rounded(1_000_000_000) } else { self.cents() };
        let (size, sign) = (rounded.unsigned_abs(), if rounded < 0 { "-" } else { "" });
        let (whole, cents) = if whole_only { (size, 0) } else { (size / 100, size % 100) };
        let digits = whole.to_string();
        let mut text = format!("{sign}$");
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        if !whole_only {
            text.push_str(&format!(".{cents:02}"));
        }
        f.pad_integral(true, "", &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_when_they_are_shown() {
        let cases = [
            (0, "$0.00", "$0"),
            (4_999_999, "$0.00", "$0"),
            (5_000_000, "$0.01", "$0"),
            (500_000_000, "$0.50", "$1"),
            (-1_204_999_999, "-$1.20", "-$1"),
            (-4_999_999, "$0.00", "$0"),
            (1_234_567_890_000_000, "$1,234,567.89", "$1,234,568"),
            (999_995_000_000, "$1,000.00", "$1,000"),
        ];
        for (nanos, cents, whole) in cases {
            assert_eq!(Money(nanos).to_string(), cents);
            assert_eq!(format!("{:.0}", Money(nanos)), whole);
        }
        assert_eq!(format!("{:>8}|", Money::from_cents(123)), "   $1.23|");
        assert_eq!(Money::from_cents(-123).cents(), -123);
    }
}
