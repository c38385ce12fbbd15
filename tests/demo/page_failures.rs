//! The page while something is wrong, or might go wrong.

use crate::browser::Browser;
use crate::page::*;
use crate::support::*;
use rustix::process::Signal;

#[tokio::test]
async fn the_page_goes_on_when_a_web_is_killed() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let top = |id| format!("document.getElementById('{id}').getBoundingClientRect().top");
    let below = &format!("Math.round({} - {})", top("burst"), top("strip"));
    let button = browser.sees(below).await;
    sign_in(&browser, &ada).await;
    browser.click("#burst").await;
    browser.sees(&format!("{BURST}.includes('by 2 instances, none failed')")).await;

    add_note(&browser, "Still there").await;
    browser.reads("#steps [aria-current]", "Stop a process").await;
    let pids = stage.webs.each_ref().map(|web| format!("kill -9 {}", web.pid()));
    let told = browser.sees("document.querySelector('#kill code').textContent").await;
    assert!(pids.contains(&told.as_str().unwrap_or_default().to_owned()), "{told} is none of {pids:?}");
    assert_eq!(browser.sees(below).await, button, "the button has moved below whoever is about to press it");

    stage.webs[0].signal(Signal::KILL);
    add_note(&browser, "Nothing happened").await;

    until("the survivor answers all", SOON, async || {
        browser.click("#burst").await;
        let said = browser.sees(&format!("{BURST}.includes('failed, in') && {BURST}")).await;
        (said.as_str()?.starts_with("100 answered by 1 instance, none failed")).then_some(())
    })
    .await;
    browser.reads("#who", &ada.email).await;
    browser.reads("#burst-result", "One is gone, and nobody noticed.").await;
    browser.misses("#steps").await;
    browser.reads("#legend .gone", "last answered").await;
    browser.reads("#alone", "Only one process is running.").await;
    browser.misses("#kill").await;
    browser.screenshot("killed").await;
    // What the balancer says until it has seen that the web is gone.
    browser.is_content(&["the server responded with a status of 503"]).await;
}

#[tokio::test]
async fn the_page_tells_which_service_is_down_and_that_it_is_back() {
    let proxy = Proxy::before("REDIS_URL", Mode::Pass).await;
    let stage = Stage::on(Deploy::new().await.through("REDIS_URL", proxy.port)).await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    sign_in(&browser, &ada).await;
    browser.reads("#ready", "All is well.").await;

    proxy.set(Mode::Refuse).await;
    browser.reads("#ready", "Degraded. Without Redis nobody is known").await;
    browser.reads("#services .bad", "down").await;
    browser.fill("#new-note-title", "Not lost").await;
    browser.click("#new-note button").await;
    browser.reads("#new-note .trouble", "again").await;
    browser.sees("document.getElementById('new-note-title').value === 'Not lost'").await;
    browser.fill("#new-note-title", "").await;
    browser.screenshot("degraded").await;
    // Whoever loads the page anew meanwhile is not taken for signed out.
    browser.reload().await;
    browser.reads("#message", "If you were signed in, you still are").await;
    browser.misses("[data-view]").await;

    proxy.set(Mode::Pass).await;
    browser.reads("#ready", "All is well.").await;
    browser.reads("#who", &ada.email).await;
    add_note(&browser, "Not lost").await;
    browser.is_content(&["the server responded with a status of 503"]).await;
}

