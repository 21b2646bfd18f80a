//! The house's rules that no compiler checks: layers, headers, lengths, names of threads, and that
//! the tables of `docs/ARCHITECTURE.md` agree with the code.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room may import rooms of lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("stdx", 0),
    ("metrics", 1),
    ("regex", 1),
    ("model", 2),
    ("exposition", 3),
    ("net", 3),
    ("relabel", 3),
    ("watch", 3),
    ("config", 4),
    ("storage", 4),
    ("prometheus", 5),
    ("promql", 5),
    ("tsdb", 5),
    ("discovery", 6),
    ("remote", 6),
    ("scrape", 6),
    ("plan", 7),
    ("web", 7),
    ("cli", 8),
    ("tools", 9),
    ("app", 10),
];

const LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 100;
const THREAD_NAME_MAX: usize = 15;

/// Files that are a single table may be long.
const TABLES: &[&str] = &["src/cli/table.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(below: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join(below), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no source files below {below}");
    found
}

fn collect(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn room_of(file: &str) -> Option<&str> {
    let below = file.strip_prefix("src/")?;
    below.split_once('/').map(|(room, _)| room)
}

fn fail_on(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn rooms_import_lower_layers_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let Some(room) = room_of(&file) else { continue };
        let Some(layer) = layers.get(room) else {
            wrong.push(format!("{file}: the room {room} has no layer"));
            continue;
        };
        for (at, _) in text.match_indices("crate::") {
            let name: String = text[at + 7..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let above = layers
                .get(name.as_str())
                .is_some_and(|other| other >= layer);
            if name != room && above {
                let line = text[..at].lines().count();
                wrong.push(format!("{file}:{line}: {room} imports {name}"));
            }
        }
    }
    fail_on(&wrong);
}

#[test]
fn a_room_is_entered_by_its_face() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    // Rooms that are libraries of small modules are used module by module.
    let open: BTreeSet<&str> = ["stdx", "model"].into();
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let Some(room) = room_of(&file) else { continue };
        for (at, _) in text.match_indices("crate::") {
            let path: String = text[at + 7..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
                .collect();
            let parts: Vec<&str> = path.split("::").collect();
            let (Some(other), Some(inner)) = (parts.first(), parts.get(1)) else {
                continue;
            };
            let module = parts.len() > 2 && inner.starts_with(|c: char| c.is_lowercase());
            if *other != room && layers.contains_key(other) && !open.contains(other) && module {
                let face = fs::read_to_string(root().join(format!("src/{other}/mod.rs"))).unwrap();
                if !face.contains(&format!("pub mod {inner};")) {
                    let line = text[..at].lines().count();
                    wrong.push(format!("{file}:{line}: reaches into crate::{path}"));
                }
            }
        }
    }
    fail_on(&wrong);
}

#[test]
fn files_say_what_they_are_and_keep_their_measure() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        if !text.starts_with("//!") {
            wrong.push(format!("{file}: does not begin with //!"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX && !TABLES.contains(&file.as_str()) {
            wrong.push(format!("{file}: {lines} lines, at most {LINES_MAX}"));
        }
        for (i, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            // A text that may not be broken, such as an expected answer, may be long.
            let is_text = line.contains('"') && !line.trim_start().starts_with("//");
            if columns > COLUMNS_MAX && !is_text {
                wrong.push(format!("{file}:{}: {columns} columns", i + 1));
            }
        }
    }
    fail_on(&wrong);
}

#[test]
fn faces_state_what_they_own_and_their_invariant() {
    let mut wrong = Vec::new();
    for (room, _) in LAYERS {
        let face = fs::read_to_string(root().join(format!("src/{room}/mod.rs"))).unwrap();
        let head: String = face.lines().take_while(|l| l.starts_with("//!")).collect();
        if !head.contains("**Invariant:**") {
            wrong.push(format!("src/{room}/mod.rs: states no invariant"));
        }
        if face
            .lines()
            .any(|l| l.starts_with("fn ") || l.starts_with("pub fn "))
            && *room != "app"
        {
            // Faces such as `regex` and `web::api` may dispatch. A room's face holds no logic.
            wrong.push(format!("src/{room}/mod.rs: holds logic"));
        }
    }
    fail_on(&wrong);
}

/// Yields the names of threads from the places that start them.
fn spawned(code: &str) -> impl Iterator<Item = &str> {
    let places = ["spawn(\"", "spawn_vital(\""].map(|call| code.match_indices(call));
    let places = places.into_iter().flatten();
    places.filter_map(|(at, call)| code[at + call.len()..].split('"').next())
}

#[test]
fn thread_names_fit_into_what_the_kernel_keeps() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        for name in spawned(&text) {
            if name.len() > THREAD_NAME_MAX {
                wrong.push(format!(
                    "{file}: thread name {name:?} is longer than 15 bytes"
                ));
            }
        }
    }
    fail_on(&wrong);
}

