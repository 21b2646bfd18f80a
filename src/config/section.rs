//! Reads a map by its schema. Every key is asked for once, in the order of Prometheus's structure;
//! what is left over is an unknown field. What is read can be noted for printing.

use std::collections::HashSet;
use std::time::Duration;

use super::reader::Reader;
use super::yaml::{self, Key, Kind, Node, Out};
use crate::model::{duration, size};
use crate::stdx::gofmt;
use crate::stdx::sort::sort;

/// One map of the file, while it is read. [`Section::finish`] must be called.
pub(super) struct Section<'a> {
    pub cx: &'a Reader<'a>,
    pub path: String,
    id: u32,
    /// Its name in Prometheus's `field X not found in type T`.
    type_name: &'static str,
    entries: Vec<&'a (Key, Node)>,
    asked: Vec<&'static str>,
    out: Vec<(String, Out)>,
}

/// One element of a list, or one value of a map.
#[derive(Clone)]
pub(super) struct Item<'a> {
    pub cx: &'a Reader<'a>,
    pub path: String,
    pub id: u32,
    pub node: &'a Node,
    /// Earlier values of the same key, which merges allow. They are checked too, and a map or
    /// section begins with them.
    earlier: Vec<&'a (Key, Node)>,
}

impl<'a> Item<'a> {
    fn new(cx: &'a Reader<'a>, path: String, id: u32, node: &'a Node) -> Item<'a> {
        Item {
            cx,
            path,
            id,
            node,
            earlier: Vec::new(),
        }
    }

    pub fn root(cx: &'a Reader<'a>, node: &'a Node) -> Item<'a> {
        Item::new(cx, String::new(), node.id, node)
    }

    /// Returns all values of the key, in order; the last is this item.
    fn all(&self) -> Vec<Item<'a>> {
        let earlier =
            |(key, node): &&'a (Key, Node)| Item::new(self.cx, self.path.clone(), key.id, node);
        let mut all: Vec<Item> = self.earlier.iter().map(earlier).collect();
        all.push(Item::new(self.cx, self.path.clone(), self.id, self.node));
        all
    }

    /// Returns the entries of a map. Several maps are joined, as Go decodes into what is there, and
    /// a null removes what was. Returns `None` if any is not a map.
    fn entries(&self, wanted: &str) -> Option<Vec<&'a (Key, Node)>> {
        let mut entries = Vec::new();
        for item in self.all() {
            match &item.node.kind {
                Kind::Map(map) => entries.extend(map),
                Kind::Null => entries.clear(),
                _ => {
                    item.mismatch(wanted);
                    return None;
                }
            }
        }
        Some(entries)
    }

    pub fn is_null(&self) -> bool {
        self.node.kind == Kind::Null
    }

    pub fn error(&self, message: impl Into<String>) {
        self.cx.error(self.id, self.path.clone(), message);
    }

    pub fn warn(&self, message: impl Into<String>) {
        self.cx.warn(self.id, self.path.clone(), message);
    }

    fn mismatch(&self, wanted: &str) {
        let found = match &self.node.kind {
            Kind::Null => "!!null".to_owned(),
            Kind::Seq(_) => "!!seq".to_owned(),
            Kind::Map(_) => "!!map".to_owned(),
            Kind::Scalar { literal, .. } => {
                format!("!!{} `{}`", tag(self.node), shortened(literal))
            }
        };
        self.error(format!("cannot unmarshal {found} into {wanted}"));
    }

    /// Returns the literal of a scalar; "" for null.
    pub fn string(&self) -> String {
        let strings = self.all().into_iter().map(|item| item.one_string());
        strings.last().unwrap_or_default()
    }

    fn one_string(&self) -> String {
        match &self.node.kind {
            Kind::Null => String::new(),
            Kind::Scalar { literal, .. } => literal.clone(),
            _ => {
                self.mismatch("string");
                String::new()
            }
        }
    }

