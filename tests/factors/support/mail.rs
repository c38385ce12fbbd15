//! What the SMTP sink received.

use super::{SOON, Value, service, until};

/// All letters to an address, oldest first.
pub async fn to(address: &str) -> Vec<Value> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let page = format!("{}/messages", service("MAIL_PAGE_URL").trim_end_matches('/'));
    let answer = reqwest::get(page).await.expect("the sink's page answers");
    let letters: Vec<Value> = answer.json().await.expect("the sink's page is a JSON array");
    letters.into_iter().filter(|letter| letter["to"].to_string().contains(address)).collect()
}

/// Waits until an address has so many letters.
pub async fn emails(address: &str, count: usize) -> Vec<Value> {
    until("the letter arrives", SOON, async || {
        let letters = to(address).await;
        (letters.len() >= count).then_some(letters)
    })
    .await
}

/// Waits for a letter with a link to `page`; answers the link's token.
pub async fn token(address: &str, page: &str) -> String {
    another_token(address, page, &[]).await
}

/// Waits for a token that is none of those already seen.
pub async fn another_token(address: &str, page: &str, seen: &[&str]) -> String {
    until("a letter with a link arrives", SOON, async || {
        let tokens = to(address).await.into_iter().filter_map(|letter| token_in(&letter, page));
        tokens.into_iter().find(|token| !seen.contains(&token.as_str()))
    })
    .await
}

fn token_in(letter: &Value, page: &str) -> Option<String> {
    let text = letter["text"].as_str()?;
    let (_, rest) = text.split_once(&format!("http://app.test/{page}#"))?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}
