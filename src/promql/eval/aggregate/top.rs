//! `topk` and `bottomk`: a heap per group and step.

use super::groups::projection;
use super::heap::{Heap, Offer, Order};
use super::params::Params;
use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::eval::projection::Groups;
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::{Aggregate, Aggregator};

/// The bytes of an entry in a heap that grows by doubling.
const ENTRY_BYTES: usize = 2 * size_of::<(f64, u32)>();

pub(super) struct Top {
    chosen: std::iter::Peekable<std::vec::IntoIter<Chosen>>,
    candidates: Candidates,
    steps: usize,
    held: usize,
}

/// An entry that is in a heap at the end.
struct Chosen {
    /// The position of its series in the result.
    rank: u64,
    series: u32,
    step: u32,
    v: f64,
}

impl Top {
    /// Reads `input` into heaps.
    ///
    /// # Errors
    /// A limit; those of `input`.
    pub fn new<'q>(
        node: &Aggregate,
        mut input: Box<dyn Rows + 'q>,
        params: &Params,
        steps: usize,
        run: &mut Run<'_>,
    ) -> Result<Top, QueryError> {
        let order = Order {
            least_first: node.op == Aggregator::Bottomk,
        };
        let limits: Vec<usize> = (0..steps)
            .map(|step| params.values.at(step) as usize)
            .collect();
        let mut groups = Groups::new(projection(node));
        let mut heaps: Vec<Vec<Heap>> = Vec::new();
        let mut candidates = Candidates::default();
        let mut held = 0;
        while let Some(row) = input.next(run)? {
            run.check()?;
            let group = groups.number(&row.labels);
            if group == heaps.len() {
                run.hold(0, steps * size_of::<Heap>())?;
                heaps.push(vec![Heap::default(); steps]);
            }
            let Some(heaps) = heaps.get_mut(group) else {
                continue;
            };
            let number = candidates.place(&row);
            let mut grown = 0;
            for ((heap, &limit), &v) in heaps.iter_mut().zip(&limits).zip(&row.values) {
                if is_absent(v) || limit == 0 {
                    continue;
                }
                match heap.offer((v, number), limit, order) {
                    Offer::Refused => continue,
                    Offer::Taken => grown += 1,
                    Offer::Instead(other) => candidates.leaves(other, run),
                }
                candidates.enters(number);
            }
            held += grown;
            run.hold(grown, grown * ENTRY_BYTES)?;
            candidates.settle(number, run)?;
        }
        run.release(0, heaps.len() * steps * size_of::<Heap>());
        Ok(Top {
            chosen: chosen(heaps, order, steps).into_iter().peekable(),
            candidates,
            steps,
            held,
        })
    }
}

/// Returns all entries, by series. At a single step they are in the heaps' order, best first.
fn chosen(heaps: Vec<Vec<Heap>>, order: Order, steps: usize) -> Vec<Chosen> {
    let mut chosen = Vec::new();
    for heap in heaps {
        for (step, heap) in heap.into_iter().enumerate() {
            for (v, series) in heap.sorted(order) {
                let rank = if steps == 1 {
                    chosen.len() as u64
                } else {
                    u64::from(series)
                };
                chosen.push(Chosen {
                    rank,
                    series,
                    step: step as u32,
                    v,
                });
            }
        }
    }
    chosen.sort_by_key(|c| c.rank);
    chosen
}

impl Rows for Top {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        run.check()?;
        let Some((rank, series)) = self.chosen.peek().map(|c| (c.rank, c.series)) else {
            run.release(self.held, self.held * ENTRY_BYTES);
            self.held = 0;
            return Ok(None);
        };
        let mut values = vec![absent(); self.steps];
        while let Some(chosen) = self.chosen.next_if(|c| c.rank == rank) {
            if let Some(value) = values.get_mut(chosen.step as usize) {
                *value = chosen.v;
            }
        }
        let (labels, drops_name) = self.candidates.take(series, run);
        Ok(Some(Row {
            labels,
            drops_name,
            values,
        }))
    }
}

/// The series that are in some heap.
#[derive(Default)]
struct Candidates {
    places: Vec<Candidate>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Candidate {
    labels: Labels,
    drops_name: bool,
    /// The number of heaps that it is in.
    heaps: u32,
    held: usize,
}

impl Candidates {
    /// Gives a series a number. [`Candidates::settle`] says later whether it stays.
    fn place(&mut self, row: &Row) -> u32 {
        let candidate = Candidate {
            labels: row.labels.clone(),
            drops_name: row.drops_name,
            heaps: 0,
            held: 0,
        };
        if let Some(number) = self.free.pop()
            && let Some(place) = self.places.get_mut(number as usize)
        {
            *place = candidate;
            return number;
        }
        self.places.push(candidate);
        (self.places.len() - 1) as u32
    }

    fn enters(&mut self, number: u32) {
        if let Some(place) = self.places.get_mut(number as usize) {
            place.heaps += 1;
        }
    }

    fn leaves(&mut self, number: u32, run: &mut Run<'_>) {
        let Some(place) = self.places.get_mut(number as usize) else {
            return;
        };
        place.heaps -= 1;
        if place.heaps == 0 {
            run.release(0, place.held);
            self.free.push(number);
        }
    }

    /// Forgets a series that no heap has taken.
    fn settle(&mut self, number: u32, run: &mut Run<'_>) -> Result<(), QueryError> {
        let Some(place) = self.places.get_mut(number as usize) else {
            return Ok(());
        };
        if place.heaps == 0 {
            self.free.push(number);
            return Ok(());
        }
        place.held = size_of::<Candidate>() + place.labels.heap_bytes();
        run.hold(0, place.held)
    }

    fn take(&mut self, number: u32, run: &mut Run<'_>) -> (Labels, bool) {
        let Some(place) = self.places.get_mut(number as usize) else {
            return (Labels::default(), false);
        };
        run.release(0, std::mem::take(&mut place.held));
        (place.labels.clone(), place.drops_name)
    }
}
