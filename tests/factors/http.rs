//! What every route keeps: problems, headers, request ids, CSRF, rate limits.

use crate::support::*;

#[tokio::test]
async fn every_error_is_a_problem() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let client = Client::new();
    let text = |text: &'static str, kind: &str| {
        Answer::of(client.request(&web, "POST", "/api/v1/sessions").header("content-type", kind).body(text))
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
    let web = Deploy::detached().web_at_once().await;
    let bodies = [
        (json!({ "email": 4711 }), "email", "is of the wrong type"),
        (json!({ "email": ["4711"] }), "email", "is of the wrong type"),
        (json!({}), "email", "is required"),
        (json!({ "email": "ada@example.com", "admin": 4711 }), "admin", "is not known"),
        (json!({ "email": "4711" }), "email", "is not an email address"),
    ];
    for (body, field, message) in bodies {
        let answer = Client::new().post(&web, "/api/v1/password-resets", body).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.body["errors"], json!([{ "field": field, "message": message }]));
        assert!(!answer.text.contains("4711"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_which_are() {
    let web = Deploy::detached().web_at_once().await;

    for (method, path, allowed) in [("PATCH", "/api/v1/accounts", "POST"), ("DELETE", "/health/live", "GET")] {
        let answer = Answer::of(Client::new().request(&web, method, path)).await;

        answer.is_problem(405);
        assert!(answer.header("allow").contains(allowed), "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_id_that_comes_in_counts_if_it_is_well_formed() {
    let web = Deploy::detached().web_at_once().await;
    let longest = "a".repeat(64);
    let too_long = "a".repeat(65);

    for (id, counts) in [
        ("12345678", true),
        ("Ab-34567-x", true),
        (longest.as_str(), true),
        ("1234567", false),
        ("under_score", false),
        (too_long.as_str(), false),
    ] {
        let request = Client::new().request(&web, "GET", "/nothing-here");
        let answer = Answer::of(request.header("x-request-id", id)).await;

        answer.is_problem(404);
        assert_eq!(answer.header("x-request-id") == id, counts, "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn security_headers_stand_on_every_answer() {
    let web = Deploy::detached().web_at_once().await;

    for path in ["/health/live", "/version", "/verify", "/reset", "/nothing-here", "/api/v1/sessions"] {
        let answer = Client::new().get(&web, path).await;

        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}: {answer:?}");
        for name in ["content-security-policy", "referrer-policy", "x-request-id"] {
            assert_ne!(answer.header(name), "", "{path} has no {name}");
        }
    }
}

#[tokio::test]
async fn the_session_cookie_is_out_of_reach_and_bound_to_its_host_over_https() {
    let deploy = Deploy::new().await;
    let (plain, _worker) = (deploy.web().await, deploy.worker());
    let account = Client::new().signed_up(&plain).await;
    let secure = deploy.with("PUBLIC_URL", "https://app.test");
    let over_https = secure.web().await;

    for (web, name) in [(&plain, "session="), (&over_https, "__Host-session=")] {
        let answer = Client::new().sign_in(web, &account).await;
        let cookie = answer.header("set-cookie");

        assert!(cookie.starts_with(name), "{answer:?}");
        assert!(["HttpOnly", "SameSite=Lax", "Path=/"].iter().all(|a| cookie.contains(a)), "{cookie}");
        assert_eq!(cookie.contains("Secure"), name.starts_with("__Host-"), "{cookie}");
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}

#[tokio::test]
async fn requests_of_another_site_are_refused() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let post = |name: &str, value: &str| {
        let request = Client::new().request(&web, "POST", "/api/v1/sessions");
        Answer::of(request.header(name, value).json(&Account::new().credentials()))
    };

    post("sec-fetch-site", "cross-site").await.is_problem(403);
    post("origin", "http://evil.test").await.is_problem(403);
    post("sec-fetch-site", "same-origin").await.is_problem(401);
    post("origin", "http://app.test").await.is_problem(401);
}

#[tokio::test]
async fn the_eleventh_wrong_password_is_limited_but_the_owner_is_not_locked_out() {
    let deploy = Deploy::new().await;
    let (web, other, _worker) = (deploy.web().await, deploy.web().await, deploy.worker());
    let account = Client::new().signed_up(&web).await;
    let wrong = Account { password: "not the password".into(), ..account.clone() };
    let thief = Client::new();

    for attempt in 0..10 {
        let web = if attempt % 2 == 0 { &web } else { &other };
        assert_eq!(thief.sign_in(web, &wrong).await.status, 401, "attempt {attempt}");
    }

    thief.sign_in(&web, &wrong).await.is_problem(429);
    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);
}
