//! Tests of clocks that jump. Samples scraped under each clock are there, "now" gives the samples
//! of now, and retention believes no jump at once.

use super::*;
use crate::stdx::clock::Step;

const DAY: i64 = 24 * HOUR;
/// 74 years after [`NOW`].
const IN_2100: i64 = 4_102_444_800_000 - NOW;

impl World {
    fn at(disk: &Double, wall_ms: i64, change: impl FnOnce(&mut Options)) -> World {
        let clock = ManualClock::new(wall_ms);
        let shared = clock.clone();
        let world = start(disk, |o| {
            o.clock = Arc::new(shared);
            change(o);
        });
        World { clock, ..world }
    }

    /// Kills and restarts it at the same time.
    fn again(&self) -> World {
        World::at(&self.disk.copy(), self.now(), |_| {})
    }

    fn now(&self) -> i64 {
        crate::stdx::clock::Clock::wall_ms(&self.clock)
    }

    /// Moves time forward without the thread noticing.
    fn pass(&self, ms: i64) {
        self.clock.step_wall(ms);
    }

    /// Lets the thread tick once.
    fn tick(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.db.look();
    }

    /// Sets the wall clock. Without `seen`, no tick of the thread has reported it yet.
    fn step(&self, by_ms: i64, seen: bool) {
        let from_ms = self.now();
        self.clock.step_wall(by_ms);
        if seen {
            let to_ms = from_ms + by_ms;
            self.db.0.shared.on_step(Step { from_ms, to_ms }).unwrap();
        }
    }

    /// Scrapes every 15 s. Returns how many of the samples were accepted.
    fn scrape(&self, times: usize) -> u64 {
        let series = ["n=a", "n=b"].map(|name| resolve(&self.db, name));
        let once = |_| {
            self.pass(15_000);
            let t = self.now();
            commit(&self.db, &series.map(|s| (s, t, (t - NOW) as f64))).appended
        };
        (0..times).map(once).sum()
    }

    /// Returns the time of the newest sample that an instant query sees now.
    fn newest_seen(&self) -> Option<i64> {
        let querier = self.db.querier(self.now() - 5 * MINUTE, self.now());
        let found = read(&*querier.unwrap(), &[Matcher::equal("n", "a")]);
        let last = found.first()?.1.rsplit(' ').next()?.split('=').next()?;
        last.parse().ok()
    }

    /// The number of samples in the first series.
    fn count(&self) -> usize {
        self.all()[0].1.split(' ').count()
    }

    fn corrected(&self) -> u64 {
        self.db.stats().unwrap().corrected
    }

    /// Returns where blocks begin and end, in hours from [`NOW`].
    fn spans(&self) -> Vec<(i64, i64)> {
        let hours = |t: i64| (t - NOW).div_euclid(HOUR);
        let metas = self.db.blocks().unwrap();
        metas
            .iter()
            .map(|m| (hours(m.min_t), hours(m.max_t)))
            .collect()
    }
}

#[test]
fn after_a_step_back_everything_is_taken() {
    let check = |by_ms: i64, seen: bool, taken: u64| {
        let world = World::new();
        world.scrape(4);
        world.step(by_ms, true);
        world.scrape(4);
        world.step(-by_ms, seen);
        assert_eq!(world.scrape(8), taken, "{by_ms}");
        assert_eq!(world.again().all(), world.all(), "{by_ms}");
        if taken > 0 {
            assert_eq!(world.newest_seen(), Some(world.now()), "{by_ms}");
        }
    };
    for seen in [false, true] {
        for by_ms in [15 * MINUTE, 2 * HOUR, 30 * DAY, IN_2100] {
            check(by_ms, seen, 16);
        }
    }
    // A commit sees what no look of the thread has seen.
    for seen in [false, true] {
        check(5 * MINUTE, seen, 16);
        check(9 * MINUTE, seen, 16);
    }
}

#[test]
fn once_it_is_in_a_block_the_future_costs_nothing() {
    let world = World::new();
    world.step(3 * HOUR, true);
    world.scrape(4);
    world.step(-3 * HOUR, true);
    assert_eq!(world.scrape(4), 8);
    assert_eq!(world.corrected(), 8);
    world.db.flush().unwrap();
    assert_eq!(world.spans(), [(0, 0), (3, 3)]);
    assert_eq!(world.scrape(4), 8);
    assert_eq!(world.corrected(), 8, "in order again");
    assert_eq!(world.newest_seen(), Some(world.now()));
    assert_eq!(world.count(), 12);
    let again = world.again();
    assert_eq!(again.all(), world.all());
    assert_eq!(again.scrape(4), 8);
    assert_eq!(again.corrected(), 0);
    // When the clock reaches that time again, everything goes on.
    again.step(3 * HOUR, true);
    assert_eq!(again.scrape(40), 80);
    assert_eq!(again.again().all(), again.all());
    assert_eq!(again.count(), 12 + 4 + 40);
}

