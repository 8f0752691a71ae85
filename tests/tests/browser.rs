//! The page in a real browser: Debian's Chromium, headless.

use std::time::Duration;

use acceptance::chromium::Browser;
use acceptance::wait::{PATIENCE, eventually};
use acceptance::{Client, Request, Running, Target, expect};
use serde_json::{Value, json};

async fn signed_in(app: &Running) -> Browser {
    let browser = Browser::start().await;
    sign_in(&browser, app).await;
    browser
}

async fn sign_in(browser: &Browser, app: &Running) {
    browser.open(&app.origin()).await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", "wonderland").await;
    browser.click("#sign-in").await;
    shows(browser, "#who", "alice").await;
}

/// Waits until an element's text holds `part`.
async fn shows(browser: &Browser, selector: &str, part: &str) {
    let there = || async { browser.text(selector).await.contains(part) };
    eventually(PATIENCE, &format!("{selector} shows {part:?}"), there).await;
}

/// The page never shows a refresh token to a script, nor keeps a token where one could read it later.
async fn assert_nothing_for_scripts(browser: &Browser) {
    let script = "return document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)";
    let readable = browser.run(script, Vec::new()).await;
    assert_eq!(readable, "{}{}", "RT-22");
}

async fn the_page_signs_in_calls_and_signs_out(at: Target) {
    let app = at.start().await;
    let browser = Browser::start().await;
    browser.open(&app.origin()).await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", "not it").await;
    browser.click("#sign-in").await;
    browser
        .find("#log li[data-path='/auth/login'][data-status='401'][data-code='invalid_credentials']")
        .await;
    browser.fill("#password", "wonderland").await;
    browser.click("#sign-in").await;
    shows(&browser, "#who", "alice").await;
    assert_nothing_for_scripts(&browser).await;
    for (button, path, status) in [
        ("#call-me", "/api/me", 200),
        ("#call-public", "/api/public", 200),
        ("#call-admin", "/api/admin", 200),
        ("#call-notes", "/api/notes", 201),
    ] {
        browser.click(button).await;
        browser
            .find(&format!("#log li[data-path='{path}'][data-status='{status}']"))
            .await;
    }
    assert_eq!(
        browser
            .count("#sessions li[data-session-id][data-current='true']")
            .await,
        1
    );
    let counted = browser.text("#token-countdown").await;
    let counts = || async { browser.text("#token-countdown").await != counted };
    eventually(PATIENCE, "the access token counts down", counts).await;
    browser.client.refresh().await.expect("a reload");
    shows(&browser, "#who", "alice").await;
    browser.click("#sign-out").await;
    let out = || async { !browser.text("#who").await.contains("alice") };
    eventually(PATIENCE, "nobody is signed in", out).await;
    browser.client.refresh().await.expect("a reload");
    browser.find("#login-form").await;
    assert!(
        !browser.text("#who").await.contains("alice"),
        "a reload brings nobody back"
    );
}

/// Real time: an access token of two seconds expires on the page.
async fn an_expired_access_token_is_exchanged_in_flight(at: Target) {
    let app = at
        .settings()
        .set("ACCESS_TOKEN_EXPIRATION", "2s")
        .set("REFRESH_TOKEN_GRACE", "1s")
        .start()
        .await;
    let browser = signed_in(&app).await;
    let exchanged = "#log li[data-path='/api/me'][data-status='200'][data-exchanged='true']";
    assert_eq!(browser.count(exchanged).await, 0);
    // Before the sign-in, the page asked who is there.
    let refused = "#log li[data-status='401']";
    let before = browser.count(refused).await;
    let call = || async {
        browser.click("#call-me").await;
        browser.count(exchanged).await > 0
    };
    eventually(PATIENCE, "a call is exchanged once the token has expired", call).await;
    assert_eq!(browser.count(refused).await, before, "no call failed");
    assert_nothing_for_scripts(&browser).await;

    browser.click("#forget-token").await;
    browser.click("#call-notes").await;
    browser
        .find("#log li[data-path='/api/notes'][data-status='201'][data-exchanged='true']")
        .await;
    shows(&browser, "#who", "alice").await;
}

