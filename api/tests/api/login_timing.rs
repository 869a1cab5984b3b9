//! The duration of a failed login does not reveal whether the account exists.

use std::time::Instant;

use crate::support::{PASSWORD, TestApp, second_factor};

/// Failed logins of each kind.
const ROUNDS: usize = 40;

/// The share of pairs in which the first takes longer than the second; 0.5 for equal distributions.
fn slower_share(first: &[u128], second: &[u128]) -> f64 {
    let wins = |one: &u128| {
        let count = |found: usize| u32::try_from(found).map_or(f64::NAN, f64::from);
        let faster = second.iter().filter(|other| *other < one).count();
        let same = second.iter().filter(|other| *other == one).count();
        count(faster) + count(same) / 2.0
    };
    let count = u32::try_from(first.len() * second.len()).unwrap();
    first.iter().map(wins).sum::<f64>() / f64::from(count)
}

/// Compares only the ranks of interleaved requests, because a busy machine slows all of them. By chance the share is
/// outside of 0.2 to 0.8 once in a hundred thousand runs (its standard deviation is 0.065).
#[actix_web::test]
async fn failed_login_takes_equal_time_for_known_and_unknown_accounts() {
    let app = TestApp::start().await;
    app.create_account("known").await;
    let two_factor = app.create_account("two-factor").await;
    let authenticator = second_factor::enrol(&app, &two_factor).await;
    let code = serde_json::json!({ "code": authenticator.code(0) });
    app.post(&two_factor, "/api/v1/account/totp/confirm", &code).await.expect(200);
    app.create_account("suspended").await;
    app.sql("update account set state = 'suspended' where email like 'suspended@%'").await;
    app.login("known@example.org", PASSWORD).await.expect(200);

    let kinds = ["unknown", "known", "two-factor", "suspended"];
    let mut durations: [Vec<u128>; 4] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..kinds.len() {
            // Each kind is first equally often.
            let kind = (round + turn) % kinds.len();
            let email = format!("{}@example.org", kinds[kind]);
            let started = Instant::now();
            app.login(&email, "not the password").await.problem(401, "wrong_credentials");
            durations[kind].push(started.elapsed().as_micros());
        }
    }
    for (kind, times) in kinds.iter().zip(&durations).skip(1) {
        let share = slower_share(times, &durations[0]);
        assert!((0.2..=0.8).contains(&share), "{kind} is distinguishable from unknown: {share}");
    }
    app.stop().await;
}

#[test]
fn slower_share_detects_a_difference() {
    assert!(slower_share(&[5, 6, 7], &[1, 2, 3]) > 0.8);
    assert!(slower_share(&[1, 2, 3], &[5, 6, 7]) < 0.2);
    assert!((slower_share(&[1, 2, 3, 4], &[1, 2, 3, 4]) - 0.5).abs() < 1e-9);
}