#[test]
fn the_thread_makes_that_block_by_itself() {
    let world = World::new();
    world.step(3 * HOUR, true);
    world.scrape(4);
    world.step(-3 * HOUR, true);
    world.scrape(1);
    world.tick();
    assert_eq!(world.spans(), [(0, 0), (3, 3)]);
    let before = world.corrected();
    world.scrape(200);
    world.tick();
    assert_eq!(world.corrected(), before);
    assert_eq!(world.spans().len(), 2, "one is enough");
}

#[test]
fn the_thread_tells_of_steps() {
    let world = World::new();
    world.tick();
    assert_eq!(world.db.last_clock_step(), None);
    world.clock.step_wall(-HOUR);
    world.tick();
    let step = Step {
        from_ms: NOW + 2_000,
        to_ms: NOW + 2_000 - HOUR,
    };
    assert_eq!(world.db.last_clock_step(), Some(step));
    let metrics = &world.db.head().metrics;
    assert_eq!(metrics.last_step.get(), -3600.0);
}

/// Received samples are judged as ever: senders' clocks may be some minutes ahead.
#[test]
fn a_sender_ahead_of_us_is_told_what_is_out_of_order() {
    let world = World::new();
    let a = resolve(&world.db, "n=a");
    commit(&world.db, &[(a, NOW + 10 * MINUTE, 1.0)]);
    let refused = |t: i64| {
        let done = commit(&world.db, &[(a, t, 1.0)]);
        (done.out_of_order, done.too_old, done.appended)
    };
    assert_eq!(refused(NOW), (1, 0, 0));
    assert_eq!(refused(NOW - 50 * MINUTE), (1, 0, 0));
    assert_eq!(refused(NOW - 50 * MINUTE - 1), (0, 1, 0));
    // Further ahead than anyone may date, and no further back than the clock allows.
    commit(&world.db, &[(a, NOW + DAY, 1.0)]);
    assert_eq!(refused(NOW + 11 * MINUTE), (1, 0, 0));
    assert_eq!(refused(NOW), (0, 0, 1));
    assert_eq!(refused(NOW), (0, 0, 1), "the same once more");
    assert_eq!(refused(NOW - 50 * MINUTE - 1), (0, 1, 0));
    let querier = world.db.querier(NOW, NOW).unwrap();
    assert_eq!(read(&*querier, &[])[0].1, format!("{NOW}=1"));
}

#[test]
fn a_jump_to_2100_and_back_deletes_nothing_and_goes_with_its_time() {
    let keeps = |o: &mut Options| o.retention.time = Duration::from_secs(2 * 86_400);
    let world = World::at(&Double::new(), NOW, keeps);
    world.scrape(40);
    world.db.flush().unwrap();
    world.scrape(40);
    world.step(IN_2100, true);
    world.scrape(40);
    world.db.collect_garbage().unwrap();
    world.db.flush().unwrap();
    let years = IN_2100.div_euclid(HOUR);
    let of_future = |world: &World| world.spans().iter().filter(|s| s.0 >= years).count();
    assert_eq!((of_future(&world), world.spans()[0]), (1, (0, 0)));
    assert_eq!(world.count(), 120);
    world.step(-IN_2100, true);
    for hour in 0..47 {
        world.pass(HOUR - MINUTE);
        assert_eq!(world.scrape(4), 8);
        if hour % 7 == 6 {
            world.db.flush().unwrap();
        }
    }
    assert_eq!(of_future(&world), 1);
    assert_eq!(world.spans()[0], (0, 0), "not two days old yet");
    for _ in 0..12 {
        world.pass(HOUR - MINUTE);
        world.scrape(4);
    }
    world.db.flush().unwrap();
    assert!(world.spans()[0].0 > 0, "it is now");
    assert_eq!(of_future(&world), 0, "as old as the one that was made next");
}

