//! What holds for every route: problem documents, headers, request ids, CSRF, rate limits.

use crate::support::*;

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let client = Client::new();
    let text = |text: &'static str, kind: &str| {
        Response::of(client.request(&web, "POST", "/api/v1/sessions").header("content-type", kind).body(text))
    };
    let extra = json!({ "email": "a@example.com", "password": "long enough", "admin": true });

    client.get(&web, "/nothing-here").await.is_problem(404);
    client.get(&web, "/api/v1/nothing-here").await.is_problem(404);
    client.get(&web, "/api/v1/accounts/current").await.is_problem(401);
    text("{", "application/json").await.is_problem(400);
    text("{}", "text/plain").await.is_problem(415);
    text("{}", "application/json").await.is_problem(422);
    client.post(&web, "/api/v1/sessions", extra).await.is_problem(422);
    client.post(&web, "/api/v1/sessions", json!(["a@example.com", "long enough"])).await.is_problem(422);
    let huge = client.post(&web, "/api/v1/sessions", json!({ "email": "a".repeat(1_100_000) })).await;
    huge.is_problem(413);
}

#[tokio::test]
async fn a_problem_names_the_field_and_not_its_value() {
    let web = Deploy::detached().listening_web().await;
    let bodies = [
        (json!({ "email": 4711 }), "email", "has the wrong type"),
        (json!({ "email": ["4711"] }), "email", "has the wrong type"),
        (json!({}), "email", "is required"),
        (json!({ "email": "ada@example.com", "admin": 4711 }), "admin", "is unknown"),
        (json!({ "email": "4711" }), "email", "is not an email address"),
    ];
    for (body, field, message) in bodies {
        let response = Client::new().post(&web, "/api/v1/password-resets", body).await;
        assert_eq!(response.status, 422, "{}", response.text);
        assert_eq!(response.body["errors"], json!([{ "field": field, "message": message }]));
        // The request id is random.
        let text = response.text.replace(response.header("x-request-id"), "");
        assert!(!text.contains("4711"), "{text}");
    }
}

#[tokio::test]
async fn a_405_response_lists_the_allowed_methods() {
    let web = Deploy::detached().listening_web().await;

    for (method, path, allowed) in [("PATCH", "/api/v1/accounts", "POST"), ("DELETE", "/health/live", "GET")] {
        let response = Response::of(Client::new().request(&web, method, path)).await;

        response.is_problem(405);
        assert!(response.header("allow").contains(allowed), "{response:?}");
    }
}

#[tokio::test]
async fn a_well_formed_incoming_request_id_is_kept() {
    let web = Deploy::detached().listening_web().await;
    let longest = "a".repeat(64);
    let too_long = "a".repeat(65);

    for (id, kept) in [
        ("12345678", true),
        ("Ab-34567-x", true),
        (longest.as_str(), true),
        ("1234567", false),
        ("under_score", false),
        (too_long.as_str(), false),
    ] {
        let request = Client::new().request(&web, "GET", "/nothing-here");
        let response = Response::of(request.header("x-request-id", id)).await;

        response.is_problem(404);
        assert_eq!(response.header("x-request-id") == id, kept, "{id}: {response:?}");
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let web = Deploy::detached().listening_web().await;

    for path in ["/health/live", "/version", "/verify", "/reset", "/nothing-here", "/api/v1/sessions"] {
        let response = Client::new().get(&web, path).await;

        assert_eq!(response.header("x-content-type-options"), "nosniff", "{path}: {response:?}");
        for name in ["content-security-policy", "referrer-policy", "x-request-id"] {
            assert_ne!(response.header(name), "", "{path} has no {name}");
        }
    }
}

#[tokio::test]
async fn the_content_security_policy_allows_only_own_files() {
    let web = Deploy::detached().listening_web().await;

    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                  form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    for path in ["/", "/docs", "/verify", "/reset", "/health/live", "/nothing-here", "/api/v1/sessions"] {
        let response = Client::new().get(&web, path).await;

        assert_eq!(response.header("content-security-policy"), policy, "{path}");
    }
}

#[tokio::test]
async fn the_session_cookie_is_httponly_and_bound_to_its_host() {
    let deploy = Deploy::new().await;
    let (http, _worker) = (deploy.web().await, deploy.worker());
    let account = Client::new().signed_up(&http).await;
    let deploy = deploy.with("PUBLIC_URL", "https://app.test");
    let https = deploy.web().await;

    for (web, name) in [(&http, "session-80="), (&https, "__Host-session=")] {
        let response = Client::new().sign_in(web, &account).await;
        let cookie = response.header("set-cookie");

        assert!(cookie.starts_with(name), "{response:?}");
        assert!(["HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|a| cookie.contains(a)), "{cookie}");
        assert_eq!(cookie.contains("Secure"), name.starts_with("__Host-"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn cross_site_post_requests_are_rejected() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let post = |name: &str, value: &str| {
        let request = Client::new().request(&web, "POST", "/api/v1/sessions");
        Response::of(request.header(name, value).json(&Account::new().credentials()))
    };

    post("sec-fetch-site", "cross-site").await.is_problem(403);
    post("origin", "http://evil.test").await.is_problem(403);
    post("sec-fetch-site", "same-origin").await.is_problem(401);
    post("origin", "http://app.test").await.is_problem(401);
}

#[tokio::test]
async fn ten_wrong_passwords_do_not_lock_out_the_owner() {
    let deploy = Deploy::new().await;
    let (web, other, _worker) = (deploy.web().await, deploy.web().await, deploy.worker());
    let account = Client::new().signed_up(&web).await;
    let wrong = Account { password: "not the password".into(), ..account.clone() };
    let attacker = Client::new();

    for attempt in 0..10 {
        let web = if attempt % 2 == 0 { &web } else { &other };
        assert_eq!(attacker.sign_in(web, &wrong).await.status, 401, "attempt {attempt}");
    }

    attacker.sign_in(&web, &wrong).await.is_problem(429);
    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);
}
