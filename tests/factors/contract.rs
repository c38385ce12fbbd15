//! The API's contract: what `/openapi.json` says, and that nobody reaches what is another's. Every answer of every
//! test is held against it as well, by `support/contract.rs`.

#[path = "../../examples/openapi/document.rs"]
mod document;

use crate::support::*;

/// One operation of the contract.
struct Operation {
    method: String,
    path: String,
    told: Value,
}

impl Operation {
    fn all() -> Vec<Self> {
        let contract = contract::committed();
        let paths = contract["paths"].as_object().expect("paths");
        let all = paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("operations");
            let of = |(method, told): (&String, &Value)| (method.to_uppercase(), path.clone(), told.clone());
            item.iter().map(of).collect::<Vec<_>>()
        });
        all.map(|(method, path, told)| Self { method, path, told }).collect()
    }

    /// Whether it is for those who are signed in.
    fn is_closed(&self) -> bool {
        self.told["security"].is_array()
    }

    /// A request with an id in its path, and a body as the contract shows it.
    async fn ask(&self, client: &Client, web: &Process, id: &str) -> Answer {
        let request = client.request(web, &self.method, &self.path.replace("{id}", id));
        let content = &self.told["requestBody"]["content"];
        Answer::of(match &content["application/json"]["schema"] {
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

/// What the contract gives for an example of a schema.
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
async fn the_contract_that_is_served_is_the_one_that_is_committed() {
    let deploy = Deploy::new().await;

    let served = Client::new().get(&deploy.web().await, "/openapi.json").await;

    assert!(served.body == contract::committed(), "another contract is served");
    assert!(served.body["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
}

#[test]
fn the_contract_that_is_committed_is_the_one_of_the_handlers() {
    let same = contract::committed() == document::document();
    assert!(same, "the contract has changed: cargo run --example openapi >openapi.json");
}

#[test]
fn every_operation_says_what_it_is() {
    let mut ids = std::collections::BTreeSet::new();
    for Operation { method, path, told } in Operation::all() {
        let text = |name: &str| told[name].as_str().is_some_and(|text| !text.is_empty());
        assert!(text("summary") && text("operationId"), "{method} {path}");
        assert!(told["tags"][0].is_string(), "{method} {path}");
        assert!(ids.insert(told["operationId"].to_string()), "{method} {path}: its id is another's");
    }
    assert!(!ids.is_empty());
}

#[tokio::test]
async fn the_documentation_loads_nothing_from_elsewhere() {
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

/// Each closed operation on something of Ada's, by those whom it is none of the business of. What is asked for comes
/// from the contract, so that a new route is among it.
#[tokio::test]
async fn nobody_reaches_what_is_another_s() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let ((bob, _), (carol, disabled)) = (Client::signed_in_at(&web).await, Client::signed_in_at(&web).await);
    assert_eq!(deploy.run("account", &["disable", &disabled.email]).await.code, 0);
    let (anonymous, unconfirmed) = (Client::new(), Client::new());
    let pending = Account::new();
    assert_eq!(unconfirmed.post(&web, "/api/v1/accounts", pending.credentials()).await.status, 202);
    assert_eq!(unconfirmed.sign_in(&web, &pending).await.status, 401);
    let closed = || Operation::all().into_iter().filter(Operation::is_closed);

    for operation in closed() {
        let id =
            if operation.path.contains("{id}") { make(&ada, &web, &account, &operation).await } else { String::new() };
        for (who, client) in [("anonymous", &anonymous), ("unconfirmed", &unconfirmed), ("disabled", &carol)] {
            let answer = operation.ask(client, &web, &id).await;
            assert_eq!(answer.status, 401, "{who}: {} {}: {}", operation.method, operation.path, answer.text);
        }
        if id.is_empty() {
            continue;
        }
        let never = uuid::Uuid::now_v7().to_string();
        let (stranger, unknown) = (operation.ask(&bob, &web, &id).await, operation.ask(&bob, &web, &never).await);
        stranger.is_problem(404);
        let less_its_id = |answer: &Answer| answer.text.replace(answer.header("x-request-id"), "");
        assert_eq!(less_its_id(&stranger), less_its_id(&unknown), "{} {}", operation.method, operation.path);
        let owner = operation.ask(&ada, &web, &id).await;
        assert!((200..300).contains(&owner.status), "owner: {} {}: {owner:?}", operation.method, operation.path);
    }

    let with_id: Vec<_> = closed().filter(|operation| operation.path.contains("{id}")).collect();
    let mut made = Vec::new();
    for operation in &with_id {
        made.push(make(&ada, &web, &account, operation).await);
    }
    assert_eq!(deploy.run("account", &["disable", &account.email]).await.code, 0);
    for (operation, id) in with_id.iter().zip(made) {
        operation.ask(&ada, &web, &id).await.is_problem(401);
    }
}

/// Makes, by `POST` on the list that an operation's path begins with, something with all that can be put in it;
/// answers its id.
async fn make(owner: &Client, web: &Process, account: &Account, operation: &Operation) -> String {
    let (list, _) = operation.path.split_once("/{id}").expect("a path with an id");
    let all = Operation::all();
    let post = all.iter().find(|one| one.method == "POST" && one.path == list).expect("its list takes a POST");
    let mut body = example(&post.told["requestBody"]["content"]["application/json"]["schema"]);
    for (name, value) in account.credentials().as_object().expect("fields") {
        if body.get(name).is_some() {
            body[name] = value.clone();
        }
    }
    // Signing in takes the place of the session that asks for it: another device does it.
    let device = Client::new();
    let maker = if post.is_closed() { owner } else { &device };
    let made = maker.post(web, list, body).await;
    assert_eq!(made.status, 201, "POST {list}: {}", made.text);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    for put in all.iter().filter(|one| one.method == "PUT" && one.path.starts_with(&format!("{list}/{{id}}"))) {
        assert!(put.ask(owner, web, &id).await.status < 300, "PUT {}", put.path);
    }
    id
}
