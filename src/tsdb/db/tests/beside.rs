//! Tests of deletions while a query is open. The samples stay in the head until the query ends;
//! once they came back from there into whatever was written meanwhile.

use super::power::opened_within;
use super::*;

/// Returns the series that have samples.
fn rows(world: &World) -> Vec<(String, String)> {
    let mut rows = world.all();
    rows.retain(|(_, samples)| !samples.is_empty());
    rows
}

#[test]
fn what_is_deleted_beside_a_query_stays_deleted() {
    let world = start(&Double::new(), |options| {
        options.out_of_order_window = Duration::from_secs(3600);
    });
    let a = fill(&world.db, "n=a", [10, 20, 30]);
    fill(&world.db, "n=b", [10, 20, 30]);
    commit(&world.db, &[(a, 15, 15.0)]);
    let before = expected(&[("a", &[10, 15, 20, 30]), ("b", &[10, 20, 30])]);
    let open = world.db.querier(ALL.0, ALL.1).unwrap();
    world
        .db
        .delete(&[Matcher::equal("n", "a")], 15, 20)
        .unwrap();
    world
        .db
        .delete(&[Matcher::equal("n", "b")], 0, 100)
        .unwrap();
    assert_eq!(rows(&world), expected(&[("a", &[10, 30])]));
    assert_eq!(read(&*open, &[]), before, "a view sees what it saw");

    // More samples come, in order and late, for the series that are still held.
    commit(&world.db, &[(a, 40, 40.0), (a, 25, 25.0)]);
    let after = expected(&[("a", &[10, 25, 30, 40])]);
    assert_eq!(rows(&world), after);
    let snapshot = format!("snapshots/{}", world.db.snapshot(false).unwrap());
    assert_eq!(rows(&opened_within(&world.disk, &snapshot)), after);
    for _ in 0..2 {
        world.db.flush().unwrap();
        assert_eq!(rows(&world), after);
        assert_eq!(rows(&world.killed()), after);
    }
    commit(&world.db, &[(a, 50, 50.0)]);
    world
        .db
        .delete(&[Matcher::equal("n", "a")], 25, 40)
        .unwrap();
    let after = expected(&[("a", &[10, 50])]);
    assert_eq!(rows(&world), after);
    world.db.clean_tombstones().unwrap();
    assert_eq!(rows(&world.killed()), after);

    assert_eq!(read(&*open, &[]), before);
    drop(open);
    world.db.flush().unwrap();
    assert_eq!(rows(&world), after);
    assert_eq!(rows(&world.killed()), after);
    assert_eq!(
        world.db.stats().unwrap().chunks,
        0,
        "the head holds nothing any more"
    );
}
