//! An HTTP client that can send requests to any web process.

use super::{Process, Value, contract, json, mail, random};
use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use std::sync::Arc;

/// A client with its own cookie jar and its own IP address, sent as `X-Forwarded-For`.
pub struct Client {
    http: reqwest::Client,
    jar: Arc<Jar>,
    pub address: String,
}

/// A response with its whole body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body if it is JSON, else null.
    pub body: Value,
}

/// An account that a test signed up.
#[derive(Clone)]
pub struct Account {
    pub email: String,
    pub password: String,
}

impl Account {
    pub fn new() -> Self {
        let random = random();
        Self { email: format!("{random}@example.com"), password: format!("correct horse {random}") }
    }

    /// The body of a sign-up, and of the request of a reset.
    pub fn recipient(&self) -> Value {
        json!({ "email": self.email })
    }

    /// The body of a sign-in.
    pub fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": self.password })
    }
}

impl Client {
    pub fn new() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let jar = Arc::new(Jar::default());
        let http = reqwest::Client::builder()
            .cookie_provider(Arc::clone(&jar))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .no_proxy()
            .build()
            .expect("a client");
        let [a, b, c, ..] = *uuid::Uuid::new_v4().as_bytes();
        Self { http, jar, address: format!("10.{a}.{b}.{c}") }
    }

    pub fn request(&self, web: &Process, method: &str, path: &str) -> RequestBuilder {
        self.request_url(method, &web.url(path))
    }

    pub fn request_url(&self, method: &str, url: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, url).header("x-forwarded-for", &self.address)
    }

    pub async fn get(&self, web: &Process, path: &str) -> Response {
        Response::of(self.request(web, "GET", path)).await
    }

    pub async fn post(&self, web: &Process, path: &str, body: Value) -> Response {
        Response::of(self.request(web, "POST", path).json(&body)).await
    }

    pub async fn put(&self, web: &Process, path: &str, body: Value) -> Response {
        Response::of(self.request(web, "PUT", path).json(&body)).await
    }

    pub async fn patch(&self, web: &Process, path: &str, body: Value) -> Response {
        Response::of(self.request(web, "PATCH", path).json(&body)).await
    }

    pub async fn delete(&self, web: &Process, path: &str) -> Response {
        Response::of(self.request(web, "DELETE", path)).await
    }

    pub async fn delete_with(&self, web: &Process, path: &str, body: Value) -> Response {
        Response::of(self.request(web, "DELETE", path).json(&body)).await
    }

    pub async fn sign_in(&self, web: &Process, account: &Account) -> Response {
        self.post(web, "/api/v1/sessions", account.credentials()).await
    }

    /// The status of `GET /accounts/current`: 200 when signed in, 401 when not.
    pub async fn signed_in(&self, web: &Process) -> u16 {
        self.get(web, "/api/v1/accounts/current").await.status
    }

    /// Signs up: an email with a link is sent, if a worker is running.
    pub async fn sign_up(&self, web: &Process, account: &Account) -> Response {
        self.post(web, "/api/v1/accounts", account.recipient()).await
    }

    /// Confirms the email address of a sign-up, and chooses the password of the account.
    pub async fn confirm(&self, web: &Process, token: &str, password: &str) -> Response {
        self.post(web, "/api/v1/verifications", json!({ "token": token, "password": password })).await
    }

    /// Confirms a change of email.
    pub async fn confirm_change(&self, web: &Process, token: &str) -> Response {
        self.post(web, "/api/v1/email-changes", json!({ "token": token })).await
    }

    pub async fn request_reset(&self, web: &Process, account: &Account) -> Response {
        self.post(web, "/api/v1/password-resets", account.recipient()).await
    }

    pub async fn reset(&self, web: &Process, token: &str, password: &str) -> Response {
        self.put(web, "/api/v1/password-resets", json!({ "token": token, "password": password })).await
    }

    /// Signs up and confirms the email address. A worker must be running.
    pub async fn signed_up(&self, web: &Process) -> Account {
        let account = Account::new();
        let sign_up = self.sign_up(web, &account).await;
        assert_eq!(sign_up.status, 202, "sign-up: {}", sign_up.text);
        let token = mail::token(&account.email, "verify").await;
        let confirmed = self.confirm(web, &token, &account.password).await;
        assert_eq!(confirmed.status, 204, "confirmation: {}", confirmed.text);
        account
    }

    /// A client that has signed up, confirmed and signed in.
    pub async fn signed_in_at(web: &Process) -> (Self, Account) {
        let client = Self::new();
        let account = client.signed_up(web).await;
        let response = client.sign_in(web, &account).await;
        assert_eq!(response.status, 201, "sign-in: {}", response.text);
        (client, account)
    }

    /// The value of the session cookie.
    pub fn session(&self, web: &Process) -> String {
        let cookie = self.cookie(web);
        cookie.split_once('=').expect("a name and a value").1.to_owned()
    }

    /// The session cookie: its name, `=`, and its value.
    pub fn cookie(&self, web: &Process) -> String {
        let url = web.url("/").parse().expect("a URL");
        let cookies = self.jar.cookies(&url).expect("a cookie");
        let cookies = cookies.to_str().expect("text").to_owned();
        let cookie = cookies.split("; ").find(|cookie| cookie.starts_with("session-"));
        cookie.expect("a session cookie").to_owned()
    }
}

impl Response {
    pub async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.expect("a response")
    }

    /// The response, or the error if the server sent none.
    pub async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let (http, request) = request.build_split();
        let request = request?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = http.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let response = Self { status, headers, text, body };
        contract::assert_documented(method.as_str(), &path, &response);
        Ok(response)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts the status and that the response is a complete problem document (RFC 9457).
    #[track_caller]
    pub fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.header("content-type").starts_with("application/problem+json"), "{self:?}");
        assert!(self.body["type"].is_string(), "no type: {}", self.text);
        let message = self.body["detail"].as_str().or(self.body["title"].as_str());
        assert!(message.is_some_and(|text| !text.is_empty()), "no detail or title: {}", self.text);
        assert_eq!(self.body["request_id"], self.header("x-request-id"), "{}", self.text);
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u64>().is_ok(), "no Retry-After: {self:?}");
        }
    }
}
