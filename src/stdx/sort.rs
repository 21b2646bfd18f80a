//! Sorting where lists are short, or seldom sorted.
//!
//! The standard library's sort takes 5 KB of code for each type and order that it is made for. This
//! one is made once, for places in the list, and takes some 300 bytes for each. It is stable, needs
//! memory for the places, and is some times slower for long lists of numbers.

use std::cmp::Ordering;

/// Sorts by the items' own order.
pub fn sort<T: Ord>(list: &mut [T]) {
    sort_by(list, T::cmp);
}

/// Sorts by a key of each item.
pub fn sort_by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(list, |a, b| key(a).cmp(&key(b)));
}

/// Sorts by an order.
#[expect(clippy::indexing_slicing, reason = "the places are those of the list")]
pub fn sort_by<T>(list: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    let mut places: Vec<usize> = (0..list.len()).collect();
    sort_places(&mut places, &|a, b| order(&list[a], &list[b]));
    for to in 0..places.len() {
        // NOTE: what was here when its turn came has been exchanged, maybe several times.
        let mut from = places[to];
        while from < to {
            from = places[from];
        }
        list.swap(to, from);
    }
}

#[inline(never)]
fn sort_places(places: &mut [usize], order: &dyn Fn(usize, usize) -> Ordering) {
    places.sort_by(|a, b| order(*a, *b));
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_the_standard_library_sorts(list in vec((0_u8..9, 0_u8..99), 0..60)) {
            let (mut by_key, mut whole) = (list.clone(), list.clone());
            sort_by_key(&mut by_key, |pair| pair.0);
            sort(&mut whole);
            let mut expect = list;
            expect.sort_by_key(|pair| pair.0);
            prop_assert_eq!(by_key, &*expect);
            expect.sort_unstable();
            prop_assert_eq!(whole, expect);
        }
    }
}
