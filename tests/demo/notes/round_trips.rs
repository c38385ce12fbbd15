//! What a read costs: a tap on the lines to Postgres and Redis tells.

use super::*;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

const READS: usize = 25;

/// A proxy that keeps what the clients say, a line of bytes a connection.
struct Tap {
    port: u16,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    async fn on(variable: &str) -> Self {
        let server = proxy::address_of(variable);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let said = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let kept = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the service is up");
                tokio::spawn(carry(client, server, Arc::clone(&kept)));
            }
        });
        Self { port, said }
    }

    fn said(&self) -> Vec<Vec<u8>> {
        self.said.lock().expect("no writer panicked").clone()
    }
}

async fn carry(client: TcpStream, server: TcpStream, said: Arc<Mutex<Vec<Vec<u8>>>>) {
    let line = {
        let mut said = said.lock().expect("no writer panicked");
        said.push(Vec::new());
        said.len() - 1
    };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        said.lock().expect("no writer panicked")[line].extend(&buffer[..count]);
        if to_server.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// What the pool asks of a connection that comes back: a `Sync` of nothing, in the protocol.
const PING: &str = "ping";

/// The statements that clients of Postgres have run, by its protocol: a statement is parsed under a name,
/// bound, and executed.
fn statements(lines: &[Vec<u8>]) -> Vec<String> {
    let mut statements = Vec::new();
    for line in lines {
        let (mut names, mut bound, mut rest) = (std::collections::HashMap::new(), String::new(), &line[..]);
        let mut last = 0;
        // What comes before the first message with a kind begins with its length, whose first byte is 0.
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

/// The names of the commands that clients of Redis have sent: each is an array of texts.
fn commands(lines: &[Vec<u8>]) -> Vec<String> {
    let mut commands = Vec::new();
    for line in lines {
        let text = String::from_utf8_lossy(line);
        let mut parts = text.split("\r\n");
        while let Some(count) = parts.next().and_then(|part| part.strip_prefix('*')?.parse::<usize>().ok()) {
            let texts: Vec<&str> = (0..count).filter_map(|_| parts.by_ref().nth(1)).collect();
            commands.push(texts[0].to_owned());
        }
    }
    commands
}

#[tokio::test]
async fn a_read_is_one_redis_command_and_one_postgres_query() {
    let desk = Desk::new().await;
    let path = desk.note("t", "b").await;
    let (postgres, redis) = (Tap::on("DATABASE_URL").await, Tap::on("REDIS_URL").await);
    let tapped = desk.deploy.copy().through("DATABASE_URL", postgres.port).through("REDIS_URL", redis.port);
    let plain = format!("{}?sslmode=disable", tapped.var("DATABASE_URL"));
    let web = tapped.with("DATABASE_URL", &plain).web().await;
    let mine = |all: Vec<String>| all.into_iter().filter(|said| !is_healths(said)).collect::<Vec<_>>();
    desk.ada.get(&web, &path).await;
    let asked = || mine(statements(&postgres.said())).into_iter().partition::<Vec<_>, _>(|said| said == PING);
    let ((pings, queries), sent) = (asked(), mine(commands(&redis.said())));

    for _ in 0..READS {
        assert_eq!(desk.ada.get(&web, &path).await.status, 200);
    }

    let ((now_pings, now_queries), now_sent) = (asked(), mine(commands(&redis.said())));
    assert!(queries.last().is_some_and(|query| query.contains("from note")), "{queries:?}");
    assert_eq!(sent.last().map(String::as_str), Some("GETEX"), "{sent:?}");
    let more = (now_queries.len() - queries.len(), now_sent.len() - sent.len());
    assert_eq!(more, (READS, READS), "{now_queries:?} {now_sent:?}");
    // Each connection that comes back is asked once, beside the request; one that is in doubt, again before and after.
    assert!(now_pings.len() - pings.len() <= READS + 1, "{} pings", now_pings.len() - pings.len());
}

/// What the process asks by itself to know how its services are.
fn is_healths(said: &str) -> bool {
    said == "TIME" || said.contains("from _sqlx_migrations")
}
