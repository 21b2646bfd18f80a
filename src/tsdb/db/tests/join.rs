//! Tests that series in several blocks and the head are found once, whole, in every order.

use std::collections::BTreeMap;

use super::*;
use crate::storage::SeriesSet;

/// More than a batch of the head or of a block.
const SERIES: i64 = 300;
/// The last is the head, the others are blocks.
const PARTS: i64 = 4;

type Found = BTreeMap<String, String>;

fn is_in(series: i64, part: i64) -> bool {
    // NOTE: some are everywhere, some in one part, some in two that are not neighbours.
    match series % 5 {
        0 | 1 => true,
        2 => series / 5 % PARTS == part,
        3 => (series / 5 + part) % 2 == 0,
        _ => part > 0,
    }
}

/// The times of a part: ten samples per series, the first at the time of the last part's last.
fn times(part: i64) -> impl Iterator<Item = i64> {
    (0..10).map(move |i| (part * 9 + i) * 1_000)
}

fn name(series: i64) -> String {
    format!("n=x{},i={series},k={}", series % 7, series / 50)
}

fn add(found: &mut Found, series: i64, samples: &BTreeMap<i64, i64>) {
    let texts: Vec<_> = samples.iter().map(|(t, v)| format!("{t}={v}")).collect();
    let (n, k) = (series % 7, series / 50);
    let labels = format!(r#"{{i="{series}", k="{k}", n="x{n}"}}"#);
    found.insert(labels, texts.join(" "));
}

fn fill_parts(world: &World) -> Found {
    let mut all: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
    for part in 0..PARTS {
        let series: Vec<i64> = (0..SERIES).filter(|i| is_in(*i, part)).collect();
        let refs: Vec<_> = { series.iter() }
            .map(|i| resolve(&world.db, &name(*i)))
            .collect();
        for t in times(part) {
            let both = series.iter().zip(&refs);
            let batch: Vec<_> = both.map(|(i, s)| (*s, t, (t + i) as f64)).collect();
            commit(&world.db, &batch);
            for i in &series {
                all.entry(*i).or_default().insert(t, t + i);
            }
        }
        if part + 1 < PARTS {
            world.db.flush().unwrap();
        }
    }
    let mut found = Found::new();
    for (i, samples) in &all {
        add(&mut found, *i, samples);
    }
    found
}

fn check(world: &World, expected: &Found) {
    let view = world.db.querier(ALL.0, ALL.1).unwrap();
    check_ways(&*view, &[]);
    let found = read(&*view, &[]);
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<Found>(), *expected);
    for limit in [1, 40, 250, 1_000] {
        for any_order in [false, true] {
            let hints = SelectHints {
                limit,
                any_order,
                ..SelectHints::default()
            };
            let found = read_hinted(&*view, &hints, &[]);
            assert_eq!(found.len(), limit.min(expected.len()));
            for (labels, samples) in found {
                assert_eq!(expected.get(&labels), Some(&samples), "{labels}");
            }
        }
    }
    let one = read(&*view, &[Matcher::equal("n", "x3")]);
    let of_one = |(labels, _): &(&String, &String)| labels.contains("x3");
    assert!(
        one.iter()
            .map(|(l, s)| (l, s))
            .eq(expected.iter().filter(of_one).collect::<Vec<_>>())
    );
}

#[test]
fn series_in_many_places_are_found_once_and_whole() {
    let world = World::new();
    let expected = fill_parts(&world);
    assert_eq!(expected.len(), SERIES as usize);
    check(&world, &expected);
    // Places and numbers of pairs differ after a restart.
    check(&world.killed(), &expected);
}

#[test]
fn what_is_deleted_stays_deleted_and_comes_anew() {
    let world = World::new();
    fill_parts(&world);
    world
        .db
        .delete(&[Matcher::equal("k", "1")], ALL.0, ALL.1)
        .unwrap();
    let view = world.db.querier(ALL.0, ALL.1).unwrap();
    check_ways(&*view, &[Matcher::equal("k", "1")]);
    let samples = read(&*view, &[Matcher::equal("k", "1")]);
    assert!(samples.iter().all(|(_, samples)| samples.is_empty()));
    let t = 100_000;
    let series = resolve(&world.db, &name(60));
    commit(&world.db, &[(series, t, 1.0)]);
    let view = world.db.querier(ALL.0, ALL.1).unwrap();
    check_ways(&*view, &[]);
    let one = read(&*view, &[Matcher::equal("i", "60")]);
    assert_eq!(one[0].1, format!("{t}=1"));
}

/// The numbers of pairs that the head got after the selection began mean nothing to the selection.
#[test]
fn series_that_come_while_a_selection_is_read_are_not_met() {
    for any_order in [false, true] {
        let world = World::new();
        let series = |from: i64, to: i64, t: i64| {
            let batch: Vec<_> = (from..to)
                .map(|i| (resolve(&world.db, &name(i)), t, i as f64))
                .collect();
            commit(&world.db, &batch);
        };
        series(0, SERIES, 0);
        world.db.flush().unwrap();
        // Without samples and young pairs they go at the second collection.
        series(0, SERIES / 2, 3 * HOUR);
        world.db.collect_garbage().unwrap();
        world.db.collect_garbage().unwrap();
        let view = world.db.querier(ALL.0, ALL.1).unwrap();
        let hints = SelectHints {
            any_order,
            ..SelectHints::default()
        };
        let mut set = view.select(&hints, &[]).unwrap();
        let mut found = vec![text_of(&mut *set).unwrap()];
        for i in SERIES / 2..SERIES {
            commit(&world.db, &[(resolve(&world.db, &name(i)), 4 * HOUR, 0.0)]);
        }
        while let Some(next) = text_of(&mut *set) {
            found.push(next);
        }
        found.sort();
        let expected = |i| {
            let samples = if i < SERIES / 2 {
                BTreeMap::from([(0, i), (3 * HOUR, i)])
            } else {
                BTreeMap::from([(0, i)])
            };
            let mut one = Found::new();
            add(&mut one, i, &samples);
            one.pop_first().unwrap()
        };
        let mut all: Vec<_> = (0..SERIES).map(expected).collect();
        all.sort();
        assert_eq!(found, all);
    }
}

fn text_of(set: &mut dyn SeriesSet) -> Option<(String, String)> {
    let series = set.next()?.unwrap();
    let mut samples = Vec::new();
    series.read(ALL.0, ALL.1, &mut samples).unwrap();
    let texts: Vec<_> = samples.iter().map(|s| format!("{}={}", s.t, s.v)).collect();
    Some((series.labels().to_string(), texts.join(" ")))
}
