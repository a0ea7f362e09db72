//! Replaces the last digits of every number.
//!
//! The last digits are replaced by a keyed permutation of all numbers of that many digits: equal
//! numbers stay equal, different ones stay different, and prefixes stay. The replacement depends on
//! those digits only, so a rewrite of prefixes gives the same result before and after masking, and
//! a replay of masked decisions compares like with like.

use super::format::DecisionOwned;
use policy::{
    Answer, CallNumbers, Course, Fault, IdentityAnswer, NumberAnswer, NumberQuestion, Question,
    Rejection, Text, Verdict,
};
use sha2::{Digest, Sha256};

/// More digits than any number has are useless, and 10^18 fits the arithmetic.
const MOST: u8 = 18;

/// Rounds of the Feistel network.
const ROUNDS: u8 = 8;

/// Shortest run of digits in free text that counts as a number: ports and parts of addresses are
/// shorter.
const RUN: usize = 5;

#[derive(Debug)]
pub(super) struct Mask {
    key: [u8; 32],
    digits: usize,
}

impl Mask {
    /// None if nothing is masked.
    pub(super) fn new(key: [u8; 32], digits: u8) -> Option<Mask> {
        (digits > 0).then(|| Mask { key, digits: usize::from(digits.min(MOST)) })
    }

    pub(super) fn decision(&self, decision: &mut DecisionOwned) {
        self.question(&mut decision.question);
        match &mut decision.outcome {
            Ok(answer) => self.answer(answer),
            Err(fault) => self.fault(fault),
        }
        for step in &mut decision.earlier {
            match &mut step.outcome {
                Ok(Some(answer)) => self.answer(answer),
                Ok(None) => {}
                Err(fault) => self.fault(fault),
            }
        }
        decision.kept.iter_mut().for_each(|kept| self.text(&mut kept.value));
        if let Some(details) = &mut decision.details {
            details.invite = false;
            let CallNumbers { caller_in, callee_in, caller, callee, route_as, tech_prefix_in } =
                &mut details.numbers;
            for number in [caller_in, callee_in, caller, callee, route_as, tech_prefix_in] {
                self.number(number);
            }
        }
    }

    fn question(&self, question: &mut Question) {
        match question {
            Question::Screen(question) => {
                self.numbers([&mut question.caller, &mut question.callee]);
            }
            Question::Number(question) => {
                let NumberQuestion { caller, callee, identity, .. } = question;
                self.numbers([caller, callee, identity]);
            }
            Question::Route(question) => {
                self.numbers([&mut question.caller, &mut question.callee]);
            }
            Question::Supervise(question) => {
                self.numbers([&mut question.caller, &mut question.callee]);
                question.marks.iter_mut().for_each(|word| self.text(word));
            }
            Question::Event(notice) => self.numbers([&mut notice.caller, &mut notice.callee]),
            Question::Identity(question) => {
                self.numbers([&mut question.caller_out, &mut question.identity_out]);
                self.text(&mut question.display);
            }
            Question::Rate(_) | Question::Advance(_) => {}
        }
    }

    fn answer(&self, answer: &mut Answer) {
        match answer {
            Answer::Screen(Verdict::Reject(rejection))
            | Answer::Number(Err(rejection))
            | Answer::Route(Err(rejection))
            | Answer::Identity(Err(rejection)) => self.rejection(rejection),
            Answer::Screen(Verdict::Mark(words)) => {
                words.iter_mut().for_each(|word| self.text(word));
            }
            Answer::Number(Ok(answer)) => {
                let NumberAnswer { caller, callee, identity, route_as, rate_as, uri_parameters } =
                    answer;
                for number in [caller, callee, identity, route_as, rate_as] {
                    self.number(number);
                }
                self.text(uri_parameters);
            }
            Answer::Identity(Ok(answer)) => {
                let IdentityAnswer { display, user, host: _, headers } = answer;
                self.text(display);
                self.number(user);
                headers.iter_mut().for_each(|(_, value)| self.text(value));
            }
            Answer::Supervise(answer) => {
                answer.marks.iter_mut().for_each(|word| self.text(word));
                if let Course::End(ending) = &mut answer.course {
                    self.text(&mut ending.reason);
                    self.text(&mut ending.detail);
                }
            }
            Answer::Screen(_)
            | Answer::Rate(_)
            | Answer::Route(Ok(_))
            | Answer::Advance(_)
            | Answer::Noted => {}
        }
    }