    pub fn section(&self, type_name: &'static str) -> Option<Section<'a>> {
        let entries = self.entries(type_name)?;
        Some(Section {
            cx: self.cx,
            path: self.path.clone(),
            id: self.id,
            type_name,
            entries,
            asked: Vec::new(),
            out: Vec::new(),
        })
    }

    pub fn strings(&self, wanted: &str) -> Vec<String> {
        self.list(wanted).iter().map(Item::string).collect()
    }

    pub fn list(&self, wanted: &str) -> Vec<Item<'a>> {
        for item in self.all() {
            if !matches!(item.node.kind, Kind::Seq(_) | Kind::Null) {
                item.mismatch(wanted);
            }
        }
        let Kind::Seq(items) = &self.node.kind else {
            return Vec::new();
        };
        let item = |(i, node): (usize, &'a Node)| {
            Item::new(self.cx, format!("{}[{i}]", self.path), node.id, node)
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Returns the entries of a map with free keys, in the order of the file. No key may be
    /// repeated, not even by a merge.
    pub fn map(&self, wanted: &str) -> Vec<(&'a str, Item<'a>)> {
        self.free_keys(self.entries(wanted).unwrap_or_default())
    }

    /// Does the same for a map that is inlined in Prometheus's structure, where each merge starts
    /// it afresh.
    pub fn inline_map(&self, wanted: &str) -> Vec<(&'a str, Item<'a>)> {
        let Some(mut entries) = self.entries(wanted) else {
            return Vec::new();
        };
        if let Kind::Map(last) = &self.node.kind {
            entries.drain(..entries.len() - last.len());
        }
        let begin = entries.iter().rposition(|(key, _)| key.opens_merged);
        entries.drain(..begin.unwrap_or(0));
        self.free_keys(entries)
    }

    fn free_keys(&self, entries: Vec<&'a (Key, Node)>) -> Vec<(&'a str, Item<'a>)> {
        let mut out: Vec<(&str, Item)> = Vec::new();
        let mut seen = HashSet::new();
        for (key, node) in entries {
            let path = format!("{}.{}", self.path, key.text);
            let item = Item::new(self.cx, path, key.id, node);
            if !seen.insert(&key.text) {
                item.error(format!(
                    "key {} already set in map",
                    gofmt::quote(&key.text)
                ));
                continue;
            }
            out.push((&key.text, item));
        }
        out
    }

    /// Returns a map of texts, sorted by key.
    pub fn string_map(&self) -> Vec<(String, String)> {
        let entries = self.map("map[string]string");
        let mut out: Vec<_> = entries
            .into_iter()
            .map(|(key, item)| (key.to_owned(), item.string()))
            .collect();
        sort(&mut out);
        out
    }
}

/// Returns the type that Go's reader sees in a scalar.
fn tag(node: &Node) -> &'static str {
    let Kind::Scalar { literal, text } = &node.kind else {
        return "null";
    };
    match literal.as_str() {
        literal if *text && yaml::is_quoted(literal) => "str",
        literal if yaml::to_bool(literal).is_some() => "bool",
        literal if literal.contains(['.', 'e', 'E']) && yaml::to_float(literal).is_some() => {
            "float"
        }
        literal if yaml::to_int(literal).is_some() => "int",
        _ => "str",
    }
}

fn shortened(literal: &str) -> String {
    if literal.chars().count() > 10 {
        let head: String = literal.chars().take(7).collect();
        format!("{head}...")
    } else {
        literal.to_owned()
    }
}

impl<'a> Section<'a> {
    /// Returns the value of a key; `None` where the key is absent. Each key is asked for once.
    pub fn get(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.asked.push(key);
        self.look(key)
    }

