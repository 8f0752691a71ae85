//! The database file is removed or replaced under two running apps: they never go on with two stores behind one path.

use std::time::Duration;

use acceptance::wait::{PATIENCE, eventually};
use acceptance::{Client, Request, Running, Target};

const FILES: [&str; 3] = ["auth.db", "auth.db-wal", "auth.db-shm"];

fn error_lines_of_the_store(app: &Running) -> usize {
    let log = String::from_utf8_lossy(&app.log()).into_owned();
    let told = log
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains("auth_tower::store"));
    told.count()
}

async fn answers(client: &Client, status: u16) {
    eventually(PATIENCE, &format!("an exchange is answered with {status}"), || {
        let mut client = client.clone();
        async move { client.refresh().await.status == status }
    })
    .await;
}

async fn b1_a_removed_database_is_a_told_outage_and_a_new_one_is_shared(at: Target) {
    let one = at.start().await;
    let other = one.sibling().await;
    let mut client = Client::alice(&one).await;
    assert_eq!(client.refresh().await.status, 200);
    for name in FILES {
        std::fs::remove_file(one.settings().file(name)).expect("a file of the store");
    }
    for app in [&one, &other] {
        let mut client = client.clone();
        client.address = app.address();
        let refused = client.refresh().await;
        assert_eq!(refused.status, 503, "{refused:?}");
        app.log_with("removed or replaced").await;
    }
    assert!(
        !one.settings().file("auth.db").exists(),
        "a running app makes no store in its place"
    );

    let third = one.sibling().await;
    let mut newcomer = Client::alice(&third).await;
    for app in [&one, &other, &third] {
        newcomer.address = app.address();
        eventually(PATIENCE, "the new store is everybody's", || {
            let mut newcomer = newcomer.clone();
            async move { newcomer.refresh().await.status == 200 }
        })
        .await;
        assert!(error_lines_of_the_store(app) <= 1);
    }
}

async fn b1_a_backup_that_is_moved_into_place_is_opened_by_both(at: Target) {
    let one = at.start().await;
    let mut kept = Client::alice(&one).await;
    let backup = one.settings().file("backup.db");
    {
        let database = rusqlite::Connection::open(one.settings().file("auth.db")).expect("a database");
        database.busy_timeout(PATIENCE).expect("a timeout");
        let name = backup.to_str().expect("UTF-8");
        database.execute("VACUUM INTO ?1", [name]).expect("a copy");
    }
    let other = one.sibling().await;
    let lost = Client::bob(&other).await;
    std::fs::rename(&backup, one.settings().file("auth.db")).expect("the backup in place");
    for app in [&one, &other] {
        let mut lost = lost.clone();
        lost.address = app.address();
        answers(&lost, 401).await;
    }
    let third = one.sibling().await;
    for app in [&one, &other, &third] {
        kept.address = app.address();
        assert_eq!(kept.refresh().await.status, 200);
    }
    let leaving = kept.clone();
    kept.send(Request::post("/auth/logout").refresh(&leaving.refresh_token()))
        .await;
    for app in [&one, &other] {
        let mut leaving = leaving.clone();
        leaving.address = app.address();
        eventually(Duration::from_secs(5), "both hear of the sign-out", || {
            let mut leaving = leaving.clone();
            async move { leaving.with_bearer(Request::get("/api/me")).await.status == 401 }
        })
        .await;
    }
}

acceptance::on_the_file_store!(
    b1_a_removed_database_is_a_told_outage_and_a_new_one_is_shared,
    b1_a_backup_that_is_moved_into_place_is_opened_by_both,
);
