//! Points of elliptic curves in the forms in which files have them (SEC 1 §2.3.3).
//!
//! The back ends give no way from a compressed point to the numbers that a JWK publishes, so the square root is taken here. All of it
//! is public, and happens once per key.

use super::error::KeyError;
use crate::jose::algorithm::Curve;

/// Little-endian limbs; P-256's numbers leave the upper two empty.
type Number = [u64; 6];

const P256_P: Number = [0xffff_ffff_ffff_ffff, 0xffff_ffff, 0, 0xffff_ffff_0000_0001, 0, 0];
const P256_B: Number = [
    0x3bce_3c3e_27d2_604b,
    0x651d_06b0_cc53_b0f6,
    0xb3eb_bd55_7698_86bc,
    0x5ac6_35d8_aa3a_93e7,
    0,
    0,
];
const P384_P: Number = [
    0xffff_ffff,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];
const P384_B: Number = [
    0x2a85_c8ed_d3ec_2aef,
    0xc656_398d_8a2e_d19d,
    0x0314_088f_5013_875a,
    0x181d_9c6e_fe81_4112,
    0x988e_056b_e3f8_2d19,
    0xb331_2fa7_e23e_e7e4,
];

/// `point` uncompressed, whichever form it has.
pub(crate) fn uncompressed(curve: Curve, point: &[u8]) -> Result<Vec<u8>, KeyError> {
    let len = curve.field_len();
    let malformed = || KeyError::Malformed("EC point");
    let (form, rest) = point.split_first().ok_or_else(malformed)?;
    match (form, rest.len()) {
        (4, whole) if whole == 2 * len => Ok(point.to_vec()),
        // The hybrid form has both coordinates, and says once more whether the second is odd.
        (6 | 7, whole) if whole == 2 * len && rest.last().is_some_and(|last| last & 1 == form & 1) => {
            Ok([&[4], rest].concat())
        }
        (2 | 3, half) if half == len => {
            let y = other_coordinate(curve, rest, form & 1 == 1).ok_or_else(malformed)?;
            Ok([&[4], rest, &y].concat())
        }
        _ => Err(malformed()),
    }
}

/// The `y` of the point at `x` that is odd, or even; `None` if the curve has no point there.
fn other_coordinate(curve: Curve, x: &[u8], odd: bool) -> Option<Vec<u8>> {
    let (p, b) = match curve {
        Curve::P256 => (P256_P, P256_B),
        Curve::P384 => (P384_P, P384_B),
    };
    let field = Field { p };
    let x = from_bytes(x);
    if !less(&x, &p) {
        return None;
    }
    // y² = x³ - 3x + b
    let cube = field.times(&field.times(&x, &x), &x);
    let thrice = field.plus(&field.plus(&x, &x), &x);
    let square = field.plus(&field.plus(&cube, &field.negative(&thrice)), &b);
    let root = field.root(&square);
    if field.times(&root, &root) != square {
        return None;
    }
    let is_odd = |number: &Number| number.first().is_some_and(|limb| limb & 1 == 1);
    let y = if is_odd(&root) == odd {
        root
    } else {
        field.negative(&root)
    };
    (is_odd(&y) == odd).then(|| to_bytes(&y, curve.field_len()))
}

/// Numbers modulo a prime that is one less than a multiple of four, as both are.
struct Field {
    p: Number,
}

impl Field {
    fn plus(&self, a: &Number, b: &Number) -> Number {
        let (sum, carry) = add(a, b);
        if carry || !less(&sum, &self.p) {
            subtract(&sum, &self.p)
        } else {
            sum
        }
    }

    fn negative(&self, a: &Number) -> Number {
        if *a == Number::default() {
            *a
        } else {
            subtract(&self.p, a)
        }
    }

    fn times(&self, a: &Number, b: &Number) -> Number {
        bits(a).skip_while(|bit| !bit).fold(Number::default(), |product, bit| {
            let twice = self.plus(&product, &product);
            if bit { self.plus(&twice, b) } else { twice }
        })
    }

