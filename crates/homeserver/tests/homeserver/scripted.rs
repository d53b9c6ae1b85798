//! What other tests rely on in the scripted homeserver: holding, going away, coming back, acting in silence.

use usher_homeserver::{Probe, Registered};
use usher_lab::scripted::homeserver::{Endpoint, Fault};

use crate::lab::{Lab, alice, log_in, word};

#[tokio::test]
async fn a_held_call_waits_before_anything_is_done() {
    let lab = Lab::start().await;
    let hold = lab.scripted.hold(Endpoint::Register);
    let homeserver = lab.homeserver.clone();
    let call = tokio::spawn(async move { homeserver.register(&alice()).await });
    hold.arrived().await;
    assert!(lab.scripted.users().is_empty());
    hold.release();
    assert_eq!(call.await.expect("no panic").expect("an account"), Registered::Created);
}

#[tokio::test]
async fn a_held_answer_waits_when_everything_is_done() {
    let lab = Lab::start().await;
    let hold = lab.scripted.hold_answer(Endpoint::Register);
    let homeserver = lab.homeserver.clone();
    let call = tokio::spawn(async move { homeserver.register(&alice()).await });
    hold.arrived().await;
    assert_eq!(lab.scripted.users(), ["@alice:eng.example"]);
    hold.release();
    assert_eq!(call.await.expect("no panic").expect("an account"), Registered::Created);
}

#[tokio::test]
async fn a_held_call_goes_on_when_its_caller_is_gone() {
    let lab = Lab::start().await;
    let before = lab.scripted.hold(Endpoint::Register);
    let after = lab.scripted.hold_answer(Endpoint::Register);
    let homeserver = lab.homeserver.clone();
    let call = tokio::spawn(async move { homeserver.register(&alice()).await });
    before.arrived().await;
    call.abort();
    before.release();
    after.arrived().await;
    assert_eq!(lab.homeserver.probe(&alice()).await.expect("an answer"), Probe::Taken);
}

#[tokio::test]
async fn an_effect_without_an_answer_is_an_effect() {
    for fault in [Fault::act_but_never_answer(), Fault::act_but_cut()] {
        let lab = Lab::start().await;
        lab.scripted.set_fault(Endpoint::Register, fault);
        assert!(!lab.homeserver.register(&alice()).await.expect_err("silence").is_definite());
        lab.scripted.clear_fault(Endpoint::Register);
        assert_eq!(lab.homeserver.register(&alice()).await.expect("an answer"), Registered::InUse);
    }
}

#[tokio::test]
async fn it_goes_away_and_comes_back_where_it_was() {
    let lab = Lab::with_alice().await;
    lab.log_in(&alice()).await.expect("a session");
    for _ in 0..3 {
        lab.scripted.stop().await.expect("it stops");
        assert_eq!(word(&lab.log_in(&alice()).await.expect_err("away")), "not connected");
        lab.scripted.restart().await.expect("the port is free");
        log_in(&lab.homeserver, &alice()).await.expect("a session");
    }
    assert_eq!(
        lab.scripted.user("@alice:eng.example").expect("alice").devices["PHONE"].access_tokens.len(),
        4
    );
}

#[tokio::test]
async fn calls_are_remembered_unless_told_otherwise() {
    let lab = Lab::with_alice().await;
    lab.log_in(&alice()).await.expect("a session");
    lab.scripted.set_recording(false);
    lab.log_in(&alice()).await.expect("a session");
    assert_eq!(lab.scripted.calls_to(Endpoint::Login).len(), 1);
    lab.scripted.forget_calls();
    assert!(lab.scripted.calls().is_empty());
}
