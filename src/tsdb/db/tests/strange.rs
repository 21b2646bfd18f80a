//! Tests of labels that nobody would write: they are stored, or refused in words, and affect no
//! others.

use super::*;
use crate::model::Labels;

fn check(what: &str, labels: &Labels) {
    let world = World::new();
    let plain = fill(&world.db, "n=plain", [1, 2]);
    let strange = world.db.resolve(labels);
    let Ok(strange) = strange else {
        println!("{what}: {}", strange.unwrap_err());
        assert_eq!(world.killed().all(), expected(&[("plain", &[1, 2])]));
        return;
    };
    commit(&world.db, &[(plain, 3, 3.0), (strange, 3, 3.0)]);
    let all = world.all();
    assert_eq!(all.len(), 2, "{what}");
    assert!(all == world.killed().all(), "{what} after a kill");
    world.db.flush().unwrap();
    assert!(all == world.all(), "{what} in a block");
    commit(&world.db, &[(plain, 4, 4.0), (strange, 4, 4.0)]);
    world.db.flush().unwrap();
    let all = world.all();
    let killed = world.killed();
    assert!(all == killed.all(), "{what} in two");
    killed
        .db
        .delete(&[Matcher::equal("n", "plain")], 1, 4)
        .unwrap();
    killed.db.clean_tombstones().unwrap();
    assert_eq!(killed.all().len(), 1, "{what} alone");
    assert!(all.contains(&killed.all()[0]));
}

#[test]
fn labels_of_all_sizes() {
    let value = |bytes: usize| Labels::from_pairs([("n", "x".repeat(bytes))]);
    for kib in [65, 1_500, 2_100] {
        check(&format!("a value of {kib} KiB"), &value(kib << 10));
    }
    let name = Labels::from_pairs([("x".repeat(65 << 10), "v")]);
    check("a name of 65 KiB", &name);
    for count in [10_000, 65_536] {
        let pairs = (0..count).map(|i| (format!("l{i:06}"), i.to_string()));
        let pairs: Vec<_> = pairs.collect();
        let pairs = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        check(&format!("{count} labels"), &Labels::from_sorted(pairs));
    }
}

#[test]
fn every_character() {
    // All characters of one and two bytes, and some of the others.
    let some = ('\0'..='\u{800}').chain(('\u{800}'..=char::MAX).step_by(97));
    let text: String = some.collect();
    let labels = Labels::from_pairs([("n", text.as_str()), (&text, "v")]);
    check("characters", &labels);
    for c in [
        '\0',
        '\u{7f}',
        '\u{80}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        char::MAX,
    ] {
        let labels = Labels::from_pairs([(format!("n{c}"), c.to_string())]);
        check(&format!("{c:?}"), &labels);
    }
}
