//! Email addresses, parsed at the edge.

use std::str::FromStr;

use lettre::Address;

/// The text is not an email address.
#[derive(Debug, thiserror::Error)]
#[error("is not an email address")]
pub struct InvalidEmail;

/// An email address in lower case: one mailbox is one account.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct EmailAddress(String);

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    /// Parses what a person typed.
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim().to_lowercase();
        // Quoted local parts are legal, but can hold any of these characters, and no mail provider offers them.
        let odd = |c: char| c.is_control() || c.is_whitespace() || "\"<>,;:\\()[]".contains(c);
        if text.len() > 254 || text.contains(odd) || text.parse::<Address>().is_err() {
            return Err(InvalidEmail);
        }
        Ok(Self(text))
    }
}

impl EmailAddress {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// The address without its `+tag`: mail providers deliver all tags to one mailbox.
    pub fn mailbox(&self) -> String {
        match self.local_part().split_once('+') {
            Some((name, _)) if !name.is_empty() => format!("{name}{}", &self.0[self.local_part().len()..]),
            _ => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_trimmed_and_lower_cased() {
        let email = EmailAddress::from_str("  Ada@Example.COM ").expect("a valid email address");
        assert_eq!((email.as_str(), email.local_part()), ("ada@example.com", "ada"));
    }

    #[test]
    fn tags_do_not_make_another_mailbox() {
        let mailbox = |text: &str| EmailAddress::from_str(text).expect("a valid email address").mailbox();
        assert_eq!(mailbox("ada+a+b@example.com"), "ada@example.com");
        assert_eq!(mailbox("ada@example.com"), "ada@example.com");
        assert_ne!(mailbox("+a@example.com"), mailbox("+b@example.com"));
    }

    #[test]
    fn an_invalid_email_address_is_rejected() {
        let long = format!("{}@example.com", "a".repeat(250));
        for text in ["", "ada", "ada@", "@example.com", "a\r\nbcc:b@example.com", "\"a b\"@c.de", &long] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?}");
        }
    }
}
