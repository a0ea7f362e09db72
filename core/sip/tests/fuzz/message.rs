//! The wire scan and the writer.

use crate::MOMENT;
use crate::recipe::{MESSAGES, Recipe, cook};
use std::net::SocketAddr;
use strowger_sip::{Flow, MAX_DATAGRAM, Message, MessageBuilder, salvage};

/// The message as our writer writes it: the same headers in the same order.
fn written(message: &Message) -> Vec<u8> {
    let mut builder = match message.is_request() {
        true => MessageBuilder::request(message.method(), message.uri()),
        false => {
            let request = Message::parse(MESSAGES[2]).unwrap();
            MessageBuilder::response_to(&request, message.status(), message.reason_phrase())
        }
    };
    if message.is_request() {
        for (name, value) in message.header_lines() {
            let own = ["Content-Length", "l", "Content-Type", "c"];
            if !own.iter().any(|own| own.eq_ignore_ascii_case(name.trim())) {
                builder = builder.header(name, value);
            }
        }
    }
    builder.body("application/octet-stream", message.body()).finish()
}

/// A parsed message parses again after it is rewritten, and then no byte changes any more; a
/// refused message gets a short answer or none.
#[test]
fn messages_survive_being_written() {
    let source = SocketAddr::from(([198, 51, 100, 7], 5062));
    bolero::check!().with_test_time(MOMENT).with_type::<Recipe>().for_each(|recipe| {
        let bytes = cook(&MESSAGES, recipe);
        let Ok(message) = Message::parse(&bytes) else {
            let answer = salvage(Flow::datagram(0, source), &bytes).unwrap_or_default();
            assert!(answer.len() <= bytes.len() + 512, "{} of {}", answer.len(), bytes.len());
            return;
        };
        let again = Message::parse(&message.to_bytes()).unwrap();
        assert_eq!(again.to_bytes(), message.to_bytes());
        let once = written(&message);
        if once.len() > MAX_DATAGRAM {
            return;
        }
        let read = Message::parse(&once)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&once)));
        assert_eq!(written(&read), once);
        assert_eq!((read.is_request(), read.body()), (message.is_request(), message.body()));
        if message.is_request() {
            assert_eq!(read.uri(), message.uri());
            assert_eq!((read.call_id(), read.cseq()), (message.call_id(), message.cseq()));
            assert_eq!((read.from_tag(), read.to_tag()), (message.from_tag(), message.to_tag()));
            assert_eq!(read.top_via().branch(), message.top_via().branch());
        }
    });
}

/// No input makes the scan panic.
#[test]
fn bytes_of_any_kind_are_read_or_refused() {
    bolero::check!().with_test_time(MOMENT).for_each(|bytes: &[u8]| {
        if let Ok(message) = Message::parse(bytes) {
            assert!(!message.call_id().is_empty());
        }
    });
}
