//! The tree, built by two passes of `serde_yaml`. The first learns the shape (list, map, null, text
//! or other scalar). The second reads every scalar as text, which keeps its literal.

use std::collections::HashSet;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess};
use serde::de::{EnumAccess, SeqAccess, Visitor};
use thiserror::Error;

use super::guard;

/// LIMIT: aliases multiply nodes, since a file of n lines can ask for n². A node takes some 100
/// bytes, and a configuration of a thousand jobs has 50,000.
const NODES_MAX: u32 = 500_000;

/// A number by which [`super::lines()`] finds the line.
pub type Id = u32;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: Id,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Null,
    /// The literal text, without quotes and escapes. `text` is false if it is unquoted and reads as
    /// a number or a boolean.
    Scalar {
        literal: String,
        text: bool,
    },
    Seq(Vec<Node>),
    /// In the order in which Go decodes them, including repeated keys.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub id: Id,
    pub text: String,
    /// The map in which it is written, which may be a merged one.
    pub map: Id,
    /// Whether it is the first key of a merged map.
    pub opens_merged: bool,
}

/// The meaning of a merge key (`<<`), which two versions of Go's library see differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// yaml.v2, by which Prometheus reads its configuration and target files. Merged maps are
    /// decoded where `<<` stands, so they overwrite keys before it, and keys after it overwrite
    /// them. Of several maps the first is decoded last.
    InPlace,
    /// yaml.v3, by which Prometheus reads rule files, as in YAML. A map's own keys win over merged
    /// ones, an earlier merged map over a later one.
    Defaults,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SyntaxError {
    pub line: Option<usize>,
    pub message: String,
}

impl SyntaxError {
    pub fn at(line: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            line: Some(line),
            message: message.into(),
        }
    }
}

impl From<serde_yaml::Error> for SyntaxError {
    fn from(e: serde_yaml::Error) -> SyntaxError {
        let text = e.to_string();
        // The place is reported separately, in a form of its own.
        let message = text.split(" at line ").next().unwrap_or(&text);
        SyntaxError {
            line: e.location().map(|at| at.line()),
            message: format!("yaml: {message}"),
        }
    }
}

/// Returns the first document of a text; null if there is none.
pub fn parse(text: &str, merge: Merge) -> Result<Node, SyntaxError> {
    guard::check(text)?;
    let null = Node {
        id: 0,
        kind: Kind::Null,
    };
    let Some(document) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok(null);
    };
    let mut count = 0;
    let shape = ShapeSeed(&mut count).deserialize(document)?;
    let Some(document) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok(null);
    };
    let seed = NodeSeed {
        shape: &shape,
        id: 0,
        build: &mut Build { last: 0, merge },
    };
    Ok(seed.deserialize(document)?)
}

enum Shape {
    Null,
    Scalar { text: bool },
    Seq(Vec<Shape>),
    Map(Vec<Shape>),
}

struct ShapeSeed<'c>(&'c mut u32);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Shape, D::Error> {
        *self.0 += 1;
        if *self.0 > NODES_MAX {
            return Err(de::Error::custom(format!(
                "more than {NODES_MAX} nodes, aliases expanded"
            )));
        }
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    /// A text without a document.
    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: false })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: false })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: false })
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: false })
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: false })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: false })
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar { text: true })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(ShapeSeed(self.0))? {
            items.push(item);
        }
        Ok(Shape::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut values = Vec::new();
        while map.next_key::<IgnoredAny>()?.is_some() {
            values.push(map.next_value_seed(ShapeSeed(self.0))?);
        }
        Ok(Shape::Map(values))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Shape, A::Error> {
        Err(de::Error::custom("tags are not supported"))
    }
}

struct Build {
    /// The last number given.
    last: Id,
    merge: Merge,
}

impl Build {
    fn next(&mut self) -> Id {
        self.last += 1;
        self.last
    }
}

struct NodeSeed<'s> {
    shape: &'s Shape,
    /// The node's number, once it is read.
    id: Id,
    build: &'s mut Build,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(mut self, d: D) -> Result<Node, D::Error> {
        self.id = self.build.next();
        let id = self.id;
        let kind = match self.shape {
            Shape::Null => {
                IgnoredAny::deserialize(d)?;
                Kind::Null
            }
            Shape::Scalar { text } => Kind::Scalar {
                literal: String::deserialize(d)?,
                text: *text,
            },
            Shape::Seq(_) => d.deserialize_seq(self)?,
            Shape::Map(_) => d.deserialize_map(self)?,
        };
        Ok(Node { id, kind })
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let Shape::Seq(shapes) = self.shape else {
            return Err(de::Error::custom("unexpected list"));
        };
        let mut items = Vec::new();
        for shape in shapes {
            let build = &mut *self.build;
            let seed = NodeSeed {
                shape,
                id: 0,
                build,
            };
            if let Some(item) = seq.next_element_seed(seed)? {
                items.push(item);
            }
        }
        // Reads the end.
        seq.next_element::<IgnoredAny>()?;
        Ok(Kind::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let Shape::Map(shapes) = self.shape else {
            return Err(de::Error::custom("unexpected map"));
        };
        let mut entries = Vec::new();
        for shape in shapes {
            let id = self.build.next();
            let Some(text) = map.next_key::<String>()? else {
                break;
            };
            let build = &mut *self.build;
            let seed = NodeSeed {
                shape,
                id: 0,
                build,
            };
            let value = map.next_value_seed(seed)?;
            let key = Key {
                id,
                text,
                map: self.id,
                opens_merged: false,
            };
            entries.push((key, value));
        }
        map.next_key::<IgnoredAny>()?;
        if entries.iter().all(|(key, _)| key.text != MERGE) {
            return Ok(Kind::Map(entries));
        }
        let merged = match self.build.merge {
            Merge::InPlace => in_place(entries),
            Merge::Defaults => as_defaults(entries),
        };
        merged.map(Kind::Map).map_err(de::Error::custom)
    }
}

const MERGE: &str = "<<";

type Entries = Vec<(Key, Node)>;

/// Returns the maps that a merge key names, in the order of writing.
fn sources(value: Node) -> Result<Vec<Entries>, &'static str> {
    const FAULT: &str = "map merge requires map or sequence of maps as the value";
    let source = |node: Node| match node.kind {
        Kind::Map(map) => Ok(map),
        _ => Err(FAULT),
    };
    match value.kind {
        Kind::Map(map) => Ok(vec![map]),
        Kind::Seq(items) => items.into_iter().map(source).collect(),
        _ => Err(FAULT),
    }
}

fn in_place(entries: Entries) -> Result<Entries, &'static str> {
    let mut out = Vec::new();
    for (key, value) in entries {
        if key.text != MERGE {
            out.push((key, value));
            continue;
        }
        for mut source in sources(value)?.into_iter().rev() {
            if let Some((first, _)) = source.first_mut() {
                first.opens_merged = true;
            }
            out.append(&mut source);
        }
    }
    Ok(out)
}

fn as_defaults(entries: Entries) -> Result<Entries, &'static str> {
    let is_merge = |(key, _): &(Key, Node)| key.text == MERGE;
    let (merges, mut out): (Entries, Entries) = entries.into_iter().partition(is_merge);
    let mut seen: HashSet<String> = out.iter().map(|(key, _)| key.text.clone()).collect();
    for (_, value) in merges {
        for (key, value) in sources(value)?.into_iter().flatten() {
            if seen.insert(key.text.clone()) {
                out.push((key, value));
            }
        }
    }
    Ok(out)
}