async fn two_tabs_race_and_nobody_loses(at: Target) {
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "3s").start().await;
    let browser = signed_in(&app).await;
    let first = browser.client.window().await.expect("a tab");
    let second = browser.client.new_window(true).await.expect("a second tab").handle;
    browser
        .client
        .switch_to_window(second.clone())
        .await
        .expect("the second tab");
    browser.open(&app.origin()).await;
    shows(&browser, "#who", "alice").await;
    for _ in 0..3 {
        for tab in [&first, &second] {
            browser.client.switch_to_window(tab.clone()).await.expect("the tab");
            browser.click("#forget-token").await;
            // Clicked by script, so that the second tab starts while the first one's requests are under way.
            browser
                .run(
                    "delete document.getElementById('race-result').dataset.ok; document.getElementById('race').click()",
                    vec![],
                )
                .await;
        }
        for tab in [&first, &second] {
            browser.client.switch_to_window(tab.clone()).await.expect("the tab");
            let result = browser.find("#race-result[data-ok]").await;
            let ok: u32 = result
                .attr("data-ok")
                .await
                .expect("an attribute")
                .and_then(|n| n.parse().ok())
                .expect("a number");
            assert!(ok > 1, "several requests raced: {ok}");
            assert_eq!(
                result.attr("data-failed").await.expect("an attribute").as_deref(),
                Some("0")
            );
            shows(&browser, "#who", "alice").await;
        }
    }
}

async fn se_06_another_device_is_ended_from_the_list(at: Target) {
    let app = at.start().await;
    let login = json!({"username": "alice", "password": "wonderland", "device": "a stolen phone"});
    let other = Client::from_login(&app, &Request::post("/auth/login").json(&login)).await;
    let browser = signed_in(&app).await;
    let entry = format!("#sessions li[data-session-id='{}']", other.session_id());
    assert!(
        browser
            .find(&entry)
            .await
            .text()
            .await
            .expect("text")
            .contains("a stolen phone")
    );
    browser.click(&format!("{entry} button[data-end]")).await;
    browser.gone(&entry).await;
    let response = Request::post("/auth/refresh")
        .refresh(&other.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&response, 401, "session_ended");
    browser.click("#call-me").await;
    browser.find("#log li[data-path='/api/me'][data-status='200']").await;
    assert_eq!(browser.count("#sessions li[data-current='true']").await, 1);
}

async fn signing_out_everywhere_is_felt_by_the_other_tab(at: Target) {
    let app = at.start().await;
    let browser = signed_in(&app).await;
    let other = Client::alice(&app).await;
    browser.click("#sign-out-everywhere").await;
    let out = || async { !browser.text("#who").await.contains("alice") };
    eventually(PATIENCE, "nobody is signed in", out).await;
    let response = Request::post("/auth/refresh")
        .refresh(&other.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&response, 401, "session_ended");
}

/// Begins rounds of overlapping requests that carry only the cookie; what came of them lands in `window.overlapped`.
const OVERLAP: &str = r"
    const [rounds, width, pause] = arguments;
    window.overlapped = null;
    (async () => {
        const statuses = {};
        let exchanged = 0;
        for (let round = 0; round < rounds; round++) {
            const answers = await Promise.all(Array.from({ length: width }, () =>
                fetch('/api/me', { credentials: 'same-origin', cache: 'no-store' }).catch(() => ({ status: 'broken' }))));
            for (const answer of answers) {
                statuses[answer.status] = (statuses[answer.status] || 0) + 1;
                if (answer.headers && answer.headers.has('x-access-token')) { exchanged++; }
            }
            await new Promise((done) => setTimeout(done, pause));
        }
        window.overlapped = { statuses, exchanged };
    })();
";

