//! What becomes of a window, whatever the broker answers.

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::opencti::delivery::{Backlog, Bounds};
use crate::opencti::{Delivery, Message, Pusher};

const ROOMY: Bounds = Bounds {
    messages: 1000,
    bytes: u32::MAX,
};

/// Messages as the sender takes them, numbered by their objects.
async fn outgoing(sizes: &[usize]) -> Vec<Outgoing> {
    let (pusher, mut backlog, _connection) = Pusher::channel(ROOMY);
    let message = |(number, &size): (usize, &usize)| Message {
        body: vec![0; size].into(),
        work_id: "work".into(),
        objects: number as u64,
        counted: number as u64,
    };
    let delivery = Delivery {
        messages: sizes.iter().enumerate().map(message).collect(),
        position: None,
        expectations: None,
        given_up: CancellationToken::new(),
    };
    pusher.deliver(delivery).await.unwrap();
    drop(pusher);
    all(&mut backlog).await
}

async fn all(backlog: &mut Backlog) -> Vec<Outgoing> {
    let mut taken = Vec::new();
    while backlog.has_more().await {
        taken.extend(backlog.take());
    }
    taken
}

fn numbers(messages: &[Outgoing]) -> Vec<u64> {
    messages
        .iter()
        .map(|outgoing| outgoing.message.objects)
        .collect()
}

async fn window_of(sizes: &[usize]) -> SendWindow {
    let mut window = SendWindow::default();
    for outgoing in outgoing(sizes).await {
        window.admit(outgoing);
    }
    window
}

#[tokio::test]
async fn nothing_counts_before_every_answer_is_there() {
    let mut window = window_of(&[1, 1]).await;
    window.answer(0, BrokerAnswer::Taken);
    assert!(!window.is_answered());
    window.answer(1, BrokerAnswer::Taken);
    assert!(window.is_answered());
    // The return of message 0, reported with the confirm of message 1.
    window.note_returned(0);
    let settled = window.settle();
    assert_eq!(numbers(&settled.confirmed), [1]);
    assert_eq!(numbers(&settled.back), [0]);
    assert_eq!(settled.refusal, Some(Refusal::Unroutable));
    assert!(!settled.back[0].in_doubt);
}

#[tokio::test]
async fn a_window_is_full_by_count_or_by_size_and_takes_one_of_any_size() {
    let large = WINDOW_BYTES as usize;
    assert!(SendWindow::default().has_room());
    assert!(!window_of(&[large]).await.has_room());
    assert!(window_of(&[large - 1]).await.has_room());
    assert!(!window_of(&[1; WINDOW_MESSAGES]).await.has_room());
    let mut window = window_of(&[1, 1]).await;
    window.answer(0, BrokerAnswer::Refused);
    assert!(!window.has_room(), "nothing more behind a refusal");
}

fn answers() -> impl Strategy<Value = Vec<(Option<BrokerAnswer>, bool)>> {
    let answer = prop_oneof![
        4 => Just(Some(BrokerAnswer::Taken)),
        1 => Just(Some(BrokerAnswer::Refused)),
        1 => Just(Some(BrokerAnswer::Lost)),
        1 => Just(None),
    ];
    proptest::collection::vec((answer, proptest::bool::weighted(0.2)), 0..30)
}

proptest! {
    /// Whatever is answered: each message is confirmed or comes back, confirmed only if that is sure,
    /// and in doubt unless the broker certainly does not have it.
    #[test]
    fn each_message_has_one_fate(answers in answers()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut window = runtime.block_on(window_of(&vec![1; answers.len()]));
        for (number, (answer, is_returned)) in (0..).zip(&answers) {
            if let Some(answer) = answer {
                window.answer(number, *answer);
            }
            if *is_returned {
                window.note_returned(number);
            }
        }
        let settled = window.settle();
        prop_assert!(window.is_empty() && window.has_room());
        let is_complete = answers.iter().all(|(answer, _)| answer.is_some());
        let fate = |number: u64| answers[usize::try_from(number).unwrap()];
        let mut seen = numbers(&settled.confirmed);
        for number in &seen {
            prop_assert_eq!(fate(*number), (Some(BrokerAnswer::Taken), false));
            prop_assert!(is_complete);
        }
        let back = numbers(&settled.back);
        prop_assert!(back.is_sorted());
        for outgoing in &settled.back {
            let (answer, is_returned) = fate(outgoing.message.objects);
            let is_surely_not_there = is_returned || answer == Some(BrokerAnswer::Refused);
            prop_assert_eq!(outgoing.in_doubt, !is_surely_not_there);
            prop_assert!(is_surely_not_there || answer != Some(BrokerAnswer::Taken) || !is_complete);
        }
        seen.extend(back);
        seen.sort_unstable();
        prop_assert!(seen.into_iter().eq(0..answers.len() as u64));
    }
}
