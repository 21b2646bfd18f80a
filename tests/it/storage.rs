//! What is stored outlives the process, shows its state, and can be deleted.

use crate::support::{Exporter, Ferula, Reply, eventually, request, run_to_end};

#[test]
fn status_and_deletion() {
    let exporter = Exporter::page("gone 1\nkept 2\n");
    let config = format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    let ferula = Ferula::start_with(&config, &["--web.enable-admin-api"]);
    eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
    let status = ferula.get("/api/v1/status/tsdb").json()["data"].clone();
    assert!(
        status["headStats"]["numSeries"].as_f64().unwrap() >= 7.0,
        "{status}"
    );
    assert_eq!(status["lossWindowSeconds"], 30);
    // The segment that is being written counts too.
    let log = ferula.metric("prometheus_tsdb_wal_storage_size_bytes");
    assert!(log.is_some_and(|bytes| bytes > 0.0), "{log:?}");
    assert_eq!(status["seriesCountByMetricName"][0]["value"], 1);
    assert_eq!(ferula.get("/api/v1/status/tsdb?limit=0").status, 400);

    let delete = "/api/v1/admin/tsdb/delete_series?match[]=gone&end=4000000000";
    assert_eq!(ferula.get(delete).status, 405);
    exporter.set(crate::support::Behaviour::Page("kept 2\n".to_owned()));
    eventually("the series has ended", || {
        ferula.query("gone").is_empty().then_some(())
    });
    assert_eq!(
        request(ferula.address, "POST", delete, "").unwrap().status,
        204
    );
    assert!(ferula.query("gone[1h]").is_empty());
    assert!(!ferula.query("kept[1h]").is_empty());
}

#[test]
fn administration_is_refused_unless_it_is_allowed() {
    let ferula = Ferula::start("global: {}\n");
    for path in ["delete_series?match[]=a", "clean_tombstones", "snapshot"] {
        let reply = ferula.post(&format!("/api/v1/admin/tsdb/{path}"));
        assert_eq!(
            (reply.status, &reply.json()["error"]),
            (500, &"admin APIs disabled".into())
        );
        assert_eq!(reply.json()["errorType"], "unavailable");
    }
    assert!(!ferula.path("data/snapshots").exists());
}

#[test]
fn a_snapshot_is_a_data_directory() {
    let exporter = Exporter::page("gone 1\nkept 2\n");
    let config = format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    );
    let mut ferula = Ferula::start_with(&config, &["--web.enable-admin-api"]);
    eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
    let admin = |method: &str, path: &str| {
        let path = format!("/api/v1/admin/tsdb/{path}");
        request(ferula.address, method, &path, "").unwrap()
    };
    assert_eq!(admin("GET", "snapshot").status, 405);
    assert_eq!(admin("GET", "clean_tombstones").status, 405);
    let refused = admin("POST", "snapshot?skip_head=maybe");
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json()["error"],
        "invalid parameter \"skip_head\": unable to parse boolean: strconv.ParseBool: parsing \
         \"maybe\": invalid syntax"
    );
    let named = |reply: Reply| {
        assert_eq!(reply.status, 200, "{}", reply.body);
        let name = reply.json()["data"]["name"].as_str().unwrap().to_owned();
        ferula.path("data/snapshots").join(name)
    };
    let before = ferula.points("kept[1h]");
    let whole = named(admin("POST", "snapshot"));
    let empty = named(admin("PUT", "snapshot?skip_head=true"));
    // Samples and their bytes leave the store; the snapshot keeps them.
    assert_eq!(admin("POST", "delete_series?match[]=gone").status, 204);
    assert_eq!(admin("PUT", "clean_tombstones").status, 204);
    ferula.kill();

    let path = whole.to_str().unwrap();
    let listed = run_to_end(&whole, &["tsdb", "list", path]);
    assert_eq!(listed.code(), 0, "{}", listed.stderr);
    assert_eq!(listed.stdout.lines().count(), 2, "{}", listed.stdout);
    let dumped = run_to_end(&whole, &["tsdb", "dump", path]).stdout;
    assert!(dumped.contains("{__name__=\"gone\", "), "{dumped}");
    let storage = format!("--storage.tsdb.path={path}");
    let opened = Ferula::start_with("global: {}\n", &[&storage]);
    let after = opened.points("kept[1h]");
    assert_eq!(after.len(), 1);
    assert!(after[0].starts_with(&before[0]), "{before:?} {after:?}");
    assert!(!opened.query("gone[1h]").is_empty());
    drop(opened);
    let dumped = run_to_end(&empty, &["tsdb", "dump", empty.to_str().unwrap()]);
    assert_eq!((dumped.code(), dumped.stdout.as_str()), (0, ""));
}
