//! Forms as clients send them: in the URL, urlencoded, as multipart/form-data.

use serde_json::json;

use crate::support::{Exporter, Ferula, Reply, eventually, send_raw};

fn post(ferula: &Ferula, path: &str, kind: &str, body: &str) -> Reply {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n\
         {body}",
        body.len()
    );
    send_raw(ferula.address, request.as_bytes()).unwrap()
}

const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=------x7\r\n";

/// Writes a body as curl's `-F` does.
fn parts(fields: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| {
        format!("--------x7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(one).collect::<String>() + "--------x7--\r\n"
}

#[test]
fn forms_come_in_every_coding() {
    let exporter = Exporter::page("a{x=\"1\"} 1\nb{y=\"2\"} 2\n");
    let ferula = Ferula::start_with(
        &format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n\
             - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
            exporter.address
        ),
        &["--web.enable-admin-api"],
    );
    eventually("the data is there", || {
        (ferula.values("up") == [1.0]).then_some(())
    });
    let multipart = |path: &str, fields: &[(&str, &str)]| {
        let reply = post(&ferula, path, MULTIPART, &parts(fields));
        assert_eq!(reply.status, 200, "{path} {fields:?}: {}", reply.body);
        reply.json()["data"].clone()
    };
    let found = multipart("/api/v1/query", &[("query", "up"), ("time", "")]);
    assert_eq!(found["result"][0]["value"][1], "1");
    let range = [("query", "1"), ("start", "0"), ("end", "1"), ("step", "1")];
    let found = multipart("/api/v1/query_range", &range);
    assert_eq!(found["result"][0]["values"].as_array().unwrap().len(), 2);
    let names = multipart("/api/v1/labels", &[("match[]", "b")]);
    assert_eq!(names, json!(["__name__", "instance", "job", "y"]));
    let series = multipart("/api/v1/series", &[("match[]", "a"), ("match[]", "b")]);
    assert_eq!(series.as_array().unwrap().len(), 2);
    let text = multipart("/api/v1/format_query", &[("query", "a+b")]);
    assert_eq!(text, "a + b");
    multipart("/api/v1/parse_query", &[("query", "a")]);
    multipart(
        "/api/v1/query_exemplars",
        &[("query", "a"), ("start", "0"), ("end", "1")],
    );
    // The URL's come first.
    let found = multipart("/api/v1/query?query=2", &[("query", "1")]);
    assert_eq!(found["result"][1], "2");
    let deleted = post(
        &ferula,
        "/api/v1/admin/tsdb/delete_series",
        MULTIPART,
        &parts(&[("match[]", "nothing")]),
    );
    assert_eq!(deleted.status, 204);

    let check = |kind: &str, body: &str, status: u16, text: &str| {
        let reply = post(&ferula, "/api/v1/query", kind, body);
        assert_eq!(reply.status, status, "{kind}{body}: {}", reply.body);
        assert!(reply.body.contains(text), "{kind}{body}: {}", reply.body);
    };
    let whole = parts(&[("query", "3")]);
    let cut = &whole[..whole.len() - 6];
    check(
        MULTIPART,
        cut,
        400,
        "the body ends before its last boundary",
    );
    check(
        "Content-Type: multipart/form-data\r\n",
        &whole,
        400,
        "needs a boundary",
    );
    let form = "Content-Type: Application/X-WWW-Form-URLencoded; charset=UTF-8\r\n";
    check(form, "query=3", 200, "\"3\"");
    // A body without such a type is not read.
    check("", "query=3", 400, "no expression found");
    check(
        "Content-Type: text/plain\r\n",
        "query=3",
        400,
        "no expression found",
    );
    check(
        "Content-Type: application/json\r\n",
        "{}",
        400,
        "no expression found",
    );
}
