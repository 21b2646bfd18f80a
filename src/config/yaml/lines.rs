//! Finds the lines of nodes. `serde_yaml` gives a line only with an error, so the text is walked
//! again for each number asked for, with an error at that node.

use std::collections::BTreeMap;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

use super::node::Id;

/// LIMIT: each line costs a parse, and nobody reads more errors at once.
const LINES_MAX: usize = 100;

/// LIMIT: a parse takes some 30 ns per byte on a large machine, and a reload waits for all of them.
const BYTES_MAX: usize = 64 << 20;

/// Returns the line, from 1, of each of these nodes or keys. It covers only the first
/// [`LINES_MAX`], and fewer in a large text.
pub fn lines(text: &str, ids: impl IntoIterator<Item = Id>) -> BTreeMap<Id, usize> {
    let lines_max = LINES_MAX.min(BYTES_MAX / text.len().max(1));
    let mut found = BTreeMap::new();
    for id in ids {
        if found.len() >= lines_max {
            break;
        }
        if !found.contains_key(&id) {
            found.extend(line_of(text, id).map(|line| (id, line)));
        }
    }
    found
}

fn line_of(text: &str, id: Id) -> Option<usize> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    let mut walk = Walk { at: 0, until: id };
    let fault = Step(&mut walk).deserialize(document).err()?;
    (walk.at == id).then(|| fault.location().map(|at| at.line()))?
}

/// Counts nodes and keys in the order in which the tree numbered them.
struct Walk {
    at: Id,
    until: Id,
}

struct Step<'w>(&'w mut Walk);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        self.0.at += 1;
        d.deserialize_any(self)
    }
}

impl Step<'_> {
    fn arrive<E: de::Error>(&self) -> Result<(), E> {
        if self.0.at == self.0.until {
            return Err(E::custom("here"));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.arrive()
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.arrive()
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.arrive()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.arrive()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.arrive()
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.arrive()
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.arrive()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.arrive()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.arrive()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.arrive()?;
        while seq.next_element_seed(Step(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.arrive()?;
        while map.next_key_seed(Step(self.0))?.is_some() {
            map.next_value_seed(Step(self.0))?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        self.arrive()
    }
}
