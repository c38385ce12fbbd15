//! Lists: stable pages, and search.

use super::*;

/// The titles of a page, and the cursor of the next page.
async fn page(setup: &Setup, turn: usize, query: &str) -> (Vec<String>, Option<String>) {
    let page = Response::of(setup.request(turn, "GET", &format!("{NOTES}?{query}"))).await;
    assert_eq!(page.status, 200, "{query}: {}", page.text);
    let items = page.body["items"].as_array().expect("a list");
    let titles = items.iter().map(|item| item["title"].as_str().expect("a title").to_owned());
    (titles.collect(), page.body["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn pages_are_stable_while_notes_are_created_and_deleted() {
    let setup = Setup::new().await;
    let mut paths = Vec::new();
    for title in 0..8 {
        paths.push(setup.note(&title.to_string(), "").await);
    }

    let (mut seen, mut next) = page(&setup, 0, "limit=3").await;
    let mut turn = 0;
    while let Some(cursor) = next {
        turn += 1;
        setup.note("new", "").await;
        // Deletes the note that the cursor refers to.
        let last = seen.last().and_then(|title| title.parse::<usize>().ok()).expect("a number");
        setup.ada.delete(&setup.web, &paths[last]).await;
        let titles;
        (titles, next) = page(&setup, turn, &format!("limit=3&cursor={cursor}")).await;
        seen.extend(titles);
    }

    assert_eq!(seen, ["7", "6", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(page(&setup, 0, "").await.0, ["new", "new", "7", "6", "4", "3", "1", "0"]);
}

#[tokio::test]
async fn notes_with_equal_timestamps_are_not_lost_between_pages() {
    let setup = Setup::new().await;
    for title in 0..5 {
        setup.note(&title.to_string(), "").await;
    }
    let mut connection = setup.deploy.connection().await;
    let update = sqlx::query("update note set created_at = '2026-01-01'");
    update.execute(&mut connection).await.expect("the timestamps are updated");

    let (mut seen, mut next) = page(&setup, 0, "limit=1").await;
    while let Some(cursor) = next {
        let titles;
        (titles, next) = page(&setup, 0, &format!("limit=1&cursor={cursor}")).await;
        seen.extend(titles);
    }

    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn a_page_has_20_notes_unless_limit_is_set() {
    let setup = Setup::new().await;
    let mut connection = setup.deploy.connection().await;
    let fill = "insert into note (id, account_id, title, body)
                select gen_random_uuid(), account.id, n::text, '' from account, generate_series(1, 101) as n";
    sqlx::query(fill).execute(&mut connection).await.expect("the notes are inserted");

    for (query, length) in [("", 20), ("limit=1", 1), ("limit=100", 100)] {
        let (titles, next) = page(&setup, 0, query).await;
        assert_eq!((titles.len(), next.is_some()), (length, true), "{query}");
    }
}

#[tokio::test]
async fn invalid_limits_cursors_and_parameters_are_rejected() {
    let setup = Setup::new().await;
    let (bob, _) = Client::signed_in_at(&setup.web).await;
    for title in ["a", "b"] {
        setup.note(title, "").await;
    }
    let cursor = page(&setup, 0, "limit=1").await.1.expect("a cursor");
    let (first, rest) = cursor.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    let long = "x".repeat(201);

    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=",
        "limit=1.0",
        "limit=ten",
        "limit=%2B5",
        "limit=05",
        "limit=18446744073709551617",
        "limit=%D9%A5",
        "limit=1&limit=2",
        "limit=%00",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "cursor=%FF",
        &format!("cursor={other}{rest}"),
        &format!("cursor={rest}"),
        &format!("cursor={cursor}A"),
        &format!("cursor={cursor}%3D"),
        &format!("q=a&cursor={cursor}"),
        &format!("cursor={cursor}&cursor={cursor}"),
        "q=%00",
        "q=%FF",
        "q=%ED%A0%80",
        "q=a&q=b",
        &format!("q={long}"),
        "page=2",
        "Limit=1",
        "limit[]=1",
        "%FF=1",
        "=",
        "limit",
    ] {
        setup.ada.get(&setup.web, &format!("{NOTES}?{query}")).await.is_problem(422);
    }
    bob.get(&setup.web, &format!("{NOTES}?cursor={cursor}")).await.is_problem(422);
    assert_eq!(page(&setup, 1, &format!("cursor={cursor}")).await.0, ["a"]);
}

#[tokio::test]
async fn a_search_finds_the_words_of_titles_and_bodies() {
    let setup = Setup::new().await;
    setup.note("Groceries", "milk and Oat flakes").await;
    setup.note("Note to Zoë", "about the milk").await;
    setup.note("Oats", "").await;
    let (bob, _) = Client::signed_in_at(&setup.web).await;

    for (query, found) in [
        ("q=milk", &["Note to Zoë", "Groceries"][..]),
        ("q=MILK+oat", &["Groceries"]),
        ("q=oat", &["Oats", "Groceries"]),
        ("q=mil+oat", &[]),
        ("q=oat+fla", &["Groceries"]),
        ("q=milk+-%22oat+flakes%22", &["Note to Zoë"]),
        ("q=milk+-oat", &["Note to Zoë"]),
        ("q=%22oat+flakes%22", &["Groceries"]),
        ("q=zo%C3%AB", &["Note to Zoë"]),
        ("q=oats+or+groceries", &["Oats", "Groceries"]),
        ("q=nothing", &[]),
        ("q=+", &["Oats", "Note to Zoë", "Groceries"]),
        ("q=%27%3A*+%26+%7C+!+(%22", &[]),
        (&format!("q={}", "%F0%A0%80%80".repeat(200)), &[]),
    ] {
        assert_eq!(page(&setup, 0, query).await.0, found, "{query}");
    }
    let (_, next) = page(&setup, 0, "q=milk&limit=1").await;
    let rest = format!("q=milk&limit=1&cursor={}", next.expect("a cursor"));
    assert_eq!(page(&setup, 1, &rest).await, (vec!["Groceries".to_owned()], None));
    assert_eq!(bob.get(&setup.web, &format!("{NOTES}?q=milk")).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_search_finds_the_text_after_a_change() {
    let setup = Setup::new().await;
    let path = setup.note("t", "before").await;

    setup.ada.patch(&setup.web, &path, json!({ "body": "after" })).await;

    assert_eq!(page(&setup, 0, "q=before").await.0, [""; 0]);
    assert_eq!(page(&setup, 0, "q=after").await.0, ["t"]);
}
