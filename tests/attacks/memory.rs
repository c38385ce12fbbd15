//! The memory of a web process, however clients send and read: at most 32 MiB more than when idle.

use super::support::{Client, Deploy, Duration, Process, Raw, json, until};
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const MIB: u64 = 1 << 20;
const MORE: u64 = 32 * MIB;
const HEAD: &str = "POST /api/v1/sessions HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n";

/// A field of `/proc/PID/status`, in bytes.
fn memory(web: &Process, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", web.pid())).expect("the process is running");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    let kilobytes: u64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
    kilobytes << 10
}

/// The resident memory of an idle process; from now on its peak is measured.
fn idle(web: &Process) -> u64 {
    std::fs::write(format!("/proc/{}/clear_refs", web.pid()), "5").expect("the process belongs to the test");
    memory(web, "VmRSS:")
}

/// Checks the peak since [`idle`].
fn assert_bounded(web: &Process, idle: u64) {
    let peak = memory(web, "VmHWM:");
    assert!(peak <= idle + MORE, "{} MiB above idle", (peak - idle) / MIB);
}

/// The bytes that were sent to the process, and are in the kernel's queues of either end.
fn unread(web: &Process) -> u64 {
    let port = format!(":{:04X}", web.port());
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines());
    let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|fields| fields.len() > 4);
    let queue = |fields: Vec<&str>| {
        let (to_send, received) = fields[4].split_once(':')?;
        let bytes = if fields[1].ends_with(&port) { received } else { to_send };
        (fields[1].ends_with(&port) || fields[2].ends_with(&port)).then(|| u64::from_str_radix(bytes, 16).ok())?
    };
    fields.filter_map(queue).sum()
}

#[tokio::test]
async fn bodies_sent_byte_by_byte_cost_their_bytes() {
    let web = Deploy::detached().listening_web().await;
    let idle = idle(&web);
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut raw = Raw::begin(&web, HEAD).await;
        raw.send("Content-Length: 16000\r\n\r\n").await;
        let stream = raw.into_stream();
        stream.set_nodelay(true).expect("a connection");
        open.push(stream);
    }

    for _ in 0..3_000 {
        let start = Instant::now();
        for stream in &open {
            // A full buffer only makes the pieces larger.
            stream.try_write(b" ").ok();
        }
        tokio::time::sleep(Duration::from_millis(1).saturating_sub(start.elapsed())).await;
    }

    assert_bounded(&web, idle);
}

#[tokio::test]
async fn chunks_of_a_byte_cost_their_bytes() {
    let web = Deploy::detached().listening_web().await;
    let idle = idle(&web);
    let chunks = "1\r\n \r\n".repeat(1_000);

    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let mut stream = Raw::begin(&web, &format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n")).await.into_stream();
        let chunks = chunks.clone();
        sent.spawn(async move {
            // Not to the end: what is held stays held. A rejected connection is closed, which is allowed.
            for _ in 0..100 {
                if stream.write_all(chunks.as_bytes()).await.is_err() {
                    break;
                }
            }
            stream
        });
    }
    let open: Vec<TcpStream> = sent.join_all().await;
    until("the process has read what was sent", Duration::from_secs(60), async || (unread(&web) == 0).then_some(()))
        .await;

    assert_eq!(open.len(), 30);
    assert_bounded(&web, idle);
}

#[tokio::test]
async fn half_sent_bodies_cost_little_each() {
    let web = Deploy::detached().listening_web().await;
    let idle = idle(&web);
    let mut open = Vec::new();
    for _ in 0..1_100 {
        let mut raw = Raw::begin(&web, HEAD).await;
        raw.send("Content-Length: 100\r\n\r\n ").await;
        open.push(raw);
    }

    let client = Client::new();
    assert_eq!(client.get(&web, "/health/live").await.status, 200);

    assert_bounded(&web, idle);
}

#[tokio::test]
async fn a_sign_in_costs_the_memory_of_its_hash_while_it_runs() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let idle = idle(&web);
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4) as u64;

    let mut attempts = tokio::task::JoinSet::new();
    for at in 0..300 {
        let mut client = Client::new();
        client.address = format!("198.{}.{}.7", at / 100, at % 100);
        let request = client.request(&web, "POST", "/api/v1/sessions");
        attempts.spawn(request.json(&json!({ "email": "eve@example.com", "password": "guess" })).send());
    }
    for response in attempts.join_all().await {
        assert!(matches!(response.expect("a response").status().as_u16(), 401 | 429 | 503));
    }

    let peak = memory(&web, "VmHWM:");
    assert!(peak <= idle + MORE + cores * 19 * MIB, "{} MiB above idle", (peak - idle) / MIB);
    until("the memory is returned", Duration::from_secs(5), async || {
        (memory(&web, "VmRSS:") <= idle + MORE).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_body_slower_than_a_kilobyte_a_second_ends() {
    let web = Deploy::detached().listening_web().await;
    let mut slow = Raw::begin(&web, &format!("{HEAD}Content-Length: 100\r\n\r\n ")).await;

    slow.wait_for("408 Request Timeout").await;
}