    fn look(&self, key: &str) -> Option<Item<'a>> {
        // Within one map of the file the first counts, and `finish` reports the others.
        let mut written: Vec<&'a (Key, Node)> = Vec::new();
        for entry in self.entries.iter().filter(|(k, _)| k.text == key) {
            if written.iter().all(|(k, _)| k.map != entry.0.map) {
                written.push(entry);
            }
        }
        let (found, node) = written.pop()?;
        let mut item = Item::new(self.cx, self.key_path(key), found.id, node);
        item.earlier = written;
        Some(item)
    }

    /// Makes only the last of a key's values count, where Prometheus starts a new structure for
    /// each.
    pub fn forget_earlier(&mut self, key: &str) {
        let last = self.entries.iter().rev().find(|(k, _)| k.text == key);
        let Some(map) = last.map(|(k, _)| k.map) else {
            return;
        };
        self.entries.retain(|(k, _)| k.text != key || k.map == map);
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Whether a key has a value.
    pub fn has(&self, key: &str) -> bool {
        self.look(key).is_some_and(|item| !item.is_null())
    }

    /// Whether a key is written without a value.
    pub fn is_null(&self, key: &str) -> bool {
        self.look(key).is_some_and(|item| item.is_null())
    }

    /// Returns the text of a key again.
    pub fn peek(&self, key: &str) -> String {
        self.look(key).map(|item| item.string()).unwrap_or_default()
    }

    /// Accepts a key with any value.
    pub fn skip(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    pub fn error(&self, message: impl Into<String>) {
        self.cx.error(self.id, self.path.clone(), message);
    }

    pub fn warn(&self, message: impl Into<String>) {
        self.cx.warn(self.id, self.path.clone(), message);
    }

    /// Reports an error of one key, or of the section where the key is absent.
    pub fn error_at(&self, key: &str, message: impl Into<String>) {
        match self.look(key) {
            Some(item) => item.error(message),
            None => self.error(message),
        }
    }

    pub fn warn_at(&self, key: &str, message: impl Into<String>) {
        match self.look(key) {
            Some(item) => item.warn(message),
            None => self.warn(message),
        }
    }

    pub fn warn_once_at(&self, key: &str, message: &str) {
        let (id, path) = match self.look(key) {
            Some(item) => (item.id, item.path),
            None => (self.id, self.path.clone()),
        };
        self.cx.warn_once(id, &path, message);
    }

    /// Reports unknown and repeated keys, and returns what was noted.
    pub fn finish(self) -> Out {
        let mut seen = HashSet::new();
        for (key, _) in &self.entries {
            let (text, kind) = (&key.text, self.type_name);
            let path = self.key_path(text);
            let fault = if !self.asked.contains(&text.as_str()) {
                "not found"
            } else if !seen.insert((key.map, text)) {
                "already set"
            } else {
                continue;
            };
            let text = format!("field {text} {fault} in type {kind}");
            self.cx.error(key.id, path, text);
        }
        Out::Map(self.out)
    }

    // Keys that are read only.

    /// Returns "" where absent or null.
    pub fn string(&mut self, key: &'static str) -> String {
        self.string_or(key, "")
    }

    /// A written null is "", as in Go.
    pub fn string_or(&mut self, key: &'static str, default: &str) -> String {
        self.get(key)
            .map_or_else(|| default.to_owned(), |item| item.string())
    }

    pub fn path(&mut self, key: &'static str) -> String {
        let path = self.string(key);
        self.cx.join(&path)
    }

    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.parsed(key, "bool", yaml::to_bool)
    }

    pub fn uint(&mut self, key: &'static str) -> Option<u64> {
        self.parsed(key, "uint", yaml::cut_to_uint)
    }

    pub fn int(&mut self, key: &'static str) -> Option<i64> {
        self.parsed(key, "int", yaml::cut_to_int)
    }

    pub fn float(&mut self, key: &'static str) -> Option<f64> {
        self.parsed(key, "float64", |literal| {
            yaml::to_float(literal).or_else(|| yaml::to_int(literal).map(|n| n as f64))
        })
    }

    fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let mut value = None;
        for item in self.get(key)?.all() {
            value = match &item.node.kind {
                Kind::Scalar { literal, text } if !*text || !yaml::is_quoted(literal) => {
                    parse(literal)
                }
                _ => None,
            };
            if value.is_none() && !item.is_null() {
                item.mismatch(wanted);
            }
        }
        value
    }

    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.fallible(key, duration::parse)
    }

    pub fn size(&mut self, key: &'static str) -> Option<u64> {
        self.fallible(key, size::parse)
    }

    fn fallible<T>(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let mut value = None;
        for item in self.get(key)?.all() {
            value = match parse(&item.string()) {
                _ if item.is_null() => None,
                Ok(value) => Some(value),
                Err(message) => {
                    item.error(message);
                    None
                }
            };
        }
        value
    }

    pub fn strings(&mut self, key: &'static str) -> Vec<String> {
        self.get(key)
            .map(|item| item.strings("[]string"))
            .unwrap_or_default()
    }

    pub fn string_map(&mut self, key: &'static str) -> Vec<(String, String)> {
        self.get(key)
            .map(|item| item.string_map())
            .unwrap_or_default()
    }

    pub fn list(&mut self, key: &'static str, wanted: &str) -> Vec<Item<'a>> {
        self.get(key)
            .map(|item| item.list(wanted))
            .unwrap_or_default()
    }

    /// Returns `None` where absent, null or not a map.
    pub fn section(&mut self, key: &'static str, type_name: &'static str) -> Option<Section<'a>> {
        self.get(key)
            .filter(|item| !item.is_null())?
            .section(type_name)
    }

    /// Does as `section`, with an empty section where absent or null.
    pub fn section_or_empty(
        &mut self,
        key: &'static str,
        type_name: &'static str,
    ) -> Option<Section<'a>> {
        match self.get(key) {
            Some(item) => item.section(type_name),
            None => Some(Section {
                cx: self.cx,
                path: self.key_path(key),
                id: self.id,
                type_name,
                entries: Vec::new(),
                asked: Vec::new(),
                out: Vec::new(),
            }),
        }
    }

    // Keys that are read and printed at once.

    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let value = self.bool(key).unwrap_or(default);
        self.put(key, value);
        value
    }

    /// Printed unless it is false.
    pub fn flag_some(&mut self, key: &'static str, default: bool) -> bool {
        let value = self.bool(key).unwrap_or(default);
        self.put_some(key, value);
        value
    }

    /// Printed unless it is empty.
    pub fn text_some(&mut self, key: &'static str, default: &str) -> String {
        let value = self.string_or(key, default);
        self.put_some(key, value.as_str());
        value
    }

    pub fn duration_some(&mut self, key: &'static str, default: Duration) -> Duration {
        let value = self.duration(key).unwrap_or(default);
        self.put_duration(key, value);
        value
    }

    // What is printed.

    pub fn put(&mut self, key: &str, value: impl Into<Out>) {
        self.out.push((key.to_owned(), value.into()));
    }

    /// Prints it unless it is empty.
    pub fn put_some(&mut self, key: &str, value: impl Into<Out>) {
        let value = value.into();
        if !value.is_empty() {
            self.put(key, value);
        }
    }

    pub fn put_uint(&mut self, key: &str, value: u64) {
        self.put_some(key, Out::Int(i128::from(value)));
    }

    pub fn put_size(&mut self, key: &str, value: u64) {
        if value > 0 {
            self.put(key, size::format(value));
        }
    }

    pub fn put_duration(&mut self, key: &str, value: Duration) {
        if !value.is_zero() {
            self.put(key, duration::format(value));
        }
    }

    pub fn put_secret(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.put(key, "<secret>");
        }
    }

    pub fn put_map(&mut self, key: &str, map: &[(String, String)]) {
        let entries = map.iter().map(|(k, v)| (k.clone(), v.as_str().into()));
        self.put_some(key, Out::Map(entries.collect()));
    }
}
