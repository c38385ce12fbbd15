//! The API contract, `/openapi.json`, and that only the owner of a resource can use it. `support/contract.rs`
//! validates every response of all tests against the contract too.

#[path = "../../examples/openapi/document.rs"]
mod document;

use crate::support::*;

/// One operation of the contract.
struct Operation {
    method: String,
    path: String,
    spec: Value,
}

impl Operation {
    fn all() -> Vec<Self> {
        let contract = contract::committed();
        let paths = contract["paths"].as_object().expect("paths");
        let all = paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("operations");
            let of = |(method, spec): (&String, &Value)| (method.to_uppercase(), path.clone(), spec.clone());
            item.iter().map(of).collect::<Vec<_>>()
        });
        all.map(|(method, path, spec)| Self { method, path, spec }).collect()
    }

    /// Whether it requires a session.
    fn needs_session(&self) -> bool {
        self.spec["security"].is_array()
    }

    /// Sends the request with this id in the path, and with the contract's example body.
    async fn send(&self, client: &Client, web: &Process, id: &str) -> Response {
        let request = client.request(web, &self.method, &self.path.replace("{id}", id));
        let content = &self.spec["requestBody"]["content"];
        Response::of(match &content["application/json"]["schema"] {
            Value::Null if content.is_null() => request,
            Value::Null => request.header("content-type", "image/png").body(PNG),
            schema => request.json(&example(schema)),
        })
        .await
    }
}

/// A PNG of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\
\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

/// The contract's example of a schema.
fn example(schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let contract = contract::committed();
        return example(contract.pointer(reference.trim_start_matches('#')).expect("a schema"));
    }
    match schema["properties"].as_object() {
        Some(fields) => fields.iter().map(|(name, field)| (name.clone(), example(field))).collect(),
        None => schema["example"].clone(),
    }
}

#[tokio::test]
async fn the_served_contract_is_the_committed_one() {
    let deploy = Deploy::new().await;

    let served = Client::new().get(&deploy.web().await, "/openapi.json").await;

    assert!(served.body == contract::committed(), "the served contract differs from openapi.json");
    assert!(served.body["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
}

#[test]
fn the_committed_contract_matches_the_handlers() {
    let same = contract::committed() == document::document();
    assert!(same, "openapi.json is outdated: run script/generate");
}

#[test]
fn every_reference_in_the_contract_resolves() {
    fn check(contract: &Value, value: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| contract.pointer(pointer));
            assert!(target.is_some(), "{reference} does not exist");
        }
        let array = value.as_array().into_iter().flatten();
        array
            .chain(value.as_object().into_iter().flat_map(|object| object.values()))
            .for_each(|inner| check(contract, inner));
    }
    let contract = contract::committed();
    check(&contract, &contract);
}

#[test]
fn every_operation_has_a_summary_tag_and_unique_id() {
    let mut ids = std::collections::BTreeSet::new();
    for Operation { method, path, spec } in Operation::all() {
        let text = |name: &str| spec[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(text("summary") && text("operationId"), "{method} {path}");
        assert!(spec["tags"][0].is_string(), "{method} {path}");
        assert!(ids.insert(spec["operationId"].to_string()), "{method} {path}: duplicate operationId");
    }
    assert!(!ids.is_empty());
}

#[tokio::test]
async fn the_docs_page_loads_nothing_from_other_hosts() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let client = Client::new();
    let page = client.get(&web, "/docs").await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");

    for path in ["/docs", "/assets/docs.js", "/assets/docs.css"] {
        let part = client.get(&web, path).await;
        assert_eq!(part.status, 200, "{path}");
        assert!(!part.text.contains("https://") && !part.text.contains("http://"), "{path}");
    }
}

/// Sends each operation that requires a session, on Ada's resources, as users who must not use them. The operations
/// come from the contract, so new routes are included.
#[tokio::test]
async fn only_the_owner_can_use_a_resource() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let ((bob, _), (carol, disabled)) = (Client::signed_in_at(&web).await, Client::signed_in_at(&web).await);
    assert_eq!(deploy.run("account", &["disable", &disabled.email]).await.code, 0);
    let (anonymous, unconfirmed) = (Client::new(), Client::new());
    let pending = Account::new();
    assert_eq!(unconfirmed.sign_up(&web, &pending).await.status, 202);
    assert_eq!(unconfirmed.sign_in(&web, &pending).await.status, 401);
    let operations = || Operation::all().into_iter().filter(Operation::needs_session);

    for operation in operations() {
        let id = if operation.path.contains("{id}") {
            create(&ada, &web, &account, &operation).await
        } else {
            String::new()
        };
        for (who, client) in [("anonymous", &anonymous), ("unconfirmed", &unconfirmed), ("disabled", &carol)] {
            let response = operation.send(client, &web, &id).await;
            assert_eq!(response.status, 401, "{who}: {} {}: {}", operation.method, operation.path, response.text);
        }
        if id.is_empty() {
            continue;
        }
        let unused = uuid::Uuid::now_v7().to_string();
        let (stranger, unknown) = (operation.send(&bob, &web, &id).await, operation.send(&bob, &web, &unused).await);
        stranger.is_problem(404);
        let without_request_id = |response: &Response| response.text.replace(response.header("x-request-id"), "");
        assert_eq!(
            without_request_id(&stranger),
            without_request_id(&unknown),
            "{} {}",
            operation.method,
            operation.path
        );
        let owner = operation.send(&ada, &web, &id).await;
        assert!((200..300).contains(&owner.status), "owner: {} {}: {owner:?}", operation.method, operation.path);
    }

    let with_id: Vec<_> = operations().filter(|operation| operation.path.contains("{id}")).collect();
    let mut ids = Vec::new();
    for operation in &with_id {
        ids.push(create(&ada, &web, &account, operation).await);
    }
    assert_eq!(deploy.run("account", &["disable", &account.email]).await.code, 0);
    for (operation, id) in with_id.iter().zip(ids) {
        operation.send(&ada, &web, &id).await.is_problem(401);
    }
}

/// Creates a resource with `POST` on the collection in the operation's path, sends all its `PUT` requests too, and
/// returns its id.
async fn create(owner: &Client, web: &Process, account: &Account, operation: &Operation) -> String {
    let (collection, _) = operation.path.split_once("/{id}").expect("a path with an id");
    let all = Operation::all();
    let post =
        all.iter().find(|one| one.method == "POST" && one.path == collection).expect("the collection has a POST");
    let mut body = example(&post.spec["requestBody"]["content"]["application/json"]["schema"]);
    for (name, value) in account.credentials().as_object().expect("fields") {
        if body.get(name).is_some() {
            body[name] = value.clone();
        }
    }
    // Signing in replaces the session of its client, so another client does it.
    let device = Client::new();
    let client = if post.needs_session() { owner } else { &device };
    let created = client.post(web, collection, body).await;
    assert_eq!(created.status, 201, "POST {collection}: {}", created.text);
    let id = created.body["id"].as_str().expect("an id").to_owned();
    for put in all.iter().filter(|one| one.method == "PUT" && one.path.starts_with(&format!("{collection}/{{id}}"))) {
        assert!(put.send(owner, web, &id).await.status < 300, "PUT {}", put.path);
    }
    id
}