/// Sixty rounds of 24 overlapping cookie-only requests in each of `tabs` tabs, over several rotations.
async fn overlap(at: Target, tabs: usize) {
    const ROUNDS: usize = 60;
    const WIDTH: usize = 24;
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "3s").start().await;
    let browser = signed_in(&app).await;
    let mut handles = vec![browser.client.window().await.expect("a tab")];
    while handles.len() < tabs {
        let tab = browser.client.new_window(true).await.expect("a tab").handle;
        browser.client.switch_to_window(tab.clone()).await.expect("the tab");
        // A page of the app's own origin whose script does nothing in the background.
        browser.open(&format!("{}/healthz", app.origin())).await;
        handles.push(tab);
    }
    let before = jar_generation(&browser).await;
    for handle in &handles {
        browser.client.switch_to_window(handle.clone()).await.expect("the tab");
        browser
            .run(OVERLAP, vec![json!(ROUNDS), json!(WIDTH), json!(200)])
            .await;
    }
    for handle in &handles {
        browser.client.switch_to_window(handle.clone()).await.expect("the tab");
        let done = || async { browser.run("return window.overlapped", vec![]).await != Value::Null };
        eventually(Duration::from_secs(180), "the rounds are over", done).await;
        let result = browser.run("return window.overlapped", vec![]).await;
        assert_eq!(result["statuses"], json!({ "200": ROUNDS * WIDTH }), "{result}");
        assert!(result["exchanged"].as_u64().is_some_and(|count| count > 0), "{result}");
    }
    let after = jar_generation(&browser).await;
    assert!(after >= before + 3, "over several rotations: from {before} to {after}");
}

/// The generation in the browser's own jar, which WebDriver may read though no script can.
async fn jar_generation(browser: &Browser) -> u32 {
    let cookie = browser
        .client
        .get_named_cookie(acceptance::REFRESH_COOKIE)
        .await
        .expect("the refresh cookie");
    assert_eq!(cookie.http_only(), Some(true), "CK-01");
    assert_eq!(cookie.secure(), Some(true), "CK-01");
    acceptance::RefreshToken::decode(cookie.value()).generation()
}

async fn overlapping_requests_of_one_tab_sign_nobody_out(at: Target) {
    overlap(at, 1).await;
}

async fn overlapping_requests_of_three_tabs_sign_nobody_out(at: Target) {
    overlap(at, 3).await;
}

/// The picture in the README, written only where `SCREENSHOT` names a file.
async fn the_page_can_be_shown(at: Target) {
    let app = at.start().await;
    let login = |device: &str, agent: &str| {
        let body = json!({"username": "alice", "password": "wonderland", "device": device});
        Request::post("/auth/login").header("User-Agent", agent).json(&body)
    };
    Client::from_login(&app, &login("Phone", "Mozilla/5.0 (Android 16; Mobile)")).await;
    Client::from_login(&app, &login("Tablet", "Mozilla/5.0 (iPad)")).await;
    let browser = Browser::start().await;
    browser.client.set_window_size(1280, 900).await.expect("a window");
    sign_in(&browser, &app).await;
    browser.click("#call-me").await;
    browser.find("#log li[data-path='/api/me'][data-status='200']").await;
    browser.click("#forget-token").await;
    browser.click("#call-admin").await;
    browser.find("#log li[data-path='/api/admin'][data-status='200']").await;
    let overflow = browser
        .run(
            "return document.documentElement.scrollWidth > document.documentElement.clientWidth",
            vec![],
        )
        .await;
    assert_eq!(overflow, false, "the page fits its window");
    browser.click("#call-notes").await;
    browser.find("#log li[data-path='/api/notes'][data-status='201']").await;
    browser.click("#race").await;
    browser.find("#race-result[data-ok='24']").await;
    browser.client.set_window_size(1280, 1500).await.expect("a window");
    browser
        .run("window.scrollTo({ top: 0, behavior: 'instant' })", vec![])
        .await;
    let picture = browser.client.screenshot().await.expect("a screenshot");
    assert!(picture.starts_with(b"\x89PNG"), "a picture");
    if let Some(path) = std::env::var_os("SCREENSHOT") {
        std::fs::write(&path, picture).expect("the picture is written");
    }
}

acceptance::on_durable_stores!(
    the_page_signs_in_calls_and_signs_out,
    an_expired_access_token_is_exchanged_in_flight,
    two_tabs_race_and_nobody_loses,
    se_06_another_device_is_ended_from_the_list,
    signing_out_everywhere_is_felt_by_the_other_tab,
    the_page_can_be_shown,
);

acceptance::on_every_store!(
    overlapping_requests_of_one_tab_sign_nobody_out,
    overlapping_requests_of_three_tabs_sign_nobody_out,
);
