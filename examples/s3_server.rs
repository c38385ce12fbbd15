//! An S3 server over a directory, for `script/dev` and the tests, on 127.0.0.1 alone.
//!
//! `S3_PORT` is where it listens, `S3_ROOT` the directory it serves, `S3_BUCKET` the bucket it makes there, and
//! `S3_ACCESS_KEY` with `S3_SECRET_KEY` are the one pair of keys it accepts.

use std::{
    env,
    error::Error,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let port: u16 = var("S3_PORT")?.parse()?;
    let root = PathBuf::from(var("S3_ROOT")?);
    make_bucket(&root, &var("S3_BUCKET")?)?;

    let files = FileSystem::new(root).map_err(|error| format!("S3_ROOT: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    let (key, secret) = (var("S3_ACCESS_KEY")?, var("S3_SECRET_KEY")?);
    service.set_auth(SimpleAuth::from_single(key, secret));
    let service = service.build();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        tokio::spawn(async move {
            // A client that hangs up is its own affair.
            let _ = connection.await;
        });
    }
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set"))
}

fn make_bucket(root: &Path, bucket: &str) -> Result<(), String> {
    std::fs::create_dir_all(root.join(bucket)).map_err(|error| format!("S3_ROOT: {error}"))
}
