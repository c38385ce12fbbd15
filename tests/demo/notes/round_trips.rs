//! The cost of a read: its round trips to Postgres and Redis, counted by a recording proxy.

use super::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

const READS: usize = 25;

/// A proxy that records what clients send, per connection.
struct Recorder {
    port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    async fn start(variable: &str) -> Self {
        let server = proxy::address_of(variable);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a local address").port();
        let received = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let record = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the service is up");
                tokio::spawn(forward(client, server, Arc::clone(&record)));
            }
        });
        Self { port, received }
    }

    fn received(&self) -> Vec<Vec<u8>> {
        self.received.lock().expect("no writer panicked").clone()
    }
}

async fn forward(client: TcpStream, server: TcpStream, record: Arc<Mutex<Vec<Vec<u8>>>>) {
    let connection = {
        let mut record = record.lock().expect("no writer panicked");
        record.push(Vec::new());
        record.len() - 1
    };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        record.lock().expect("no writer panicked")[connection].extend(&buffer[..count]);
        if to_server.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// The pool's ping of a connection that is returned to it: a `Sync` message after another `Sync`.
const PING: &str = "ping";

/// The statements that clients of Postgres have executed, from the extended query protocol: a named statement is
/// parsed, bound and executed.
fn statements(connections: &[Vec<u8>]) -> Vec<String> {
    let mut statements = Vec::new();
    for connection in connections {
        let (mut names, mut bound, mut rest) = (std::collections::HashMap::new(), String::new(), &connection[..]);
        let mut last = 0;
        // The startup message has no type byte: it begins with its length, whose first byte is 0.
        while let Some(kind) = rest.first().copied() {
            let at = usize::from(kind != 0);
            let Some(length) = rest.get(at..at + 4) else { break };
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            let Some(message) = rest.get(at + 4..at + length) else { break };
            let mut texts = message.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let mut text = || texts.next().unwrap_or_default();
            match kind {
                b'P' => drop(names.insert(text(), text())),
                b'B' => (_, bound) = (text(), text()),
                b'E' => statements.push(names.get(&bound).cloned().unwrap_or_default()),
                b'Q' => statements.push(text()),
                b'S' if last == b'S' => statements.push(PING.into()),
                _ => {}
            }
            last = kind;
            rest = &rest[at + length..];
        }
    }
    statements
}

/// The names of the commands that clients of Redis have sent. Each command is an array of strings.
fn commands(connections: &[Vec<u8>]) -> Vec<String> {
    let mut commands = Vec::new();
    for connection in connections {
        let text = String::from_utf8_lossy(connection);
        let mut parts = text.split("\r\n");
        while let Some(count) = parts.next().and_then(|part| part.strip_prefix('*')?.parse::<usize>().ok()) {
            let texts: Vec<&str> = (0..count).filter_map(|_| parts.by_ref().nth(1)).collect();
            commands.push(texts[0].to_owned());
        }
    }
    commands
}

#[tokio::test]
async fn a_read_is_one_redis_command_and_one_query() {
    let setup = Setup::new().await;
    let path = setup.note("t", "b").await;
    let (postgres, redis) = (Recorder::start("DATABASE_URL").await, Recorder::start("REDIS_URL").await);
    let deploy = setup.deploy.copy().through("DATABASE_URL", postgres.port).through("REDIS_URL", redis.port);
    let plain = format!("{}?sslmode=disable", deploy.var("DATABASE_URL"));
    let web = deploy.with("DATABASE_URL", &plain).web().await;
    let of_requests = |all: Vec<String>| all.into_iter().filter(|sent| !is_health_probe(sent)).collect::<Vec<_>>();
    setup.ada.get(&web, &path).await;
    let queried =
        || of_requests(statements(&postgres.received())).into_iter().partition::<Vec<_>, _>(|sql| sql == PING);
    let ((pings, queries), sent) = (queried(), of_requests(commands(&redis.received())));

    for _ in 0..READS {
        assert_eq!(setup.ada.get(&web, &path).await.status, 200);
    }

    let ((now_pings, now_queries), now_sent) = (queried(), of_requests(commands(&redis.received())));
    assert!(queries.last().is_some_and(|query| query.contains("from note")), "{queries:?}");
    assert_eq!(sent.last().map(String::as_str), Some("GETEX"), "{sent:?}");
    let more = (now_queries.len() - queries.len(), now_sent.len() - sent.len());
    assert_eq!(more, (READS, READS), "{now_queries:?} {now_sent:?}");
    // Each returned connection is pinged once; a suspect one again before and after its use.
    assert!(now_pings.len() - pings.len() <= READS + 1, "{} pings", now_pings.len() - pings.len());
}

/// Whether the health probes sent it, not a request.
fn is_health_probe(sent: &str) -> bool {
    sent == "TIME" || sent.contains("from _sqlx_migrations")
}