#[tokio::test]
async fn an_image_of_a_wrong_size_or_kind_is_refused_before_it_is_sent() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let file = stage.deploy.dir().join("large.png");
    std::fs::write(&file, vec![0; (10 << 20) + 1]).expect("a file");
    sign_in(&browser, &ada).await;

    browser.fill("#new-note-title", "With a picture").await;
    browser.choose("#new-image", &file).await;
    browser.reads("#new-note .trouble", "“large.png” is not taken: it has more than 10 MiB.").await;
    browser.misses("#drop-image").await;
    let other = file.with_extension("bmp");
    std::fs::write(&other, "BM").expect("a file");
    browser.choose("#new-image", &other).await;
    browser.reads("#new-note .trouble", "“large.bmp” is not taken: it is no PNG, JPEG, WebP or GIF image.").await;
    browser.misses(".note").await;

    browser.choose("#new-image", &picture(&stage.deploy)).await;
    browser.reads("#new-image-name", "picture.png").await;
    browser.misses("#new-note .trouble:not(:empty)").await;
    browser.click("#new-note button").await;
    browser.reads(".note h3", "With a picture").await;
    browser.sees("document.querySelector('.note img')?.naturalWidth > 0").await;
    browser.is_content(&[]).await;
}

#[tokio::test]
async fn a_note_is_kept_when_its_image_is_refused_and_a_chosen_image_can_be_left_out() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let file = stage.deploy.dir().join("words.png");
    std::fs::write(&file, "no picture").expect("a file");
    sign_in(&browser, &ada).await;

    browser.fill("#new-note-title", "Without").await;
    browser.choose("#new-image", &file).await;
    browser.reads("#new-image-word", "Choose another").await;
    browser.click("#drop-image").await;
    browser.reads("#new-image-word", "Add an image").await;
    browser.misses("#drop-image").await;
    browser.click("#new-note button").await;
    browser.reads("#announcer", "“Without” is added.").await;
    browser.is_content(&[]).await;

    browser.fill("#new-note-title", "With words").await;
    browser.choose("#new-image", &file).await;
    browser.click("#new-note button").await;
    browser.reads("#announcer", "“With words” is added, without its image.").await;
    browser.reads(".note:has([aria-label='Edit “With words”']) .trouble", "PNG").await;
    browser.screenshot("refused").await;
    browser.is_content(&["415 (Unsupported"]).await;
}

#[tokio::test]
async fn what_is_typed_is_not_left_without_a_question() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, stage.account().await);
    let asks = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))";
    sign_in(&browser, &ada).await;
    add_note(&browser, "Kept").await;
    browser.sees(&format!("!({asks})")).await;

    browser.fill("#new-note-body", "Half a sen").await;
    browser.sees(asks).await;
    browser.click("#new-note button").await;
    browser.reads("#new-note-title-error", "Give the note a title.").await;
    browser.fill("#new-note-title", "Whole").await;
    browser.click("#new-note button").await;
    browser.reads(".note h3", "Whole").await;
    browser.sees(&format!("!({asks})")).await;

    browser.click("[aria-label='Edit “Kept”']").await;
    browser.fill("#edit-title", "Chang").await;
    browser.sees(asks).await;
}

#[tokio::test]
async fn a_page_loaded_anew_asks_for_the_password_before_it_sends_another_letter() {
    let stage = Stage::set().await;
    let (browser, ada) = (stage.browser().await, Account::new());
    sign_up(&browser, &ada).await;

    browser.reload().await;
    browser.click("#again-form button").await;

    browser.reads("#message", "this page needs your password once more").await;
    browser.sees(&format!("document.getElementById('new-email').value === {}", json!(ada.email))).await;
    browser.fill("#new-password", &ada.password).await;
    browser.click("#sign-up-form button").await;
    browser.reads("[data-view=letter]", &ada.email).await;
    mail::emails(&ada.email, 2).await;
    browser.is_content(&[]).await;
}

#[tokio::test]
async fn one_web_alone_is_told_how_to_get_company() {
    let deploy = Deploy::new().await.with("PUBLIC_URL", ORIGIN);
    let web = deploy.web().await;
    let browser = Browser::before(web.port()).await;

    browser.open(ORIGIN).await;

    browser.reads("#alone", "Only one process is running.").await;
    browser.misses("#kill").await;
    // Whoever comes by a link to a place of the page finds the form beside it.
    browser.click("#steps a").await;
    browser.reload().await;
    browser.reads("[data-view=sign-up] h2", "Sign up").await;
}
