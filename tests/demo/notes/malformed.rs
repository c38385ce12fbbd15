//! What no client should send, and some do: a problem each time, and never one of ours.

use super::*;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bodies that are no note, named; those called `no …` are none to POST alone.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let with = |before: &str, odd: &[u8], after: &str| [before.as_bytes(), odd, after.as_bytes()].concat();
    let long = |name: &str, length| json!({ "title": "t", "body": "b", name: "x".repeat(length) }).to_string();
    let mut bodies: Vec<(&str, Vec<u8>)> = vec![
        ("100,000 arrays", "[".repeat(100_000).into()),
        ("100,000 objects", "{\"title\":".repeat(100_000).into()),
        ("a title of 100,000 arrays", with("{\"title\":", "[".repeat(100_000).as_bytes(), "")),
        ("an unknown field of 100,000 arrays", with("{\"x\":", "[".repeat(100_000).as_bytes(), "")),
        ("a byte order mark", with("", b"\xef\xbb\xbf", r#"{"title":"t","body":"b"}"#)),
        ("UTF-16", utf16(r#"{"title":"t","body":"b"}"#)),
        ("UTF-16 with a mark", utf16("\u{feff}{\"title\":\"t\",\"body\":\"b\"}")),
        ("no UTF-8 in the title", with("{\"title\":\"", b"\xff", r#"","body":"b"}"#)),
        ("no UTF-8 in the body", with("{\"title\":\"t\",\"body\":\"", b"\xc3", "\"}")),
        ("no UTF-8 in a name", with("{\"", b"\xfe", r#"":"t","body":"b"}"#)),
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

fn send(desk: &Desk, method: &str, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    desk.ada.request(&desk.web, method, path).header("content-type", "application/json").body(body)
}

/// A problem of the client's.
fn is_rejected(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    answer.is_problem(answer.status);
}

#[tokio::test]
async fn odd_bodies_are_problems_of_the_client() {
    let desk = Desk::new().await;
    let path = desk.note("t", "b").await;
    let before = desk.ada.get(&desk.web, &path).await;
    let incomplete = ["{}", r#"{"title":"t"}"#, r#"{"body":"b"}"#].map(|text| (text, text.into()));

    for (name, body) in bodies().into_iter().chain(incomplete) {
        is_rejected(&Answer::of(send(&desk, "POST", NOTES, body)).await, name);
    }
    for (name, body) in bodies() {
        is_rejected(&Answer::of(send(&desk, "PATCH", &path, body)).await, name);
    }
    Answer::of(send(&desk, "POST", NOTES, vec![b' '; 2 << 20])).await.is_problem(413);

    assert_eq!(desk.count().await, 1);
    assert_eq!(desk.ada.get(&desk.web, &path).await.text, before.text);
}

#[tokio::test]
async fn a_problem_names_the_field() {
    let desk = Desk::new().await;

    for (body, field) in [
        (r#"{"title":"t"}"#, "body"),
        (r#"{"title":" ","body":"b"}"#, "title"),
        (r#"{"title":"t","body":"\u0000"}"#, "body"),
        (r#"{"title":"t","body":"b","tags":[]}"#, "tags"),
    ] {
        let answer = Answer::of(send(&desk, "POST", NOTES, body)).await;

        answer.is_problem(422);
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    }
}

#[tokio::test]
async fn odd_paths_are_not_found() {
    let desk = Desk::new().await;
    let path = desk.note("t", "b").await;

    for odd in ["%FF", "%C0%80", "%00", "%ED%A0%80", "%", "%zz", "..%2Fnotes", "1", "null", "é", "%F0%9F%98%80"] {
        desk.ada.get(&desk.web, &format!("{NOTES}/{odd}")).await.is_problem(404);
    }
    for odd in ["%0A", "%00", "%FF", "0", "/", "//"] {
        desk.ada.get(&desk.web, &format!("{path}{odd}")).await.is_problem(404);
    }
}

#[tokio::test]
async fn odd_headers_are_problems_of_the_client_or_do_no_harm() {
    let desk = Desk::new().await;
    let path = desk.note("t", "b").await;
    let note = r#"{"title":"t","body":"b"}"#;
    let odd = || HeaderValue::from_bytes(b"\xff\xfe").expect("a header's bytes");

    let post = |name: &'static str| desk.ada.request(&desk.web, "POST", NOTES).header(name, odd()).body(note);
    Answer::of(post("content-type")).await.is_problem(415);
    Answer::of(post("x-other")).await.is_problem(415);
    Answer::of(post("idempotency-key").header("content-type", "application/json")).await.is_problem(400);
    Answer::of(send(&desk, "PATCH", &path, note).header("if-match", odd())).await.is_problem(412);
    Answer::of(Client::new().request(&desk.web, "GET", &path).header("cookie", odd())).await.is_problem(401);
    for name in ["if-none-match", "if-match", "x-request-id", "traceparent", "accept", "user-agent"] {
        let answer = Answer::of(desk.ada.request(&desk.web, "GET", &path).header(name, odd())).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn raw_bytes_in_a_path_or_query_are_rejected() {
    let desk = Desk::new().await;
    let session = desk.ada.session(&desk.web);

    for target in [&b"/api/v1/notes/\xff\xfe"[..], b"/api/v1/notes?q=\xff", b"/api/v1/notes?\xc3\x28=1"] {
        let mut stream = Raw::begin(&desk.web, "GET ").await.into_stream();
        let head = format!(" HTTP/1.1\r\nhost: a\r\ncookie: session={session}\r\nconnection: close\r\n\r\n");
        stream.write_all(&[target, head.as_bytes()].concat()).await.expect("the request is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("the answer ends");

        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 4"), "{target:?}: {answer}");
    }
}