    fn fault(&self, fault: &mut Fault) {
        match fault {
            Fault::Deadline(_, words)
            | Fault::Trap(words)
            | Fault::Memory(words)
            | Fault::Nonsense(words)
            | Fault::Refused(words) => self.text(words),
            Fault::Absent
            | Fault::Timeout(_)
            | Fault::Busy(_)
            | Fault::Starting
            | Fault::LeftOut(_) => {}
        }
    }

    fn rejection(&self, rejection: &mut Rejection) {
        self.text(&mut rejection.reason);
        self.text(&mut rejection.detail);
    }

    fn numbers<const N: usize>(&self, numbers: [&mut Text; N]) {
        numbers.into_iter().for_each(|number| self.number(number));
    }

    /// The whole text is one number, whatever separates its digits.
    fn number(&self, number: &mut Text) {
        let mut text = number.as_bytes().to_vec();
        let places: Vec<usize> = (0..text.len()).filter(|at| text[*at].is_ascii_digit()).collect();
        self.replace(&mut text, &places);
        *number = Text::from_utf8(text).unwrap_or_default();
    }

    /// Every long run of digits is a number.
    fn text<T: AsRef<str> + From<String>>(&self, words: &mut T) {
        let mut text = words.as_ref().as_bytes().to_vec();
        let mut at = 0;
        while at < text.len() {
            let run = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if run >= RUN {
                self.replace(&mut text, &(at..at + run).collect::<Vec<_>>());
            }
            at += run.max(1);
        }
        *words = String::from_utf8(text).unwrap_or_default().into();
    }

    /// Replaces the last of the digits at these places.
    fn replace(&self, text: &mut [u8], places: &[usize]) {
        let places = &places[places.len().saturating_sub(self.digits)..];
        if places.is_empty() {
            return;
        }
        let (left_places, right_places) = places.split_at(places.len() / 2);
        let value = |places: &[usize]| {
            places.iter().fold(0_u64, |sum, at| sum * 10 + u64::from(text[*at] - b'0'))
        };
        let (mut left, mut right) = (value(left_places), value(right_places));
        let modulus = |places: &[usize]| 10_u64.pow(places.len() as u32);
        let (lefts, rights) = (modulus(left_places), modulus(right_places));
        for round in 0..ROUNDS {
            if round % 2 == 0 {
                right = (right + self.drawn(round, places.len(), left) % rights) % rights;
            } else {
                left = (left + self.drawn(round, places.len(), right) % lefts) % lefts;
            }
        }
        for (places, mut value) in [(left_places, left), (right_places, right)] {
            for at in places.iter().rev() {
                text[*at] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
    }

    fn drawn(&self, round: u8, digits: usize, half: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update([round, digits as u8]);
        hash.update(half.to_le_bytes());
        hash.finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn masked(mask: &Mask, number: &str) -> String {
        let mut number = number.into();
        mask.number(&mut number);
        number.into()
    }

    #[test]
    fn the_last_digits_change_and_nothing_else() {
        let mask = Mask::new([7; 32], 4).expect("four digits");
        let number = masked(&mask, "+442071234567");
        assert!(number.starts_with("+44207123") && number.len() == 13, "{number}");
        assert_ne!(number, "+442071234567");
        assert_eq!(number, masked(&mask, "+442071234567"), "equal numbers stay equal");
        let national = masked(&mask, "02071234567");
        assert_eq!(national[7..], number[9..], "prefixes may be rewritten before or after");
        assert_eq!(masked(&mask, "alice"), "alice");
        assert_ne!(masked(&Mask::new([8; 32], 4).expect("four digits"), "442071234567"), number);
        assert!(Mask::new([7; 32], 0).is_none());
    }

    #[test]
    fn different_numbers_stay_different() {
        for digits in 1..=4 {
            let mask = Mask::new([1; 32], digits).expect("some digits");
            let width = usize::from(digits);
            let all: HashSet<String> = (0..10_u32.pow(u32::from(digits)))
                .map(|number| masked(&mask, &format!("44{number:0width$}")))
                .collect();
            assert_eq!(all.len(), 10_usize.pow(u32::from(digits)));
        }
    }

    #[test]
    fn numbers_in_running_text_are_found_and_addresses_are_not() {
        let mask = Mask::new([7; 32], 4).expect("four digits");
        let mut text = "<sip:15551230001@192.0.2.17:5060>".to_owned();
        mask.text(&mut text);
        let number = masked(&mask, "15551230001");
        assert_eq!(text, format!("<sip:{number}@192.0.2.17:5060>"));
    }
}
