//! Parts of the date, in UTC, for a value in Unix seconds.

use super::implementation::ValueFn;

pub(super) fn function(name: &str) -> Option<ValueFn> {
    let f: ValueFn = match name {
        "day_of_month" => |v, _| date(v).day as f64,
        "day_of_week" => |v, _| (days(v) + THURSDAY).rem_euclid(7) as f64,
        "day_of_year" => |v, _| day_of_year(v) as f64,
        "days_in_month" => |v, _| days_in_month(date(v)) as f64,
        "hour" => |v, _| (seconds_of_day(v) / 3600) as f64,
        "minute" => |v, _| (seconds_of_day(v) / 60 % 60) as f64,
        "month" => |v, _| date(v).month as f64,
        "year" => |v, _| date(v).year as f64,
        _ => return None,
    };
    Some(f)
}

const DAY_SECONDS: u64 = 86_400;

/// The weekday of 1970-01-01.
const THURSDAY: i64 = 4;

/// Days from Go's absolute zero, the first of March of the year -292277022400, to 1970-01-01. Go
/// counts unsigned from there, and earlier times wrap around.
const EPOCH_DAYS: i64 = 106_751_990_353_932 + 719_162 + 306;

/// Returns the seconds since that zero. Like Prometheus on its usual processors, it takes the least
/// integer for NaN and for every value that does not fit.
fn absolute(v: f64) -> u64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
    let seconds = if fits { v as i64 } else { i64::MIN };
    let epoch = (EPOCH_DAYS as u64).wrapping_mul(DAY_SECONDS);
    (seconds as u64).wrapping_add(epoch)
}

/// Returns the days since 1970-01-01.
fn days(v: f64) -> i64 {
    (absolute(v) / DAY_SECONDS) as i64 - EPOCH_DAYS
}

fn seconds_of_day(v: f64) -> u64 {
    absolute(v) % DAY_SECONDS
}

#[derive(Clone, Copy)]
struct Date {
    year: i64,
    /// Counts from 1.
    month: i64,
    /// Counts from 1.
    day: i64,
}

/// Returns the Gregorian date, extended to the times before that calendar. It counts in years that
/// begin in March, so that the leap day comes last, and in eras of 400 years, which are all alike.
fn date(v: f64) -> Date {
    const ERA_DAYS: i64 = 146_097;
    let since_march_of_0 = days(v) + 719_468;
    let era = since_march_of_0.div_euclid(ERA_DAYS);
    let day_of_era = since_march_of_0.rem_euclid(ERA_DAYS);
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let before_year = 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
    let day_of_year = day_of_era - before_year;
    // Five months have 153 days, from March as well as from August on.
    let months = (5 * day_of_year + 2) / 153;
    let month = if months < 10 { months + 3 } else { months - 9 };
    Date {
        year: 400 * era + year_of_era + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * months + 2) / 5 + 1,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(date: Date) -> i64 {
    match date.month {
        2 => 28 + i64::from(is_leap(date.year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn day_of_year(v: f64) -> i64 {
    let date = date(v);
    let before = (1..date.month).map(|month| days_in_month(Date { month, ..date }));
    before.sum::<i64>() + date.day
}
