//! An S3 server over a directory, for `script/dev` and the tests, on 127.0.0.1 alone.
//!
//! It listens on `S3_PORT`, serves the directory `S3_ROOT`, creates the bucket `S3_BUCKET` there, and accepts one pair
//! of keys: `S3_ACCESS_KEY` and `S3_SECRET_KEY`.
#![allow(clippy::disallowed_methods, reason = "it reads its own variables")]

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
    create_bucket(&root, &var("S3_BUCKET")?)?;

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
            // An error here means that the client closed the connection.
            let _ = connection.await;
        });
    }
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set"))
}

fn create_bucket(root: &Path, bucket: &str) -> Result<(), String> {
    std::fs::create_dir_all(root.join(bucket)).map_err(|error| format!("S3_ROOT: {error}"))
}