#[test]
fn a_clock_that_jumps_ahead_is_believed_after_a_day() {
    let keeps = |o: &mut Options| o.retention.time = Duration::from_secs(86_400);
    let world = World::at(&Double::new(), NOW, keeps);
    world.scrape(40);
    world.db.flush().unwrap();
    world.step(100 * DAY, true);
    let mut hours = 0;
    while world.spans()[0].0 == 0 {
        world.pass(HOUR - 15_000);
        assert_eq!(world.scrape(1), 2);
        world.db.flush().unwrap();
        hours += 1;
    }
    assert_eq!(
        hours, 13,
        "half of it counts, until as much stands after it"
    );
}

#[test]
fn a_boot_in_1970() {
    let world = World::at(&Double::new(), 0, |o| {
        o.retention.time = Duration::from_secs(12 * 3_600);
    });
    world.scrape(20);
    world.step(NOW, true);
    assert_eq!(world.scrape(20), 40);
    assert_eq!(world.count(), 40);
    world.db.flush().unwrap();
    let long = NOW.div_euclid(HOUR);
    assert_eq!(world.spans(), [(-long - 1, -long - 1), (0, 0)]);
    let again = world.again();
    assert_eq!(again.all(), world.all());
    // The next boot begins there too.
    let reboot = World::at(&world.disk.copy(), 0, |_| {});
    assert_eq!(reboot.scrape(20), 40);
    reboot.step(NOW + HOUR, true);
    assert_eq!(reboot.scrape(20), 40);
    reboot.db.flush().unwrap();
    assert!(
        reboot.spans().iter().all(|s| s.1 - s.0 <= 1),
        "none is over the years"
    );
    assert_eq!(reboot.again().all(), reboot.all());
}

/// A crash between the blocks of a flush leaves no gaps, and no block that claims too much.
#[test]
fn a_power_cut_at_any_operation_of_such_a_flush() {
    for number in 0.. {
        let world = World::new();
        world.scrape(4);
        world.step(3 * HOUR, true);
        world.scrape(4);
        world.step(-3 * HOUR, true);
        world.scrape(4);
        let all = world.all();
        world
            .db
            .0
            .shared
            .store
            .as_ref()
            .unwrap()
            .segments
            .sync()
            .unwrap();
        let next = world.disk.operations() + number;
        world.disk.fault(next, Fault::PowerCut);
        let _ = world.db.flush();
        for choice in [Choice::Nothing, Choice::Everything, Choice::Seed(number)] {
            let disk = world.disk.crash(choice);
            let again = World::at(&disk, world.now(), |_| {});
            assert_eq!(again.all(), all, "{number} {choice:?}");
            assert_eq!(again.scrape(4), 8, "{number} {choice:?}");
            again.db.flush().unwrap();
            assert_eq!(again.again().all(), again.all(), "{number} {choice:?}");
        }
        if world.disk.operations() <= next {
            assert!(number > 10, "{number}");
            break;
        }
    }
}

/// Whatever the clock does, and whenever the process is killed, accepted samples are there once.
#[test]
fn any_steps() {
    for seed in 1..40_u64 {
        let mut state = seed;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let mut world = World::new();
        let mut taken: [std::collections::BTreeMap<i64, i64>; 2] = Default::default();
        let mut views = Vec::new();
        for round in 0..60 {
            match random(8) {
                0 => {
                    let by = [HOUR, 3 * HOUR, DAY, -HOUR, -2 * HOUR, -30 * MINUTE];
                    world.step(by[random(6) as usize], random(2) == 0);
                }
                1 => {
                    world.db.flush().unwrap();
                }
                2 if round % 3 == 0 => {
                    views.clear();
                    world = world.again();
                }
                3 => views.push(world.db.querier(ALL.0, ALL.1).unwrap()),
                4 => views.clear(),
                5 => world.db.collect_garbage().unwrap(),
                _ => {
                    for _ in 0..random(5) {
                        world.pass(15_000);
                        let t = world.now();
                        for (i, name) in ["n=a", "n=b"].iter().enumerate() {
                            let series = resolve(&world.db, name);
                            let v = t - NOW;
                            if commit(&world.db, &[(series, t, v as f64)]).appended == 1 {
                                taken[i].insert(t, v);
                            }
                        }
                    }
                }
            }
            let texts = taken.iter().filter(|of| !of.is_empty()).map(|of| {
                let texts: Vec<_> = of.iter().map(|(t, v)| format!("{t}={v}")).collect();
                texts.join(" ")
            });
            let found: Vec<_> = world.all().into_iter().map(|(_, text)| text).collect();
            assert_eq!(
                found,
                texts.collect::<Vec<_>>(),
                "seed {seed}, round {round}"
            );
        }
    }
}
