//! The tree, built by two passes of `serde_yaml`: the first learns the shape (list, map, null,
//! text or other scalar), the second asks for every scalar as text, which keeps its literal.

use std::collections::HashSet;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess};
use serde::de::{EnumAccess, SeqAccess, Visitor};
use thiserror::Error;

use super::guard;

/// LIMIT: aliases multiply nodes (a file of n lines can ask for n²); a node takes some 100 bytes,
/// and a configuration of a thousand jobs has 50,000.
const NODES_MAX: u32 = 500_000;

/// A number by which [`super::lines`] finds the line.
pub type Id = u32;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: Id,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Null,
    /// The literal text, without quotes and escapes. `text` is false where it stands unquoted and
    /// reads as a number or a boolean.
    Scalar {
        literal: String,
        text: bool,
    },
    Seq(Vec<Node>),
    /// In the order of the file, repeated keys included.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub id: Id,
    pub text: String,
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
        // The place is told apart, in its own form.
        let message = text.split(" at line ").next().unwrap_or(&text);
        SyntaxError {
            line: e.location().map(|at| at.line()),
            message: format!("yaml: {message}"),
        }
    }
}

/// The first document of a text; null where there is none.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
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
    let mut ids = Ids(0);
    let seed = NodeSeed {
        shape: &shape,
        ids: &mut ids,
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

struct Ids(Id);

impl Ids {
    fn next(&mut self) -> Id {
        self.0 += 1;
        self.0
    }
}

struct NodeSeed<'s> {
    shape: &'s Shape,
    ids: &'s mut Ids,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        let id = self.ids.next();
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
            let ids = &mut *self.ids;
            if let Some(item) = seq.next_element_seed(NodeSeed { shape, ids })? {
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
            let id = self.ids.next();
            let Some(text) = map.next_key::<String>()? else {
                break;
            };
            let ids = &mut *self.ids;
            let value = map.next_value_seed(NodeSeed { shape, ids })?;
            entries.push((Key { id, text }, value));
        }
        map.next_key::<IgnoredAny>()?;
        merged(entries).map(Kind::Map).map_err(de::Error::custom)
    }
}

/// Resolves `<<`: what a map says itself wins over what it merges, an earlier merged map over a
/// later one.
fn merged(entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, &'static str> {
    const FAULT: &str = "map merge requires map or sequence of maps as the value";
    if entries.iter().all(|(key, _)| key.text != "<<") {
        return Ok(entries);
    }
    let mut out: Vec<(Key, Node)> = Vec::new();
    let mut sources = Vec::new();
    for (key, value) in entries {
        match value.kind {
            _ if key.text != "<<" => out.push((key, value)),
            Kind::Map(map) => sources.push(map),
            Kind::Seq(items) => {
                for item in items {
                    let Kind::Map(map) = item.kind else {
                        return Err(FAULT);
                    };
                    sources.push(map);
                }
            }
            _ => return Err(FAULT),
        }
    }
    let mut seen: HashSet<String> = out.iter().map(|(key, _)| key.text.clone()).collect();
    for (key, value) in sources.into_iter().flatten() {
        if seen.insert(key.text.clone()) {
            out.push((key, value));
        }
    }
    Ok(out)
}
