//! Known devices: where somebody has signed in to an account before. The owner's devices are served although others
//! guess at the account. A device is no factor of sign-in, and known to its own account alone.

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cookie::time::Duration;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{config::Config, services::postgres::Postgres, sessions};

const NAME: &str = "device";
const YEAR: Duration = Duration::days(365);
/// The maximum number of known devices of an account.
const MAX_DEVICES: i64 = 20;

/// The hash of the token in the device's cookie; of nothing, where there is none.
pub(super) fn presented(config: &Config, headers: &HeaderMap) -> Vec<u8> {
    let name = sessions::cookie_name(config, NAME);
    let token = sessions::cookies(headers, &name).next().and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    hash(&token.unwrap_or_default())
}

/// Makes this device known to the account, by a new token in place of the `old` one. Returns its `Set-Cookie` header.
/// Errors: Postgres is unreachable.
///
/// # Panics The system returns no random bytes.
pub(super) async fn remember(db: &Postgres, config: &Config, account: Uuid, old: &[u8]) -> sqlx::Result<HeaderValue> {
    let mut token = [0; 32];
    getrandom::fill(&mut token).expect("the system gives random bytes");
    let remember = sqlx::query!(
        "with added as (insert into known_device (account_id, hash) values ($1, $2))
         delete from known_device
          where account_id = $1
            and (hash = $3 or hash in (select hash from known_device where account_id = $1
                                        order by created_at desc offset $4))",
        account,
        hash(&token),
        old,
        MAX_DEVICES - 1,
    );
    remember.execute(db).await?;
    let name = sessions::cookie_name(config, NAME);
    Ok(sessions::set_cookie(config, &name, &URL_SAFE_NO_PAD.encode(token), Some(YEAR)))
}

fn hash(token: &[u8]) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}
