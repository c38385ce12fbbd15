//! TLS in front of a service that has none, with certificates of a test CA; and a recorder of plaintext.

use super::proxy::address_of;
use super::random;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The SSLRequest message of the Postgres protocol.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A private CA, and the file with its certificate.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let name = random();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, &name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let file = std::env::temp_dir().join(format!("app-test-ca-{name}.pem"));
        std::fs::write(&file, issuer.pem()).expect("a file");
        Self { issuer, file }
    }

    pub fn file(&self) -> &str {
        self.file.to_str().expect("a path")
    }

    fn server(&self, names: &[&str]) -> TlsAcceptor {
        rustls::crypto::ring::default_provider().install_default().ok();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key)
            .expect("the key matches the certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        std::fs::remove_file(&self.file).ok();
    }
}

/// A service, and how its URL requires TLS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Protocol {
    Postgres,
    Redis,
    Smtps,
    Starttls,
    Storage,
}

impl Protocol {
    pub const ALL: [Self; 5] = [Self::Postgres, Self::Redis, Self::Smtps, Self::Starttls, Self::Storage];

    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "DATABASE_URL",
            Self::Redis => "REDIS_URL",
            Self::Smtps | Self::Starttls => "SMTP_URL",
            Self::Storage => "STORAGE_URL",
        }
    }

    /// The URL that requires TLS, with `localhost` and this port.
    pub fn url(self, plain: &str, port: u16) -> String {
        let mut url = url::Url::parse(plain).expect("a service's URL");
        url.set_host(Some("localhost")).expect("a host");
        url.set_port(Some(port)).expect("a port");
        let change = match self {
            Self::Postgres => Err(("sslmode", "verify-full")),
            Self::Starttls => Err(("tls", "required")),
            Self::Redis => Ok("rediss"),
            Self::Smtps => Ok("smtps"),
            Self::Storage => Ok("s3+https"),
        };
        match change {
            Ok(scheme) => url.set_scheme(scheme).expect("a scheme"),
            Err((name, value)) => drop(url.query_pairs_mut().append_pair(name, value)),
        }
        url.into()
    }
}

/// A port in front of a service.
pub struct Frontend {
    pub port: u16,
    handshakes: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Frontend {
    /// Terminates TLS with a certificate for `names`.
    pub async fn tls(protocol: Protocol, authority: &Authority, names: &[&str]) -> Self {
        Self::listen(protocol, Some(authority.server(names))).await
    }

    /// Has no TLS, and records what clients send.
    pub async fn plaintext(protocol: Protocol) -> Self {
        Self::listen(protocol, None).await
    }

    async fn listen(protocol: Protocol, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a local address").port();
        let (handshakes, received) = (Arc::<AtomicUsize>::default(), Arc::default());
        let (count, record) = (Arc::clone(&handshakes), Arc::clone(&received));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tls, count, record) = (tls.clone(), Arc::clone(&count), Arc::clone(&record));
                // Errors are ignored: some tests expect the client to close the connection.
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => terminate(client, protocol, tls, &count).await,
                        None => record_plaintext(client, protocol, &record).await,
                    }
                });
            }
        });
        Self { port, handshakes, received, task }
    }

    /// How many clients accepted the certificate.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// The plaintext that clients sent.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().expect("no writer panicked").clone()
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn terminate(
    client: TcpStream, protocol: Protocol, tls: TlsAcceptor, handshakes: &AtomicUsize,
) -> io::Result<()> {
    let mut client = BufReader::new(client);
    match protocol {
        Protocol::Postgres => accept_ssl_request(&mut client).await?,
        Protocol::Starttls => accept_starttls(&mut client).await?,
        _ => {}
    }
    let mut client = tls.accept(client.into_inner()).await?;
    handshakes.fetch_add(1, Ordering::Relaxed);
    let mut server = BufReader::new(TcpStream::connect(address_of(protocol.variable())).await?);
    if protocol == Protocol::Starttls {
        // Drop the server's greeting: the client has received one already.
        server.read_line(&mut String::new()).await?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn accept_ssl_request(client: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    assert_eq!(request, SSL_REQUEST);
    client.write_all(b"S").await
}

/// Plays the mail server until TLS begins.
async fn accept_starttls(client: &mut BufReader<TcpStream>) -> io::Result<()> {
    client.write_all(b"220 front ESMTP\r\n").await?;
    for (command, reply) in [("EHLO ", "250-front\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go on\r\n")] {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        assert!(line.starts_with(command), "{line}");
        client.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

async fn record_plaintext(mut client: TcpStream, protocol: Protocol, record: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut server = TcpStream::connect(address_of(protocol.variable())).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let upload = async {
        let mut buffer = [0; 4096];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            let data = &buffer[..count];
            record.lock().expect("no writer panicked").extend(data);
            to_server.write_all(data).await?;
        }
    };
    tokio::try_join!(upload, tokio::io::copy(&mut from_server, &mut to_client))?;
    Ok(())
}
