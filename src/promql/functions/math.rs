//! Functions of one value. Where formulas round differently, they are those of Go's `math`, so that
//! `floor(log10(1000))` gives the same number in both.

use std::f64::consts::{LN_2, LN_10, PI};

use super::implementation::ValueFn;
use crate::promql::eval::absent;

pub(super) fn function(name: &str) -> Option<ValueFn> {
    let f: ValueFn = match name {
        "abs" => |v, _| v.abs(),
        "acos" => |v, _| libm::acos(v),
        "acosh" => |v, _| acosh(v),
        "asin" => |v, _| libm::asin(v),
        "asinh" => |v, _| asinh(v),
        "atan" => |v, _| libm::atan(v),
        "atanh" => |v, _| v.atanh(),
        "ceil" => |v, _| v.ceil(),
        "clamp" => |v, args| match args {
            [least, most] => clamp(v, *least, *most),
            _ => absent(),
        },
        "clamp_max" => |v, args| clamp(v, f64::NEG_INFINITY, argument(args, f64::NAN)),
        "clamp_min" => |v, args| clamp(v, argument(args, f64::NAN), f64::INFINITY),
        "cos" => |v, _| libm::cos(v),
        "cosh" => |v, _| cosh(v),
        "deg" => |v, _| v * 180.0 / PI,
        "exp" => |v, _| v.exp(),
        "floor" => |v, _| v.floor(),
        "ln" => |v, _| v.ln(),
        "log10" => |v, _| log2(v) * (LN_2 / LN_10),
        "log2" => |v, _| log2(v),
        "rad" => |v, _| v * PI / 180.0,
        "round" => |v, args| round(v, argument(args, 1.0)),
        "sgn" => |v, _| sign(v),
        "sin" => |v, _| libm::sin(v),
        "sinh" => |v, _| sinh(v),
        "sqrt" => |v, _| v.sqrt(),
        "tan" => |v, _| libm::tan(v),
        "tanh" => |v, _| v.tanh(),
        _ => return None,
    };
    Some(f)
}

fn argument(args: &[f64], otherwise: f64) -> f64 {
    args.first().copied().unwrap_or(otherwise)
}

/// Returns no value if `least` is above `most`.
fn clamp(v: f64, least: f64, most: f64) -> f64 {
    if most < least {
        return absent();
    }
    greater(least, lesser(most, v))
}

/// Returns the maximum as Go's `math.Max` does: infinity wins over NaN, and 0 is above -0.
fn greater(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == b {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Returns the minimum as Go's `math.Min` does.
fn lesser(a: f64, b: f64) -> f64 {
    -greater(-a, -b)
}

/// Rounds to the nearest multiple, a half upwards. It uses the inverse, which is exact for 0.1 and
/// the like.
fn round(v: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (v * inverse + 0.5).floor() / inverse
}

fn sign(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// Takes the logarithm of the fraction, so that powers of two are exact.
fn log2(v: f64) -> f64 {
    let (fraction, exponent) = split(v);
    if fraction == 0.5 {
        return exponent - 1.0;
    }
    fraction.ln() * (1.0 / LN_2) + exponent
}

/// Splits `v = fraction * 2^exponent`. The fraction's magnitude is from a half to below 1.
fn split(v: f64) -> (f64, f64) {
    const EXPONENT: u64 = 0x7ff << 52;
    const HALF: u64 = 1022 << 52;
    if v == 0.0 || !v.is_finite() {
        return (v, 0.0);
    }
    let (normal, shift) = if v.abs() < f64::MIN_POSITIVE {
        (v * 4_503_599_627_370_496.0, 52)
    } else {
        (v, 0)
    };
    let bits = normal.to_bits();
    let exponent = ((bits & EXPONENT) >> 52) as i64 - 1022 - shift;
    (f64::from_bits(bits & !EXPONENT | HALF), exponent as f64)
}

/// Above this, the smaller of the two exponentials makes no difference.
const EXPONENTIAL_ALONE: f64 = 21.0;

fn sinh(v: f64) -> f64 {
    let x = v.abs();
    let positive = if x > EXPONENTIAL_ALONE {
        x.exp() * 0.5
    } else if x > 0.5 {
        let exponential = x.exp();
        (exponential - 1.0 / exponential) * 0.5
    } else {
        return v.sinh();
    };
    positive.copysign(v)
}

fn cosh(v: f64) -> f64 {
    let x = v.abs();
    if x > EXPONENTIAL_ALONE {
        return x.exp() * 0.5;
    }
    let exponential = x.exp();
    (exponential + 1.0 / exponential) * 0.5
}

/// Above this, adding 1 to the square of a number changes nothing.
const SQUARE_ALONE: f64 = 268_435_456.0;

fn asinh(v: f64) -> f64 {
    let x = v.abs();
    let positive = if x > SQUARE_ALONE {
        x.ln() + LN_2
    } else if x > 2.0 {
        (2.0 * x + 1.0 / ((x * x + 1.0).sqrt() + x)).ln()
    } else if x < 1.0 / SQUARE_ALONE {
        x
    } else {
        (x + x * x / (1.0 + (1.0 + x * x).sqrt())).ln_1p()
    };
    positive.copysign(v)
}

fn acosh(v: f64) -> f64 {
    if v < 1.0 {
        // The formulas below would make an infinity of squares that overflow.
        f64::NAN
    } else if v >= SQUARE_ALONE {
        v.ln() + LN_2
    } else if v > 2.0 {
        (2.0 * v - 1.0 / (v + (v * v - 1.0).sqrt())).ln()
    } else {
        let above = v - 1.0;
        (above + (2.0 * above + above * above).sqrt()).ln_1p()
    }
}
