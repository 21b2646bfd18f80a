//! What is stored outlives the process, shows its state, and can be deleted.

use crate::support::{Exporter, Ferula, eventually, request};

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
fn deletion_is_refused_unless_it_is_allowed() {
    let ferula = Ferula::start("global: {}\n");
    let reply = ferula.post("/api/v1/admin/tsdb/delete_series?match[]=a");
    assert_eq!(
        (reply.status, &reply.json()["error"]),
        (500, &"admin APIs disabled".into())
    );
}
