//! The page during failures: killed processes, services that are down, invalid input.

use crate::browser::Browser;
use crate::page::*;
use crate::support::*;
use rustix::process::Signal;

#[tokio::test]
async fn the_page_keeps_working_when_a_web_is_killed() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let top = |id| format!("document.getElementById('{id}').getBoundingClientRect().top");
    let below = &format!("Math.round({} - {})", top("burst"), top("strip"));
    let button = browser.wait_for(below).await;
    sign_in(&browser, &ada).await;
    browser.click("#burst").await;
    browser.wait_for(&format!("{BURST}.includes('from 2 instances, none failed')")).await;

    add_note(&browser, "Still there").await;
    browser.shows("#steps [aria-current]", "Stop a process").await;
    let commands = stage.webs.each_ref().map(|web| format!("kill -9 {}", web.pid()));
    let command = browser.wait_for("document.querySelector('#kill code').textContent").await;
    assert!(commands.contains(&command.as_str().unwrap_or_default().to_owned()), "{command} is not in {commands:?}");
    assert_eq!(browser.wait_for(below).await, button, "the button has moved");

    stage.webs[0].signal(Signal::KILL);
    add_note(&browser, "Nothing happened").await;

    until("the other web serves all requests", SOON, async || {
        browser.click("#burst").await;
        let result = browser.wait_for(&format!("{BURST}.includes('failed, in') && {BURST}")).await;
        (result.as_str()?.starts_with("100 responses from 1 instance, none failed")).then_some(())
    })
    .await;
    browser.shows("#who", &ada.email).await;
    browser.shows("#burst-result", "One instance is gone.").await;
    browser.hides("#steps").await;
    browser.shows("#legend .gone", "last response").await;
    browser.shows("#alone", "All responses come from one web: no load balancer").await;
    browser.hides("#kill").await;
    browser.screenshot("killed").await;
    // The balancer returns 503 until its probe of the killed web fails.
    browser.has_no_errors(&["the server responded with a status of 503"]).await;
}

#[tokio::test]
async fn the_page_shows_when_a_service_fails_and_recovers() {
    let proxy = Proxy::to_service("REDIS_URL", Mode::Pass).await;
    let stage = Stage::with(Deploy::new().await.through("REDIS_URL", proxy.port)).await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    sign_in(&browser, &ada).await;
    browser.shows("#ready", "All services are up.").await;

    proxy.set(Mode::Refuse).await;
    browser.shows("#ready", "Degraded. Without Redis, sign-in").await;
    browser.shows("#services .bad", "down").await;
    browser.fill("#new-note-title", "Not lost").await;
    browser.click("#new-note button").await;
    browser.shows("#new-note .trouble", "again").await;
    browser.wait_for("document.getElementById('new-note-title').value === 'Not lost'").await;
    browser.fill("#new-note-title", "").await;
    browser.screenshot("degraded").await;
    // A reload during the outage does not show the user as signed out.
    browser.reload().await;
    browser.shows("#message", "You are still signed in").await;
    browser.hides("[data-view]").await;

    proxy.set(Mode::Pass).await;
    browser.shows("#ready", "All services are up.").await;
    browser.shows("#who", &ada.email).await;
    add_note(&browser, "Not lost").await;
    browser.has_no_errors(&["the server responded with a status of 503"]).await;
}

#[tokio::test]
async fn large_and_unsupported_images_are_rejected_before_the_upload() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let file = stage.deploy.dir().join("large.png");
    std::fs::write(&file, vec![0; (10 << 20) + 1]).expect("a file");
    sign_in(&browser, &ada).await;

    browser.fill("#new-note-title", "With an image").await;
    browser.choose("#new-image", &file).await;
    browser.shows("#new-note .trouble", "“large.png” is larger than 10 MiB.").await;
    browser.hides("#drop-image").await;
    let other = file.with_extension("bmp");
    std::fs::write(&other, "BM").expect("a file");
    browser.choose("#new-image", &other).await;
    browser.shows("#new-note .trouble", "“large.bmp” is not a PNG, JPEG, WebP or GIF image.").await;
    browser.hides(".note").await;

    browser.choose("#new-image", &image_file(&stage.deploy)).await;
    browser.shows("#new-image-name", "image.png").await;
    browser.hides("#new-note .trouble:not(:empty)").await;
    browser.click("#new-note button").await;
    browser.shows(".note h3", "With an image").await;
    browser.wait_for("document.querySelector('.note img')?.naturalWidth > 0").await;
    browser.has_no_errors(&[]).await;
}

#[tokio::test]
async fn a_note_is_added_when_its_image_is_rejected() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let file = stage.deploy.dir().join("words.png");
    std::fs::write(&file, "not an image").expect("a file");
    sign_in(&browser, &ada).await;

    browser.fill("#new-note-title", "Without").await;
    browser.choose("#new-image", &file).await;
    browser.shows("#new-image-word", "Choose another").await;
    browser.click("#drop-image").await;
    browser.shows("#new-image-word", "Add an image").await;
    browser.hides("#drop-image").await;
    browser.click("#new-note button").await;
    browser.shows("#toast", "“Without” added.").await;
    browser.has_no_errors(&[]).await;

    browser.fill("#new-note-title", "With words").await;
    browser.choose("#new-image", &file).await;
    browser.click("#new-note button").await;
    browser.shows("#toast", "“With words” added, without its image.").await;
    browser.shows(".note:has([aria-label='Edit “With words”']) .trouble", "PNG").await;
    browser.screenshot("rejected").await;
    browser.has_no_errors(&["415 (Unsupported"]).await;
}

#[tokio::test]
async fn leaving_unsaved_text_asks_for_confirmation() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let asks = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))";
    sign_in(&browser, &ada).await;
    add_note(&browser, "Kept").await;
    browser.wait_for(&format!("!({asks})")).await;

    browser.fill("#new-note-body", "Half a sen").await;
    browser.wait_for(asks).await;
    browser.click("#new-note button").await;
    browser.shows("#new-note-title-error", "Give the note a title.").await;
    browser.fill("#new-note-title", "Whole").await;
    browser.click("#new-note button").await;
    browser.shows(".note h3", "Whole").await;
    browser.wait_for(&format!("!({asks})")).await;

    browser.click("[aria-label='Edit “Kept”']").await;
    browser.fill("#edit-title", "Chang").await;
    browser.wait_for(asks).await;
}

#[tokio::test]
async fn a_reloaded_page_can_ask_for_another_email() {
    let stage = Stage::new().await;
    let (browser, ada) = (stage.browser().await, Account::new());
    sign_up(&browser, &ada).await;

    browser.reload().await;
    browser.click("#again-form button").await;

    browser.shows("#again-form .done", "If the last email is more than 10 minutes old").await;
    browser.shows("[data-view=check-email]", &ada.email).await;
    browser.has_no_errors(&[]).await;
}

#[tokio::test]
async fn the_page_explains_how_to_start_a_second_web() {
    let deploy = Deploy::new().await.with("PUBLIC_URL", ORIGIN);
    let web = deploy.web().await;
    let browser = Browser::start(web.port()).await;

    browser.open(ORIGIN).await;

    browser.shows("#alone", "All responses come from one web: no load balancer").await;
    browser.hides("#kill").await;
    // A URL with a fragment of the page shows the sign-up form too.
    browser.click("#steps a").await;
    browser.reload().await;
    browser.shows("[data-view=sign-up] h2", "Sign up").await;
}