#[test]
fn the_architecture_s_table_names_every_thread() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let mut wrong = Vec::new();
    for (file, code) in sources("src") {
        let Some(room) = room_of(&file).filter(|_| !file.contains("/tests")) else {
            continue;
        };
        let row = format!("| `{room}` |");
        let row = text.lines().find(|l| l.contains(&row)).unwrap_or_default();
        let code = code.split("#[cfg(test)]").next().unwrap();
        for name in spawned(code) {
            if !row.contains(&format!("`{name}`")) {
                wrong.push(format!("{file}: the table does not name the thread {name}"));
            }
        }
    }
    fail_on(&wrong);
}

#[test]
fn the_architecture_s_table_of_rooms_is_the_code_s() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let mut described = BTreeMap::new();
    for line in text.lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let layer = cells.get(1).and_then(|layer| layer.parse::<u8>().ok());
        if let (Some(layer), Some(room)) = (layer, cells.get(2)) {
            described.insert(room.trim_matches('`').to_owned(), layer);
        }
    }
    let of_code: BTreeMap<String, u8> = LAYERS
        .iter()
        .map(|(room, layer)| ((*room).to_owned(), *layer))
        .collect();
    assert_eq!(described, of_code, "docs/ARCHITECTURE.md against LAYERS");
    let folders: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    let rooms: BTreeSet<String> = of_code.into_keys().collect();
    assert_eq!(folders, rooms, "folders below src against LAYERS");
}

#[test]
fn every_file_is_named_by_a_mod() {
    let files: BTreeMap<String, String> = sources("src").into_iter().collect();
    let mut wrong = Vec::new();
    for file in files.keys() {
        let Some((dir, name)) = file.rsplit_once('/') else {
            continue;
        };
        let is_crate = dir == "src" && matches!(name, "lib.rs" | "main.rs");
        // A folder's face is named by the folder above.
        let (dir, name) = match name {
            _ if is_crate => continue,
            "mod.rs" => dir.rsplit_once('/').unwrap(),
            _ => (dir, name.trim_end_matches(".rs")),
        };
        let faces = [
            format!("{dir}/mod.rs"),
            format!("{dir}.rs"),
            format!("{dir}/lib.rs"),
        ];
        let line = format!("mod {name};");
        let is_named = faces.iter().filter_map(|face| files.get(face));
        if !is_named.into_iter().any(|face| face.contains(&line)) {
            wrong.push(format!("{file}: no `{line}` makes it part of the program"));
        }
    }
    fail_on(&wrong);
}

#[test]
fn the_pages_name_files_that_exist() {
    let mut files: Vec<String> = sources("src").into_iter().map(|(file, _)| file).collect();
    files.extend(sources("tests").into_iter().map(|(file, _)| file));
    files.extend(sources("benches").into_iter().map(|(file, _)| file));
    let pages = [
        "README.md",
        "docs/ARCHITECTURE.md",
        "docs/DECISIONS.md",
        "docs/STYLE.md",
    ];
    let mut wrong = Vec::new();
    for page in pages {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for (i, line) in text.lines().enumerate() {
            let quoted = line.split('`').skip(1).step_by(2);
            // Not names: `KIND_sd.rs` and its kin stand for files to be made.
            let is_file = |q: &&str| q.strip_suffix(".rs").is_some();
            let named = quoted
                .filter(is_file)
                .filter(|q| !q.contains(char::is_uppercase));
            for name in named {
                let below = format!("/{name}");
                if !files.iter().any(|f| f == name || f.ends_with(&below)) {
                    wrong.push(format!("{page}:{}: there is no file {name}", i + 1));
                }
            }
        }
    }
    fail_on(&wrong);
}

/// Some processors have no 64-bit atomics.
#[test]
fn atomics_of_64_bits_come_from_stdx() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        let std = text.match_indices("std::sync::atomic::");
        for (at, _) in std.filter(|_| file != "src/stdx/atomic.rs" && file != "tests/tidy.rs") {
            let import = text[at..].split(';').next().unwrap_or_default();
            if import.contains("U64") || import.contains("I64") {
                let line = text[..at].lines().count();
                wrong.push(format!("{file}:{line}: use stdx::atomic"));
            }
        }
    }
    fail_on(&wrong);
}

#[test]
fn files_import_each_other_in_no_large_circle() {
    let circles = circles(&imports());
    let wrong = circles
        .iter()
        .map(|circle| format!("a circle: {}", circle.join(" ")));
    fail_on(&wrong.collect::<Vec<_>>());
}

