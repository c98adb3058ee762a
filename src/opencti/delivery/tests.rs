//! Deliveries from one end to the other, with a test in the place of the sending task.

use super::*;
use crate::connector::{Converted, Position};

const ROOMY: Bounds = Bounds {
    messages: 8,
    bytes: 1024,
};

fn sized(messages: usize, bytes: usize) -> Delivery {
    let message = Message {
        body: vec![0; bytes].into(),
        work_id: "work".into(),
        objects: 1,
        counted: 1,
    };
    let mut unit = Converted::new("observables", 1, 0);
    unit.position = Some(Position {
        variant: None,
        cursor: "c".into(),
        as_of: None,
    });
    Delivery {
        messages: vec![message; messages],
        position: unit.take_position(),
        expectations: None,
        given_up: CancellationToken::new(),
    }
}

fn delivery(messages: usize) -> Delivery {
    sized(messages, 1)
}

async fn next(backlog: &mut Backlog) -> Outgoing {
    assert!(backlog.has_more().await);
    backlog.take().unwrap()
}

#[tokio::test]
async fn a_receipt_comes_with_the_last_confirm_and_not_before() {
    let (pusher, mut backlog, _connection) = Pusher::channel(ROOMY);
    let mut pending = pusher.deliver(delivery(2)).await.unwrap();
    let mut receipt = std::pin::pin!(pending.receipt());
    next(&mut backlog).await.confirm();
    assert!(is_pending(receipt.as_mut()));
    next(&mut backlog).await.confirm();
    let position = receipt.await.unwrap().into_position().unwrap();
    assert_eq!(position.into_position().cursor, "c");
}

#[tokio::test]
async fn a_unit_without_messages_has_its_receipt_at_once() {
    let (pusher, _backlog, _connection) = Pusher::channel(ROOMY);
    let mut pending = pusher.deliver(delivery(0)).await.unwrap();
    assert!(pending.receipt().await.is_ok());
}

#[tokio::test]
async fn a_sender_that_ends_leaves_no_receipt() {
    let (pusher, mut backlog, _connection) = Pusher::channel(ROOMY);
    let mut pending = pusher.deliver(delivery(1)).await.unwrap();
    drop(next(&mut backlog).await);
    drop(backlog);
    assert!(matches!(pending.receipt().await, Err(PushError::Stopped)));
    assert!(matches!(
        pusher.deliver(delivery(1)).await,
        Err(PushError::Stopped)
    ));
}

#[tokio::test]
async fn a_message_keeps_its_place_until_it_is_confirmed() {
    let (pusher, mut backlog, _connection) = Pusher::channel(Bounds {
        messages: 2,
        bytes: 1024,
    });
    let mut third = std::pin::pin!(pusher.deliver(delivery(3)));
    assert!(is_pending(third.as_mut()));
    let first = next(&mut backlog).await;
    assert!(is_pending(third.as_mut()), "taken is not yet done with");
    first.confirm();
    third.await.unwrap();
}

#[tokio::test]
async fn bytes_are_bounded_and_what_is_larger_passes_alone() {
    let (pusher, mut backlog, _connection) = Pusher::channel(Bounds {
        messages: 100,
        bytes: 10,
    });
    let mut first = pusher.deliver(sized(1, 6)).await.unwrap();
    let mut large = std::pin::pin!(pusher.deliver(sized(1, 1000)));
    assert!(is_pending(large.as_mut()));
    next(&mut backlog).await.confirm();
    assert!(first.receipt().await.is_ok());
    large.await.unwrap();
    let mut small = std::pin::pin!(pusher.deliver(sized(1, 1)));
    assert!(is_pending(small.as_mut()), "it passes alone");
    next(&mut backlog).await.confirm();
    small.await.unwrap();
}

#[tokio::test]
async fn what_nobody_wants_is_dropped_and_the_rest_stays_in_order() {
    let (pusher, mut backlog, _connection) = Pusher::channel(ROOMY);
    let (one, two) = (delivery(2), delivery(3));
    let given_up = one.given_up.clone();
    let mut one = pusher.deliver(one).await.unwrap();
    let mut two = pusher.deliver(two).await.unwrap();
    for _ in 0..5 {
        backlog.change().await;
    }
    given_up.cancel();
    // Whatever the sending task waits for.
    let answer = backlog.during(one.receipt()).await;
    assert!(matches!(answer, Err(PushError::GivenUp)));
    assert_eq!(backlog.waiting().len(), 3);
    for _ in 0..3 {
        next(&mut backlog).await.confirm();
    }
    assert!(two.receipt().await.is_ok());
}

#[tokio::test]
async fn what_comes_back_goes_first_and_in_its_order() {
    let (pusher, mut backlog, _connection) = Pusher::channel(ROOMY);
    let mut numbered = delivery(4);
    for (number, message) in numbered.messages.iter_mut().enumerate() {
        message.objects = number as u64;
    }
    pusher.deliver(numbered).await.unwrap();
    let back = vec![next(&mut backlog).await, {
        drop(next(&mut backlog).await);
        next(&mut backlog).await
    }];
    backlog.give_back(back);
    drop(pusher);
    let mut order = Vec::new();
    while backlog.has_more().await {
        order.push(backlog.take().unwrap().message.objects);
    }
    assert_eq!(order, [0, 2, 3]);
    assert!(backlog.is_done());
}

#[tokio::test]
async fn a_delivery_given_up_while_it_waits_for_its_place() {
    let (pusher, _backlog, _connection) = Pusher::channel(Bounds {
        messages: 1,
        bytes: 1024,
    });
    let delivery = delivery(2);
    let given_up = delivery.given_up.clone();
    let mut delivering = std::pin::pin!(pusher.deliver(delivery));
    assert!(is_pending(delivering.as_mut()));
    given_up.cancel();
    assert!(matches!(delivering.await, Err(PushError::GivenUp)));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_without_a_confirm() {
    let (pusher, _backlog, _connection) = Pusher::channel(ROOMY);
    let never = pusher.while_confirming(std::future::pending::<Result<(), _>>());
    assert!(matches!(never.await, Err(PushError::NothingConfirmed)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_broker_is_no_lack_of_confirms() {
    let (pusher, _backlog, connection) = Pusher::channel(ROOMY);
    connection.paused("the queue is full");
    let week = tokio::time::sleep(Duration::from_hours(7 * 24));
    let step = async {
        week.await;
        Ok(())
    };
    assert!(pusher.while_confirming(step).await.is_ok());
    connection.disconnected("nobody there".to_owned(), &PushError::Stopped);
    let never = pusher.while_confirming(std::future::pending::<Result<(), _>>());
    assert!(matches!(never.await, Err(PushError::NothingConfirmed)));
}

/// After one look at it.
fn is_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    future.poll(&mut context).is_pending()
}
