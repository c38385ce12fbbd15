//! ETags (RFC 9110, sections 8.8.3 and 13.1): the version of a row.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::HeaderMap, http::HeaderName, http::header, http::request::Parts};

use super::problem::Problem;

/// The response to an `If-Match` that does not match.
pub const OUTDATED: Problem = Problem::Rejected(412, "precondition-failed", "It has changed. Please load it again.");

/// The strong ETag of a version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// `If-Match`: the versions that may be changed; none means any.
pub struct IfMatch(pub Option<Vec<i64>>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let tags = tags(&parts.headers, header::IF_MATCH);
        let tags = tags.filter(|tags| !tags.iter().any(|tag| tag == "*"));
        // An ETag that is weak or of another form matches no version.
        Ok(Self(tags.map(|tags| tags.iter().filter_map(|tag| version(tag)).collect())))
    }
}

/// `If-None-Match`: the versions that the client has.
pub struct IfNoneMatch(Vec<String>);

impl IfNoneMatch {
    /// Whether the client has the version with this ETag.
    pub fn has(&self, etag: &str) -> bool {
        self.0.iter().any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(tags(&parts.headers, header::IF_NONE_MATCH).unwrap_or_default()))
    }
}

/// The tags of a header, on one or more lines; none if it is not sent.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<String>> {
    headers.contains_key(&name).then(|| {
        let lines = headers.get_all(name).into_iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        lines.flat_map(|line| line.split(',').map(|tag| tag.trim().to_owned()).collect::<Vec<_>>()).collect()
    })
}

fn version(tag: &str) -> Option<i64> {
    let version = tag.trim_matches('"').parse().ok()?;
    (etag(version) == tag).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_if_match_finds_a_version_among_other_tags(other in "[\\x20-\\x7e\\x80-\\xff&&[^,*]]{0,40}", wanted: i64) {
            let line = format!("{other}, {}", etag(wanted));
            let value = HeaderValue::from_bytes(line.as_bytes());
            prop_assume!(value.is_ok());
            let headers = HeaderMap::from_iter([(header::IF_MATCH, value.expect("checked"))]);
            let found = tags(&headers, header::IF_MATCH).expect("the header is there");
            prop_assert!(found.iter().any(|tag| version(tag) == Some(wanted)));
        }
    }

    #[test]
    fn only_the_strong_etag_of_a_version_is_one() {
        assert_eq!(version("\"12\""), Some(12));
        for tag in ["", "\"", "12", "\"012\"", "\"+12\"", "W/\"12\"", "\"x\"", "\"\"12\"\""] {
            assert_eq!(version(tag), None, "{tag}");
        }
    }
}
