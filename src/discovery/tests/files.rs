//! Tests of file discovery: every way in which files come, change and go.

use std::fs;

use super::bed::*;

#[test]
fn files_come_change_and_go() {
    let mut bed = quick();
    bed.apply(&[("j", &[bed.files("*.json")])]);
    bed.expect("no file", &[("j", &[])]);
    bed.write("a.json", &json(&["a:1"]));
    bed.expect("created", &[("j", &["a:1"])]);
    bed.write("a.json", &json(&["a:1", "a:2"]));
    bed.expect("modified", &[("j", &["a:1", "a:2"])]);
    bed.write("b.json", &json(&["b:1"]));
    bed.expect("another", &[("j", &["a:1", "a:2", "b:1"])]);
    bed.replace("a.json", &json(&["a:3"]));
    bed.expect("replaced by rename", &[("j", &["a:3", "b:1"])]);
    bed.write("a.json", &json(&["a:4"]));
    bed.expect("modified after that", &[("j", &["a:4", "b:1"])]);
    fs::remove_file(bed.root.join("a.json")).unwrap();
    bed.expect("deleted", &[("j", &["b:1"])]);
    fs::rename(bed.root.join("b.json"), bed.root.join("b.txt")).unwrap();
    bed.expect("renamed away", &[("j", &[])]);
}

#[test]
fn a_broken_file_keeps_its_last_targets_and_holds_up_no_other() {
    let mut bed = quick();
    bed.write("a.json", &json(&["a:1"]));
    bed.write("b.json", &json(&["b:1"]));
    bed.apply(&[("j", &[bed.files("*.json")])]);
    bed.expect("first", &[("j", &["a:1", "b:1"])]);
    logged();
    for broken in ["[{\"targets\":[\"a", "", "[null]", "[{\"targts\":[]}]"] {
        let errors = bed.metrics.file_read_errors.get();
        bed.write("a.json", broken);
        eventually("an error", || bed.metrics.file_read_errors.get() > errors);
    }
    bed.expect_no_other();
    let path = bed.root.join("a.json").display().to_string();
    logged_by_any(&["can't use target file, keeping its last targets", &path]);
    bed.write("b.json", &json(&["b:2"]));
    bed.expect("other file", &[("j", &["a:1", "b:2"])]);
    bed.write("a.json", &json(&["a:2"]));
    bed.expect("mended", &[("j", &["a:2", "b:2"])]);
    bed.write("a.json", "broken");
    fs::remove_file(bed.root.join("a.json")).unwrap();
    bed.expect("broken and deleted", &[("j", &["b:2"])]);
}

#[test]
fn groups_beyond_the_last_go_and_labels_come() {
    let mut bed = quick();
    bed.write(
        "t.yml",
        "- targets: ['a:1']\n  labels: {k: v}\n- targets: ['b:1']\n- targets: ['c:1']\n",
    );
    bed.apply(&[("j", &[bed.files("t.yml")])]);
    bed.expect("three groups", &[("j", &["a:1", "b:1", "c:1"])]);
    let path = bed.root.join("t.yml").to_str().unwrap().to_owned();
    let group = &bed.last["j"][0];
    assert_eq!(group.source, format!("{path}:0"));
    assert_eq!(group.labels["__meta_filepath"], path);
    assert_eq!(group.labels["k"], "v");
    let mtime = bed.metrics.file_mtime.with(&[&path]);
    assert!(mtime.get() > 1e9);
    bed.write("t.yml", "- targets: ['a:1']\n");
    bed.expect("one group", &[("j", &["a:1"])]);
    bed.write("t.yml", "[]");
    bed.expect("none", &[("j", &[])]);
}

#[test]
fn a_directory_may_go_and_come_back() {
    let mut bed = quick();
    bed.apply(&[("j", &[bed.files("dir/*.json")])]);
    bed.expect("no directory", &[("j", &[])]);
    for round in ["x:1", "x:2"] {
        fs::create_dir(bed.root.join("dir")).unwrap();
        bed.write("dir/a.json", &json(&[round]));
        bed.expect("created", &[("j", &[round])]);
        bed.write("dir/a.json", &json(&["x:3"]));
        bed.expect("modified", &[("j", &["x:3"])]);
        fs::remove_dir_all(bed.root.join("dir")).unwrap();
        bed.expect("removed", &[("j", &[])]);
    }
}

#[test]
fn a_directory_may_be_swapped_by_a_link() {
    let mut bed = quick();
    for (dir, address) in [("..1", "a:1"), ("..2", "a:2")] {
        fs::create_dir(bed.root.join(dir)).unwrap();
        bed.write(&format!("{dir}/a.json"), &json(&[address]));
    }
    link(&bed.root, "..1", "..data");
    link(&bed.root, "..data/a.json", "a.json");
    bed.apply(&[("j", &[bed.files("*.json")])]);
    bed.expect("first", &[("j", &["a:1"])]);
    link(&bed.root, "..2", "..data");
    bed.expect("swapped", &[("j", &["a:2"])]);
    let errors = bed.metrics.file_read_errors.get();
    fs::rename(bed.root.join("..2"), bed.root.join("..3")).unwrap();
    eventually("an error", || bed.metrics.file_read_errors.get() > errors);
    bed.expect_no_other();
    link(&bed.root, "..1", "..data");
    bed.expect("swapped back", &[("j", &["a:1"])]);
}

#[test]
fn a_file_that_is_none_is_not_read() {
    let mut bed = quick();
    fs::create_dir(bed.root.join("dir.json")).unwrap();
    bed.write("a.json", &json(&["a:1"]));
    bed.apply(&[("j", &[bed.files("*.json")])]);
    bed.expect("the other", &[("j", &["a:1"])]);
    assert!(bed.metrics.file_read_errors.get() >= 1.0);
}