/// What each file below `src` names of others, re-exports followed; tests aside.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut texts: BTreeMap<Vec<String>, (String, String)> = BTreeMap::new();
    for (file, text) in sources("src") {
        let below = file
            .strip_prefix("src/")
            .unwrap()
            .strip_suffix(".rs")
            .unwrap();
        let mut path: Vec<String> = below.split('/').map(str::to_owned).collect();
        if path.iter().any(|part| part.contains("test")) || below == "main" {
            continue;
        }
        if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
            path.pop();
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = code.lines().map(|l| l.split("//").next().unwrap());
        texts.insert(path, (file, code.collect::<Vec<_>>().join("\n")));
    }
    let mut shown: BTreeMap<Vec<String>, BTreeMap<String, Named>> = BTreeMap::new();
    for (module, (_, code)) in &texts {
        for (path, is_shown) in named(code) {
            if is_shown && let Some(found) = resolve(&texts, module, &path) {
                let name = path.rsplit("::").next().unwrap().to_owned();
                shown.entry(module.clone()).or_default().insert(name, found);
            }
        }
    }
    let mut imports = BTreeMap::new();
    for (module, (file, code)) in &texts {
        let mut of_file = BTreeSet::new();
        for (path, _) in named(code).into_iter().filter(|(_, is_shown)| !is_shown) {
            let Some(mut found) = resolve(&texts, module, &path) else {
                continue;
            };
            // LIMIT: no name is shown again through more faces.
            for _ in 0..6 {
                let next = found
                    .1
                    .as_ref()
                    .and_then(|name| shown.get(&found.0)?.get(name));
                found = next.cloned().unwrap_or(found);
            }
            if !found.0.is_empty() && found.0 != *module {
                of_file.insert(texts[&found.0].0.clone());
            }
        }
        imports.insert(file.clone(), of_file);
    }
    imports
}

/// A module, and what is named in it.
type Named = (Vec<String>, Option<String>);

/// Every path that code names from `crate`, `self` or `super`, and whether it is shown to others.
fn named(code: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let start = statement.rfind("use ").filter(|at| {
            let before = &statement[..*at];
            let before = before.rsplit('\n').next().unwrap().trim();
            before.is_empty() || before.starts_with("pub")
        });
        let Some(start) = start else {
            rest.push_str(statement);
            continue;
        };
        let is_shown = statement[..start].trim_end().rsplit('\n').next().unwrap();
        let is_shown = is_shown.trim_start().starts_with("pub");
        let tree: String = statement[start + 4..].split_whitespace().collect();
        for path in expanded(tree.trim_end_matches(';')) {
            let is_rooted = ["crate::", "self::", "super::"]
                .iter()
                .any(|r| path.starts_with(r));
            match (is_rooted, is_shown) {
                (true, _) => found.push((path, is_shown)),
                (false, true) => found.push((format!("self::{path}"), true)),
                (false, false) => {}
            }
        }
    }
    for root in ["crate::", "super::"] {
        for (at, _) in rest.match_indices(root) {
            let path = rest[at..].chars();
            let path = path.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
            found.push((
                path.collect::<String>().trim_end_matches(':').to_owned(),
                false,
            ));
        }
    }
    found
}

/// `a::{b, c::{d}}` without spaces is `a::b` and `a::c::d`.
fn expanded(tree: &str) -> Vec<String> {
    let Some((prefix, inner)) = tree.split_once('{') else {
        // NOTE: spaces are gone, so that what stands before a new name ends in lower case.
        return vec![tree.to_owned()];
    };
    let (mut depth, mut from, mut all) = (0, 0, Vec::new());
    let inner = &inner[..inner.rfind('}').unwrap_or(inner.len())];
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let parts = expanded(&inner[from..at]).into_iter();
                all.extend(
                    parts
                        .filter(|p| !p.is_empty())
                        .map(|p| format!("{prefix}{p}")),
                );
                from = at + 1;
            }
            _ => {}
        }
    }
    all
}

fn resolve<T>(all: &BTreeMap<Vec<String>, T>, from: &[String], path: &str) -> Option<Named> {
    let mut parts = path.split("::").peekable();
    let mut module = match parts.next()? {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    while parts.next_if_eq(&"super").is_some() {
        module.pop()?;
    }
    while let Some(part) = parts.peek() {
        module.push((*part).to_owned());
        if !all.contains_key(&module) {
            module.pop();
            break;
        }
        parts.next();
    }
    Some((module, parts.next().map(str::to_owned)))
}

/// Files of which each reaches each other, three or more of them.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &String| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(file) = left.pop() {
            let next = imports.get(file).into_iter().flatten();
            left.extend(next.filter(|f| seen.insert((*f).clone())));
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reach(file))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, reaches) in &reached {
        let back = |other: &&String| reached.get(other).is_some_and(|r| r.contains(*file));
        let circle: Vec<String> = reaches.iter().filter(back).cloned().collect();
        if circle.len() > 2 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}
