//! The places in the file system where a change of a path can show: pairs of a directory and the
//! names in it.
//!
//! A path is followed component by component. Every symbolic link on the way is a watch point of
//! its own, because swapping the link changes the file without any event in the file's directory.
//! (A ConfigMap's `..data` works like that.) The first component that does not exist yet is one
//! too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::fingerprint::{is_pattern, pattern};

/// LIMIT: the kernel's own bound on links in a path.
const LINKS_MAX: usize = 40;

/// LIMIT: directories of one subscription. A pattern that matches thousands of links to different
/// directories must not use up the machine's watches. The rescan covers the rest.
pub(super) const DIRECTORIES_MAX: usize = 256;

/// Real directories (no link in their paths), with the names in them that matter.
pub(super) type WatchPoints = BTreeMap<PathBuf, BTreeSet<Name>>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Exact(OsString),
    Like(glob::Pattern),
}

impl Name {
    pub fn matches(&self, name: &OsStr) -> bool {
        match self {
            Name::Exact(exact) => exact == name,
            Name::Like(pattern) => name.to_str().is_some_and(|name| pattern.matches(name)),
        }
    }
}

/// Returns the watch points of paths, whose last component may be a pattern.
pub(super) fn watch_points(paths: &[PathBuf]) -> WatchPoints {
    let mut watch_points = WatchPoints::new();
    for path in paths {
        if let Ok(path) = std::path::absolute(path) {
            follow(&path, LINKS_MAX, &mut watch_points);
        }
    }
    watch_points
}

fn follow(path: &Path, mut links_left: usize, watch_points: &mut WatchPoints) {
    let mut todo: VecDeque<OsString> = parts(path);
    let mut dir = PathBuf::from("/");
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            dir.pop();
            continue;
        }
        let last = todo.is_empty();
        if last && is_pattern(&name) {
            follow_pattern(dir, &name, links_left, watch_points);
            return;
        }
        let whole = dir.join(&name);
        let link = std::fs::read_link(&whole).ok();
        let exists = link.is_some() || whole.symlink_metadata().is_ok();
        if last || link.is_some() || !exists {
            add(watch_points, dir.clone(), Name::Exact(name));
        }
        match link {
            Some(_) if links_left == 0 => return,
            Some(target) => {
                links_left -= 1;
                if target.is_absolute() {
                    dir = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    todo.push_front(part);
                }
            }
            None if !exists => return,
            None => dir = whole,
        }
    }
}

fn follow_pattern(dir: PathBuf, name: &OsStr, links_left: usize, watch_points: &mut WatchPoints) {
    let Some(like) = name.to_str().and_then(pattern) else {
        return;
    };
    let like = Name::Like(like);
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    for entry in entries {
        if like.matches(&entry.file_name())
            && links_left > 0
            && entry.file_type().is_ok_and(|kind| kind.is_symlink())
        {
            follow(&entry.path(), links_left - 1, watch_points);
        }
    }
    add(watch_points, dir, like);
}

fn add(watch_points: &mut WatchPoints, dir: PathBuf, name: Name) {
    if watch_points.len() < DIRECTORIES_MAX || watch_points.contains_key(&dir) {
        watch_points.entry(dir).or_default().insert(name);
    }
}

/// Returns a path's names and `..`, without the root and `.`.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Checks `path` in a directory that holds `a/b/`, the file `a/b/f.yml`, and links.
    fn check(path: &str, expect: &[(&str, &str)]) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/f.yml"), "").unwrap();
        symlink("a", root.join("current")).unwrap();
        symlink("current/b/f.yml", root.join("f.yml")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let watch_points = watch_points(&[root.join(path)]);
        let found: BTreeSet<(String, String)> = watch_points
            .iter()
            .flat_map(|(dir, names)| names.iter().map(move |name| (dir, name)))
            .map(|(dir, name)| {
                let dir = dir.strip_prefix(&root).unwrap().to_str().unwrap();
                let name = match name {
                    Name::Exact(name) => name.to_str().unwrap(),
                    Name::Like(pattern) => pattern.as_str(),
                };
                (dir.to_owned(), name.to_owned())
            })
            .collect();
        let expect: BTreeSet<(String, String)> = expect
            .iter()
            .map(|(dir, name)| ((*dir).to_owned(), (*name).to_owned()))
            .collect();
        assert_eq!(found, expect, "{path}");
    }

    #[test]
    fn a_path_is_followed_to_where_it_can_change() {
        check("a/b/f.yml", &[("a/b", "f.yml")]);
        check("a/../a/b/./f.yml", &[("a/b", "f.yml")]);
        check("a/b/none.yml", &[("a/b", "none.yml")]);
        check("none/b/f.yml", &[("", "none")]);
        check("current/b/f.yml", &[("", "current"), ("a/b", "f.yml")]);
        check("f.yml", &[("", "f.yml"), ("", "current"), ("a/b", "f.yml")]);
        check("loop", &[("", "loop")]);
        check("a/b/*.yml", &[("a/b", "*.yml")]);
        check(
            "*.yml",
            &[
                ("", "*.yml"),
                ("", "f.yml"),
                ("", "current"),
                ("a/b", "f.yml"),
            ],
        );
        check("none/*.yml", &[("", "none")]);
    }
}
