//! Malformed requests: each gets a problem document with a 4xx status, never a 5xx.

use super::*;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bodies that are invalid for POST and for PATCH, with their names.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let with = |before: &str, bytes: &[u8], after: &str| [before.as_bytes(), bytes, after.as_bytes()].concat();
    let long = |name: &str, length| json!({ "title": "t", "body": "b", name: "x".repeat(length) }).to_string();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("100,000 arrays", "[".repeat(100_000).into()),
        ("100,000 objects", "{\"title\":".repeat(100_000).into()),
        ("a title of 100,000 arrays", with("{\"title\":", "[".repeat(100_000).as_bytes(), "")),
        ("an unknown field of 100,000 arrays", with("{\"x\":", "[".repeat(100_000).as_bytes(), "")),
        ("a byte order mark", with("", b"\xef\xbb\xbf", r#"{"title":"t","body":"b"}"#)),
        ("UTF-16", utf16(r#"{"title":"t","body":"b"}"#)),
        ("UTF-16 with a byte order mark", utf16("\u{feff}{\"title\":\"t\",\"body\":\"b\"}")),
        ("invalid UTF-8 in the title", with("{\"title\":\"", b"\xff", r#"","body":"b"}"#)),
        ("invalid UTF-8 in the body", with("{\"title\":\"t\",\"body\":\"", b"\xc3", "\"}")),
        ("invalid UTF-8 in a name", with("{\"", b"\xfe", r#"":"t","body":"b"}"#)),
        ("an overlong NUL", with("{\"title\":\"", b"\xc0\x80", r#"","body":"b"}"#)),
        ("a surrogate's bytes", with("{\"title\":\"", b"\xed\xa0\x80", r#"","body":"b"}"#)),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        ("a title that is too long", long("title", 201).into()),
        ("a body that is too long", long("body", 100_001).into()),
        ("a long name", long(&"n".repeat(100_000), 1).into()),
    ];
    bodies.extend(TEXTS.map(|text| (text, text.into())));
    bodies
}

const TEXTS: [&str; 50] = [
    "",
    " ",
    "{",
    "}",
    "null",
    "true",
    "1",
    "\"text\"",
    "[]",
    "NaN",
    "title=t&body=b",
    r#"["t","b"]"#,
    r#"[{"title":"t","body":"b"}]"#,
    r#"{"title":NaN,"body":"b"}"#,
    r#"{"title":-Infinity,"body":"b"}"#,
    r#"{"title":1e400,"body":"b"}"#,
    r#"{"title":"t","body":-1e400}"#,
    r#"{"title":1e-400,"body":"b"}"#,
    r#"{"title":18446744073709551616,"body":"b"}"#,
    r#"{"title":"\ud800","body":"b"}"#,
    r#"{"title":"\udc00","body":"b"}"#,
    r#"{"title":"\udc00\ud800","body":"b"}"#,
    r#"{"title":"t\u0000","body":"b"}"#,
    r#"{"title":"t","body":"b\u0000"}"#,
    "{\"title\":\"t\0\",\"body\":\"b\"}",
    r#"{"title\u0000":"t","body":"b"}"#,
    r#"{"title":"t","title":"t","body":"b"}"#,
    r#"{"title":"t","body":"b","body":"b"}"#,
    r#"{"title":"t","\u0074itle":"u","body":"b"}"#,
    r#"{"title":["t"],"body":"b"}"#,
    r#"{"title":"t","body":{"$ne":""}}"#,
    r#"{"title":1,"body":"b"}"#,
    r#"{"title":true,"body":"b"}"#,
    r#"{"title":null,"body":"b"}"#,
    r#"{"title":"t","body":null}"#,
    r#"{"title":"t","body":"b","id":"00000000-0000-0000-0000-000000000000"}"#,
    r#"{"title":"t","body":"b","__proto__":{}}"#,
    r#"{"title":"t","body":"b","":""}"#,
    r#"{"Title":"t","body":"b"}"#,
    r#"{"title":"t","body":"b",}"#,
    r#"{"title":"t" /* ! */,"body":"b"}"#,
    "{'title':'t','body':'b'}",
    r#"{title:"t",body:"b"}"#,
    r#"{"title":"t","body":"b"}{"#,
    "{\"title\":\"a\nb\",\"body\":\"b\"}",
    r#"{"title":"\x41","body":"b"}"#,
    r#"{"title":"\u12","body":"b"}"#,
    r#"{"title":"","body":"b"}"#,
    r#"{"title":"\u2003\n ","body":"b"}"#,
    r#"{"title":"a\u001bb","body":"b"}"#,
];

fn send(setup: &Setup, method: &str, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    setup.ada.request(&setup.web, method, path).header("content-type", "application/json").body(body)
}

/// Asserts a problem document with a 4xx status.
fn assert_rejected(response: &Response, what: &str) {
    assert!((400..500).contains(&response.status), "{what}: {response:?}");
    response.is_problem(response.status);
}

#[tokio::test]
async fn malformed_bodies_are_rejected_with_a_problem() {
    let setup = Setup::new().await;
    let path = setup.note("t", "b").await;
    let before = setup.ada.get(&setup.web, &path).await;
    let incomplete = ["{}", r#"{"title":"t"}"#, r#"{"body":"b"}"#].map(|text| (text, text.into()));

    for (name, body) in bodies().into_iter().chain(incomplete) {
        assert_rejected(&Response::of(send(&setup, "POST", NOTES, body)).await, name);
    }
    for (name, body) in bodies() {
        assert_rejected(&Response::of(send(&setup, "PATCH", &path, body)).await, name);
    }
    Response::of(send(&setup, "POST", NOTES, vec![b' '; 2 << 20])).await.is_problem(413);

    assert_eq!(setup.count().await, 1);
    assert_eq!(setup.ada.get(&setup.web, &path).await.text, before.text);
}

#[tokio::test]
async fn a_problem_names_the_field() {
    let setup = Setup::new().await;

    for (body, field) in [
        (r#"{"title":"t"}"#, "body"),
        (r#"{"title":" ","body":"b"}"#, "title"),
        (r#"{"title":"t","body":"\u0000"}"#, "body"),
        (r#"{"title":"t","body":"b","tags":[]}"#, "tags"),
    ] {
        let response = Response::of(send(&setup, "POST", NOTES, body)).await;

        response.is_problem(422);
        assert_eq!(response.body["errors"][0]["field"], field, "{}", response.text);
    }
}

#[tokio::test]
async fn malformed_paths_of_notes_are_not_found() {
    let setup = Setup::new().await;
    let path = setup.note("t", "b").await;

    for part in ["%FF", "%C0%80", "%00", "%ED%A0%80", "%", "%zz", "..%2Fnotes", "1", "null", "é", "%F0%9F%98%80"] {
        setup.ada.get(&setup.web, &format!("{NOTES}/{part}")).await.is_problem(404);
    }
    for part in ["%0A", "%00", "%FF", "0", "/", "//"] {
        setup.ada.get(&setup.web, &format!("{path}{part}")).await.is_problem(404);
    }
}

#[tokio::test]
async fn malformed_headers_are_rejected_or_ignored() {
    let setup = Setup::new().await;
    let path = setup.note("t", "b").await;
    let note = r#"{"title":"t","body":"b"}"#;
    let malformed = || HeaderValue::from_bytes(b"\xff\xfe").expect("a header's bytes");

    let post = |name: &'static str| setup.ada.request(&setup.web, "POST", NOTES).header(name, malformed()).body(note);
    Response::of(post("content-type")).await.is_problem(415);
    Response::of(post("x-other")).await.is_problem(415);
    Response::of(post("idempotency-key").header("content-type", "application/json")).await.is_problem(400);
    Response::of(send(&setup, "PATCH", &path, note).header("if-match", malformed())).await.is_problem(412);
    Response::of(Client::new().request(&setup.web, "GET", &path).header("cookie", malformed())).await.is_problem(401);
    for name in ["if-none-match", "if-match", "x-request-id", "traceparent", "accept", "user-agent"] {
        let response = Response::of(setup.ada.request(&setup.web, "GET", &path).header(name, malformed())).await;
        assert_eq!(response.status, 200, "{name}: {response:?}");
    }
}

#[tokio::test]
async fn raw_bytes_in_a_path_or_query_are_rejected() {
    let setup = Setup::new().await;
    let session = setup.ada.cookie(&setup.web);

    for target in [&b"/api/v1/notes/\xff\xfe"[..], b"/api/v1/notes?q=\xff", b"/api/v1/notes?\xc3\x28=1"] {
        let mut stream = Raw::begin(&setup.web, "GET ").await.into_stream();
        let head = format!(" HTTP/1.1\r\nhost: a\r\ncookie: {session}\r\nconnection: close\r\n\r\n");
        stream.write_all(&[target, head.as_bytes()].concat()).await.expect("the request is sent");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.expect("the response is complete");

        let response = String::from_utf8_lossy(&response);
        assert!(response.starts_with("HTTP/1.1 4"), "{target:?}: {response}");
    }
}
