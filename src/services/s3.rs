//! Object storage: an S3-compatible bucket, whole in one URL.

use std::{error::Error as _, iter::successors, sync::Arc, time::Duration};

use object_store::{Certificate, ClientOptions, ObjectStoreExt, RetryConfig, aws::AmazonS3, aws::AmazonS3Builder};
use tokio::time::timeout;
use url::{Position, Url};

use super::{Error, decoded, tls};
use crate::config::{Config, ExposeSecret};

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The bucket.
#[derive(Clone)]
pub struct Storage {
    /// Its objects.
    pub bucket: Arc<AmazonS3>,
}

impl Storage {
    /// Attaches the bucket of `STORAGE_URL`. Nothing connects before the first request.
    /// Errors: the URL is rejected, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        tls::install_crypto();
        let rejected = |reason: &str| Error::rejected("STORAGE_URL", reason);
        let url = Url::parse(config.storage_url.expose_secret()).map_err(|_| rejected("it is no URL"))?;
        let encrypted = url.scheme() == "s3+https";
        let scheme = if encrypted { "https" } else { "http" };
        let region = url.query_pairs().find(|(name, _)| name == "region");

        let builder = AmazonS3Builder::new()
            .with_endpoint(format!("{scheme}://{}", &url[Position::BeforeHost..Position::AfterPort]))
            .with_bucket_name(decoded(url.path().trim_matches('/')))
            .with_region(region.map_or_else(|| "us-east-1".into(), |(_, value)| value))
            .with_access_key_id(decoded(url.username()))
            .with_secret_access_key(decoded(url.password().unwrap_or_default()))
            .with_virtual_hosted_style_request(false)
            .with_client_options(client(encrypted)?)
            .with_retry(RetryConfig { max_retries: 1, retry_timeout: REQUEST_TIMEOUT, ..RetryConfig::default() });
        // The builder's own message may repeat the URL.
        let bucket = builder.build().map_err(|_| rejected("its parts make no bucket"))?;
        Ok(Self { bucket: Arc::new(bucket) })
    }

    /// Whether the bucket answers. Errors: it is unreachable, rejects the key, or takes more than two seconds.
    pub async fn check(&self) -> Result<(), Error> {
        // Any answer will do, so nothing has to be there.
        let key = object_store::path::Path::from("health");
        match timeout(CHECK_TIMEOUT, self.bucket.head(&key)).await {
            Ok(Ok(_) | Err(object_store::Error::NotFound { .. })) => Ok(()),
            // The last of its causes: those before it tell of tries and times, and not of what is wrong.
            Ok(Err(error)) => {
                let causes = successors(error.source(), |&error| error.source());
                Err(Error::Down(causes.last().map_or_else(|| error.to_string(), ToString::to_string)))
            }
            Err(_) => Err(Error::Down("the bucket did not answer in time".into())),
        }
    }
}

fn client(encrypted: bool) -> Result<ClientOptions, Error> {
    // The roots are ours alone, and none are read where there is no TLS.
    let mut options = ClientOptions::new()
        .with_allow_http(!encrypted)
        .with_no_system_certificates(true)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled() // a slow reader of a stream is no fault of the bucket
        .with_read_timeout(REQUEST_TIMEOUT);
    if encrypted {
        let roots = Certificate::from_pem_bundle(&tls::roots()?)
            .map_err(|_| Error::rejected("STORAGE_URL", "the system's certificates are broken"))?;
        options = roots.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}
