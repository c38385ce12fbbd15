//! Extractors whose rejections are problems. They replace those of axum, which `clippy.toml` disallows.
#![allow(clippy::disallowed_types, reason = "they wrap those of axum")]

use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequest, FromRequestParts, Request, rejection::PathRejection};
use axum::{body::Bytes, http::request::Parts, response::IntoResponse, response::Response};
use axum::{
    http::HeaderMap, http::HeaderName, http::HeaderValue, http::header::CONTENT_TYPE, http::header::USER_AGENT,
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::value::MapDeserializer};
use serde_json::error::Category;

use super::{body, problem::Problem};
use crate::{config::Config, context, server::Peer, state::App};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The body of a request, a JSON object; or of a response.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::UnsupportedMediaType("The body must be application/json."));
        }
        let unreadable = |_| Problem::BadRequest("The body cannot be read.".into());
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        // serde accepts an array for a struct.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(Problem::field("body", "must be a JSON object"));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| rejection(&error))?;
        json.end().map(|()| Self(value)).map_err(|_| Problem::BadRequest(NOT_JSON.into()))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let bytes = serde_json::to_vec(&self.0).map_err(|error| Problem::Internal(error.to_string()));
        let body = bytes.and_then(body::response);
        body.map(|body| ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)).into_response()
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

const NOT_JSON: &str = "The body is not valid JSON.";

/// The error message names fields and never shows values, which may be passwords.
fn rejection(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if error.inner().classify() != Category::Data {
        return Problem::BadRequest(NOT_JSON.into());
    }
    let (text, path) = (error.inner().to_string(), error.path().to_string());
    let known = [("missing", "is required"), ("duplicate", "is given twice"), ("unknown", "is unknown")];
    let about = known.iter().find(|(kind, _)| text.strip_prefix(kind).is_some_and(|rest| rest.starts_with(" field `")));
    // The path of these errors ends at the object: the name of the field is only in the text.
    let (name, message) = match about {
        Some((_, message)) => (text.split('`').nth(1).unwrap_or_default(), *message),
        None => (if path == "." { "body" } else { &path }, "has the wrong type"),
    };
    Problem::field(name.chars().take(100).collect::<String>(), message)
}

/// The parameters of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::NotFound
    }
}

/// The parameters of the query string, all as text.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = MapDeserializer::<_, serde_json::Error>::new(pairs);
        serde_path_to_error::deserialize(query).map(Self).map_err(|error| rejection(&error))
    }
}

/// Deserializes a field that may be missing, but not null.
pub fn present<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}

/// The IP address of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl FromRequestParts<App> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Problem> {
        context::client().map(Self).ok_or_else(|| Problem::Internal("the client's address is unknown".into()))
    }
}

/// The IP address of a request's client; `X-Forwarded-For` counts only from `TRUSTED_PROXIES`.
pub(super) fn client_of(request: &Request, config: &Config) -> Option<IpAddr> {
    let Peer(peer) = request.extensions().get()?;
    let trusted = |ip| config.trusted_proxies.iter().any(|network| network.contains(&ip));
    Some(client(peer.ip(), request.headers(), trusted))
}

/// Reads `X-Forwarded-For` from right to left, up to the first address that is no trusted proxy.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer.to_canonical();
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for hop in line.to_str().unwrap_or_default().rsplit(',') {
            if !trusted(client) {
                return client;
            }
            let Some(ip) = address(hop.trim()) else { return client };
            client = ip.to_canonical();
        }
    }
    client
}

fn address(hop: &str) -> Option<IpAddr> {
    let ip = hop.trim_matches(['[', ']']).parse().ok();
    ip.or_else(|| hop.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// The client's `User-Agent`: at most 200 bytes, without control characters.
pub fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(USER_AGENT).map_or(&[][..], |value| value.as_bytes());
    let mut text: String = String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).collect();
    text.truncate(text.floor_char_boundary(200));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_forwarded_for_of_a_stranger_counts_for_nothing(line in prop::collection::vec(prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff], 0..100)) {
            let peer: IpAddr = "192.0.2.1".parse().expect("an IP address");
            let value = HeaderValue::from_bytes(&line);
            prop_assume!(value.is_ok());
            let headers = HeaderMap::from_iter([(FORWARDED_FOR, value.expect("checked"))]);
            prop_assert_eq!(client(peer, &headers, |_| false), peer);
        }

        #[test]
        fn any_forwarded_for_before_the_last_stranger_counts_for_nothing(line in "[\\x20-\\x7e]{0,80}", last: [u8; 4]) {
            let last = IpAddr::from(last);
            prop_assume!(!last.to_string().starts_with("10."));
            let value = HeaderValue::from_str(&format!("{line}, {last}, 10.0.0.2")).expect("ASCII");
            let headers = HeaderMap::from_iter([(FORWARDED_FOR, value)]);
            let peer = "10.0.0.1".parse().expect("an IP address");
            prop_assert_eq!(client(peer, &headers, |ip| ip.to_string().starts_with("10.")), last);
        }
    }

    fn client_of(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, axum::http::HeaderValue::from_static(line));
        }
        let peer = peer.parse().expect("an IP address");
        client(peer, &headers, |ip| ip.to_string().starts_with("10.")).to_string()
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_trusted_proxy() {
        assert_eq!(client_of("1.1.1.1", &["2.2.2.2"]), "1.1.1.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &["6.6.6.6, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6", "2.2.2.2, 10.0.0.2"]), "2.2.2.2");
        assert_eq!(client_of("10.0.0.1", &["rubbish"]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client_of("10.0.0.1", &[]), "10.0.0.1");
    }
}
