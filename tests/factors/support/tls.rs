//! TLS before a service that has none, with certificates of the test's own, and an ear on what goes in the clear.

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

/// What a client of Postgres sends to ask for TLS.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A CA that nobody knows, and the file that tells of it.
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
            .expect("the key is the certificate's");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        std::fs::remove_file(&self.file).ok();
    }
}

/// A service, and the way its URL asks for TLS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Postgres,
    Redis,
    Smtps,
    Starttls,
    Storage,
}

impl Way {
    pub const ALL: [Self; 5] = [Self::Postgres, Self::Redis, Self::Smtps, Self::Starttls, Self::Storage];

    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "DATABASE_URL",
            Self::Redis => "REDIS_URL",
            Self::Smtps | Self::Starttls => "SMTP_URL",
            Self::Storage => "STORAGE_URL",
        }
    }

    /// The URL that asks for TLS at a port of localhost.
    pub fn url(self, plain: &str, port: u16) -> String {
        let mut url = url::Url::parse(plain).expect("a service's URL");
        url.set_host(Some("localhost")).expect("a host");
        url.set_port(Some(port)).expect("a port");
        let asked = match self {
            Self::Postgres => Err(("sslmode", "verify-full")),
            Self::Starttls => Err(("tls", "required")),
            Self::Redis => Ok("rediss"),
            Self::Smtps => Ok("smtps"),
            Self::Storage => Ok("s3+https"),
        };
        match asked {
            Ok(scheme) => url.set_scheme(scheme).expect("a scheme"),
            Err((name, value)) => drop(url.query_pairs_mut().append_pair(name, value)),
        }
        url.into()
    }
}

/// A port before a service.
pub struct Front {
    pub port: u16,
    opened: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Front {
    /// A server of TLS, whose certificate is for `names`, before a plain service.
    pub async fn before(way: Way, authority: &Authority, names: &[&str]) -> Self {
        Self::listen(way, Some(authority.server(names))).await
    }

    /// No TLS, and an ear on what clients say.
    pub async fn in_the_clear(way: Way) -> Self {
        Self::listen(way, None).await
    }

    async fn listen(way: Way, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (opened, heard) = (Arc::<AtomicUsize>::default(), Arc::default());
        let (count, ear) = (Arc::clone(&opened), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tls, count, ear) = (tls.clone(), Arc::clone(&count), Arc::clone(&ear));
                // A client that hangs up is what some tests want.
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => carry(client, way, tls, &count).await,
                        None => listen_in(client, way, &ear).await,
                    }
                });
            }
        });
        Self { port, opened, heard, task }
    }

    /// How many clients took the certificate.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// All that clients said in the clear.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("no writer panicked").clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, way: Way, tls: TlsAcceptor, opened: &AtomicUsize) -> io::Result<()> {
    let mut client = BufReader::new(client);
    match way {
        Way::Postgres => agree(&mut client).await?,
        Way::Starttls => greet(&mut client).await?,
        _ => {}
    }
    let mut client = tls.accept(client.into_inner()).await?;
    opened.fetch_add(1, Ordering::Relaxed);
    let mut server = BufReader::new(TcpStream::connect(address_of(way.variable())).await?);
    if way == Way::Starttls {
        // The client was greeted already.
        server.read_line(&mut String::new()).await?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn agree(client: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    assert_eq!(request, SSL_REQUEST);
    client.write_all(b"S").await
}

/// What a mail server says until TLS begins.
async fn greet(client: &mut BufReader<TcpStream>) -> io::Result<()> {
    client.write_all(b"220 front ESMTP\r\n").await?;
    for (asked, answer) in [("EHLO ", "250-front\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go on\r\n")] {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        assert!(line.starts_with(asked), "{line}");
        client.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn listen_in(mut client: TcpStream, way: Way, ear: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut server = TcpStream::connect(address_of(way.variable())).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let mut buffer = [0; 4096];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            let said = &buffer[..count];
            ear.lock().expect("no writer panicked").extend(said);
            to_server.write_all(said).await?;
        }
    };
    tokio::try_join!(up, tokio::io::copy(&mut from_server, &mut to_client))?;
    Ok(())
}