    /// The square root, if there is one: the power of (p + 1) / 4.
    fn root(&self, a: &Number) -> Number {
        let mut one = Number::default();
        if let Some(limb) = one.first_mut() {
            *limb = 1;
        }
        let (above, _) = add(&self.p, &one);
        // The last two bits are left out, which divides by four.
        bits(&above)
            .take(384 - 2)
            .skip_while(|bit| !bit)
            .fold(one, |power, bit| {
                let square = self.times(&power, &power);
                if bit { self.times(&square, a) } else { square }
            })
    }
}

/// From the most significant one on.
fn bits(number: &Number) -> impl Iterator<Item = bool> {
    number
        .iter()
        .rev()
        .flat_map(|limb| (0..64).rev().map(move |shift| limb >> shift & 1 == 1))
}

fn less(a: &Number, b: &Number) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn add(a: &Number, b: &Number) -> (Number, bool) {
    let (mut sum, mut carry) = (Number::default(), false);
    for (to, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
        let (partial, first) = a.overflowing_add(*b);
        let (whole, second) = partial.overflowing_add(u64::from(carry));
        (*to, carry) = (whole, first || second);
    }
    (sum, carry)
}

/// Without the borrow: what is taken away is the smaller, or there was a carry that it uses up.
fn subtract(a: &Number, b: &Number) -> Number {
    let (mut difference, mut borrow) = (Number::default(), false);
    for (to, (a, b)) in difference.iter_mut().zip(a.iter().zip(b)) {
        let (partial, first) = a.overflowing_sub(*b);
        let (whole, second) = partial.overflowing_sub(u64::from(borrow));
        (*to, borrow) = (whole, first || second);
    }
    difference
}

fn from_bytes(bytes: &[u8]) -> Number {
    let mut number = Number::default();
    for (limb, chunk) in number.iter_mut().zip(bytes.rchunks(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    number
}

fn to_bytes(number: &Number, len: usize) -> Vec<u8> {
    let bytes: Vec<u8> = number.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    bytes
        .get(bytes.len().saturating_sub(len)..)
        .unwrap_or_default()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::generate;
    use crate::keys::material::Public;

    #[test]
    fn b10_every_form_of_a_point_is_the_same_point() {
        for curve in [Curve::P256, Curve::P384] {
            for _ in 0..4 {
                let private = generate::private(curve.algorithm()).unwrap();
                let Some(Public::Ec(_, point)) = private.public().unwrap() else {
                    panic!("a point");
                };
                let len = curve.field_len();
                let odd = point[2 * len] & 1;
                let compressed = [&[2 + odd], &point[1..=len]].concat();
                let hybrid = [&[6 + odd], &point[1..]].concat();
                for form in [&point, &compressed, &hybrid] {
                    assert_eq!(uncompressed(curve, form).unwrap(), point);
                }
                let mut other_half = compressed.clone();
                other_half[0] ^= 1;
                assert_ne!(uncompressed(curve, &other_half).unwrap(), point);
                let mut contradictory = hybrid.clone();
                contradictory[0] ^= 1;
                assert!(uncompressed(curve, &contradictory).is_err());
            }
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        for curve in [Curve::P256, Curve::P384] {
            let len = curve.field_len();
            // At every second x there is a point, so among 16 there are some with and some without.
            let missing = (0..16u8).filter(|last| {
                let mut point = vec![2];
                point.resize(len, 0);
                point.push(*last);
                uncompressed(curve, &point).is_err()
            });
            assert!((1..16).contains(&missing.count()));
            for malformed in [
                vec![],
                vec![0],
                vec![2],
                vec![4; len],
                vec![5; len + 1],
                [vec![2], vec![0xff; len]].concat(),
                vec![2; len],
                vec![2; len + 2],
                vec![4; 2 * len],
            ] {
                assert!(uncompressed(curve, &malformed).is_err(), "{malformed:?}");
            }
        }
    }
}
