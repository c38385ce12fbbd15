//! The emails that the SMTP sink received.

use super::{SOON, Value, service, until};

/// All emails to a recipient, oldest first.
pub async fn to(recipient: &str) -> Vec<Value> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = format!("{}/messages", service("MAIL_PAGE_URL").trim_end_matches('/'));
    let response = reqwest::get(url).await.expect("the sink responds");
    let emails: Vec<Value> = response.json().await.expect("the sink returns a JSON array");
    emails.into_iter().filter(|email| email["to"].to_string().contains(recipient)).collect()
}

/// Waits until a recipient has so many emails.
pub async fn emails(recipient: &str, count: usize) -> Vec<Value> {
    until("the email arrives", SOON, async || {
        let emails = to(recipient).await;
        (emails.len() >= count).then_some(emails)
    })
    .await
}

/// Waits for an email with a link to `page` and returns the link's token.
pub async fn token(recipient: &str, page: &str) -> String {
    another_token(recipient, page, &[]).await
}

/// Waits for a token that is not in `seen`.
pub async fn another_token(recipient: &str, page: &str, seen: &[&str]) -> String {
    until("an email with a link arrives", SOON, async || {
        let tokens = to(recipient).await.into_iter().filter_map(|email| token_in(&email, page));
        tokens.into_iter().find(|token| !seen.contains(&token.as_str()))
    })
    .await
}

fn token_in(email: &Value, page: &str) -> Option<String> {
    let text = email["text"].as_str()?;
    let (_, rest) = text.split_once(&format!("http://app.test/{page}#"))?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}
