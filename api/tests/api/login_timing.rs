//! How long a refused login takes tells nobody whether there is an account.

use std::time::Instant;

use crate::{
    second_factor,
    support::app::{PASSWORD, TestApp},
};

/// Refused logins of each kind.
const ROUNDS: usize = 40;

/// How often one of the first takes longer than one of the second: half of the time where both are of one kind.
fn slower(first: &[u128], second: &[u128]) -> f64 {
    let wins = |one: &u128| {
        let count = |found: usize| u32::try_from(found).map_or(f64::NAN, f64::from);
        let faster = second.iter().filter(|other| *other < one).count();
        let same = second.iter().filter(|other| *other == one).count();
        count(faster) + count(same) / 2.0
    };
    let count = u32::try_from(first.len() * second.len()).unwrap();
    first.iter().map(wins).sum::<f64>() / f64::from(count)
}

/// Ranks alone are compared, of requests that take turns: a machine that is busy makes all of them slow. By chance the
/// share is within 0.2 and 0.8 but once in a hundred thousand times (its standard deviation is 0.065).
#[actix_web::test]
async fn failed_login_takes_equal_time_for_known_and_unknown_accounts() {
    let app = TestApp::start().await;
    app.person("known").await;
    let careful = app.person("careful").await;
    let device = second_factor::enrol(&app, &careful).await;
    let code = serde_json::json!({ "code": device.code(0) });
    app.post(&careful, "/api/v1/account/totp/confirm", &code).await.expect(200);
    app.person("stopped").await;
    app.sql("update account set state = 'suspended' where email like 'stopped@%'").await;
    app.login("known@example.org", PASSWORD).await.expect(200);

    let kinds = ["unknown", "known", "careful", "stopped"];
    let mut taken: [Vec<u128>; 4] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..kinds.len() {
            // Each begins as often as any other.
            let kind = (round + turn) % kinds.len();
            let email = format!("{}@example.org", kinds[kind]);
            let begun = Instant::now();
            app.login(&email, "not the password").await.problem(401, "wrong_credentials");
            taken[kind].push(begun.elapsed().as_micros());
        }
    }
    for (kind, times) in kinds.iter().zip(&taken).skip(1) {
        let share = slower(times, &taken[0]);
        assert!((0.2..=0.8).contains(&share), "{kind} is told from unknown: {share}");
    }
    app.stop().await;
}

#[test]
fn slower_share_detects_a_difference() {
    assert!(slower(&[5, 6, 7], &[1, 2, 3]) > 0.8);
    assert!(slower(&[1, 2, 3], &[5, 6, 7]) < 0.2);
    assert!((slower(&[1, 2, 3, 4], &[1, 2, 3, 4]) - 0.5).abs() < 1e-9);
}
