//! Object storage: an S3-compatible bucket, with its credentials in one URL.

use std::{error::Error as _, iter::successors, sync::Arc, time::Duration};

use object_store::{Certificate, ClientOptions, ObjectStoreExt, RetryConfig, aws::AmazonS3, aws::AmazonS3Builder};
use tokio::time::timeout;
use url::{Position, Url};

use super::{Error, decoded, tls};
use crate::config::{Config, ExposeSecret};

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The handle to the bucket.
#[derive(Clone)]
pub struct Storage {
    /// The client for its objects.
    pub bucket: Arc<AmazonS3>,
}

impl Storage {
    /// Attaches the bucket of `STORAGE_URL`. Connects at the first request.
    /// Errors: the URL is rejected, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        tls::install_crypto();
        let rejected = |reason: &str| Error::rejected("STORAGE_URL", reason);
        let url = Url::parse(config.storage_url.expose_secret()).map_err(|_| rejected("it is not a URL"))?;
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
        // The builder's error message may show the URL.
        let bucket = builder.build().map_err(|_| rejected("its parts do not name a bucket"))?;
        Ok(Self { bucket: Arc::new(bucket) })
    }

    /// Checks that the bucket responds. Errors: it is unreachable, rejects the key, or takes more than two seconds.
    pub async fn check(&self) -> Result<(), Error> {
        // Not found is a success, too: the bucket need not hold this object.
        let key = object_store::path::Path::from("health");
        match timeout(CHECK_TIMEOUT, self.bucket.head(&key)).await {
            Ok(Ok(_) | Err(object_store::Error::NotFound { .. })) => Ok(()),
            // The root cause: the errors around it only describe retries.
            Ok(Err(error)) => {
                let causes = successors(error.source(), |&error| error.source());
                Err(Error::Down(causes.last().map_or_else(|| error.to_string(), ToString::to_string)))
            }
            Err(_) => Err(Error::Down("the bucket timed out".into())),
        }
    }
}

fn client(encrypted: bool) -> Result<ClientOptions, Error> {
    // Only our root certificates count; without TLS none are read.
    let mut options = ClientOptions::new()
        .with_allow_http(!encrypted)
        .with_no_system_certificates(true)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled() // a stream may take as long as its reader
        .with_read_timeout(REQUEST_TIMEOUT);
    if encrypted {
        let roots = Certificate::from_pem_bundle(&tls::roots()?)
            .map_err(|_| Error::rejected("STORAGE_URL", "the system's certificates are invalid"))?;
        options = roots.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}
