//! One rule, `source -> target`: its grammar and its effect on a number.
//!
//! ```text
//! source     = *( literal / "?" ) [ "*" ] *2constraint
//! constraint = ( "L" / "E" / "G" ) 1*2DIGIT          ; E alone, or L and/or G once each
//! target     = alternative *( ";" alternative )
//! alternative= range / *( literal / "?" / "$" / "*" ) ; at most one "*"
//! range      = 1*DIGIT "-" 1*DIGIT                    ; same width, low <= high
//! literal    = any allowed character, or "\" followed by any character
//! ```

use std::fmt;

/// A parsed rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    head: Vec<Head>,
    literals: usize,
    star: bool,
    constraint: Constraint,
    alternatives: Vec<Alternative>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Literal(char),
    Digit,
}

/// Constraint on the length of the rest R (NUM-15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Constraint {
    equal: Option<usize>,
    less: Option<usize>,
    greater: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Alternative {
    /// Inclusive, written with `width` digits.
    Range {
        low: u64,
        high: u64,
        width: usize,
    },
    Pattern(Vec<Piece>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(char),
    /// `?`
    RandomDigit,
    /// `$`: character at this index of the original number.
    Copy(usize),
    /// `*`: R.
    Rest,
}

/// Why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule {
    rule: String,
    reason: String,
}

impl BadRule {
    /// What is wrong, without the rule.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`: {}", self.rule, self.reason)
    }
}

impl std::error::Error for BadRule {}

/// Most digits of a range: more do not fit into 64 bits.
const RANGE_DIGITS: usize = 18;

impl Rule {
    /// Reads source and target.
    ///
    /// # Errors
    /// The part of the grammar that the rule breaks.
    pub fn parse(source: &str, target: &str) -> Result<Rule, BadRule> {
        parse(source, target)
            .map_err(|reason| BadRule { rule: format!("{source} -> {target}"), reason })
    }

    /// Order of NUM-13, best rule first when sorted ascending; the position in the list decides
    /// between equals, so the sort must be stable.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        use std::cmp::Reverse;
        (Reverse(self.head.len()), Reverse(self.literals), self.constraint.rank(), self.star)
    }

    /// Whether the rule matches (NUM-14, NUM-15).
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        self.rest(number).is_some()
    }

    /// The rest R, if head and constraint match.
    fn rest<'n>(&self, number: &'n str) -> Option<&'n str> {
        let mut characters = number.chars();
        for expected in &self.head {
            let found = characters.next()?;
            let fits = match *expected {
                Head::Literal(literal) => literal == found,
                Head::Digit => found.is_ascii_digit(),
            };
            if !fits {
                return None;
            }
        }
        let rest = characters.as_str();
        let free = self.constraint == Constraint::default();
        (free || self.constraint.holds(rest.chars().count())).then_some(rest)
    }

    /// The number after this rule, if it matches (NUM-16). `random` returns 64 random bits.
    pub fn apply(&self, number: &str, random: &mut dyn FnMut() -> u64) -> Option<String> {
        let rest = self.rest(number)?;
        let alternative = match self.alternatives.as_slice() {
            [only] => only,
            several => &several[below(several.len() as u64, random) as usize],
        };
        let mut result = String::with_capacity(number.len() + 16);
        let mut rest_written = false;
        match alternative {
            Alternative::Range { low, high, width } => {
                let drawn = low + below(high - low + 1, random);
                // Writing to a String cannot fail.
                let _ = fmt::Write::write_fmt(&mut result, format_args!("{drawn:0width$}"));
            }
            Alternative::Pattern(pieces) => {
                for piece in pieces {
                    match *piece {
                        Piece::Literal(literal) => result.push(literal),
                        Piece::RandomDigit => {
                            result.push(char::from(b'0' + below(10, random) as u8))
                        }
                        Piece::Copy(index) => result.extend(number.chars().nth(index)),
                        Piece::Rest => {
                            rest_written = true;
                            result.push_str(rest);
                        }
                    }
                }
            }
        }
        if !rest_written && !self.star {
            result.push_str(rest);
        }
        Some(result)
    }
}

impl Constraint {
    fn holds(self, length: usize) -> bool {
        self.equal.is_none_or(|bound| length == bound)
            && self.less.is_none_or(|bound| length < bound)
            && self.greater.is_none_or(|bound| length > bound)
    }

    /// E ranks first, then L with G, then L or G alone, then no constraint.
    fn rank(self) -> u8 {
        match (self.equal, self.less, self.greater) {
            (Some(_), _, _) => 0,
            (None, Some(_), Some(_)) => 1,
            (None, None, None) => 3,
            (None, _, _) => 2,
        }
    }
}

/// A uniform number below `limit` (at least 1): draws that would favour low numbers are repeated.
fn below(limit: u64, random: &mut dyn FnMut() -> u64) -> u64 {
    let fair = u64::MAX - u64::MAX % limit;
    loop {
        let bits = random();
        if bits < fair {
            return bits % limit;
        }
    }
}

/// A character of a rule; an escaped one has no special meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Token {
    character: char,
    escaped: bool,
}

impl Token {
    fn is(self, character: char) -> bool {
        !self.escaped && self.character == character
    }

    fn digit(self) -> Option<usize> {
        let digit = self.character.to_digit(10)?;
        (!self.escaped).then_some(digit as usize)
    }

    fn literal(self) -> Result<char, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "+*#._-".contains(c);
        if self.escaped || allowed(self.character) {
            Ok(self.character)
        } else {
            Err(format!(
                "`{}` is not allowed in a number (0-9 + * # A-Z a-z . _ -)",
                self.character
            ))
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut characters = text.chars();
    let mut tokens = Vec::with_capacity(text.len());
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '\\' => Token {
                character: characters.next().ok_or("`\\` at the end escapes nothing")?,
                escaped: true,
            },
            _ => Token { character, escaped: false },
        });
    }
    Ok(tokens)
}

fn parse(source: &str, target: &str) -> Result<Rule, String> {
    let mut tokens_left = tokens(source)?;
    let constraint = take_constraint(&mut tokens_left)?;
    let star = tokens_left.pop_if(|last| last.is('*')).is_some();
    let mut head = Vec::with_capacity(tokens_left.len());
    for token in tokens_left {
        head.push(match token {
            _ if token.is('*') => return Err("`*` must be the last of the source".to_owned()),
            _ if token.is('?') => Head::Digit,
            _ => Head::Literal(token.literal()?),
        });
    }
    let literals = head.iter().filter(|part| **part != Head::Digit).count();
    let mut alternatives = Vec::new();
    for alternative in tokens(target)?.split(|token| token.is(';')) {
        alternatives.push(parse_alternative(alternative, head.len(), star)?);
    }
    Ok(Rule { head, literals, star, constraint, alternatives })
}

/// Removes the constraints from the end of a source.
fn take_constraint(source: &mut Vec<Token>) -> Result<Constraint, String> {
    let mut constraint = Constraint::default();
    let mut found = 0;
    while let Some((letter, bound, length)) = constraint_at_end(source) {
        let field = match letter {
            'L' => &mut constraint.less,
            'G' => &mut constraint.greater,
            _ => &mut constraint.equal,
        };
        if field.replace(bound).is_some() {
            return Err(format!("`{letter}` is given twice; write `\\{letter}` for the letter"));
        }
        source.truncate(source.len() - length);
        found += 1;
    }
    if constraint.equal.is_some() && found > 1 {
        return Err("`E` stands alone; write `\\E`, `\\L`, `\\G` for the letters".to_owned());
    }
    Ok(constraint)
}

/// Letter, bound and number of tokens of a constraint that ends the source.
fn constraint_at_end(source: &[Token]) -> Option<(char, usize, usize)> {
    let letter = |token: Token| ['L', 'E', 'G'].into_iter().find(|letter| token.is(*letter));
    match source {
        [.., token, last] if letter(*token).is_some() => Some((letter(*token)?, last.digit()?, 2)),
        [.., token, tens, units] => Some((letter(*token)?, tens.digit()? * 10 + units.digit()?, 3)),
        _ => None,
    }
}

fn parse_alternative(tokens: &[Token], head: usize, star: bool) -> Result<Alternative, String> {
    if let Some(range) = parse_range(tokens)? {
        return Ok(range);
    }
    let stars = tokens.iter().filter(|token| token.is('*')).count();
    if stars > 1 {
        return Err("a target has at most one `*`".to_owned());
    }
    let rest_kept = stars == 1 || !star;
    let mut pieces = Vec::with_capacity(tokens.len());
    let mut position = 0;
    for token in tokens {
        if token.is('*') {
            pieces.push(Piece::Rest);
            continue;
        }
        position += 1;
        pieces.push(match token {
            _ if token.is('?') => Piece::RandomDigit,
            _ if token.is('$') && rest_kept && position > head => {
                return Err(format!(
                    "`$` at position {position} is beyond the {head} characters of the source \
                     while the rest is kept"
                ));
            }
            _ if token.is('$') => Piece::Copy(position - 1),
            _ => Piece::Literal(token.literal()?),
        });
    }
    Ok(Alternative::Pattern(pieces))
}

/// `a-b`, if the alternative consists only of digits, one `-` and digits.
fn parse_range(tokens: &[Token]) -> Result<Option<Alternative>, String> {
    let Some(dash) = tokens.iter().position(|token| token.is('-')) else { return Ok(None) };
    let digits = |part: &[Token]| -> Option<String> {
        part.iter().map(|token| token.digit().map(|_| token.character)).collect()
    };
    let (Some(low), Some(high)) = (digits(&tokens[..dash]), digits(&tokens[dash + 1..])) else {
        return Ok(None);
    };
    if low.is_empty() || high.is_empty() {
        return Ok(None);
    }
    let width = low.len();
    if width != high.len() {
        return Err(format!("range `{low}-{high}`: both ends must have the same width"));
    }
    if width > RANGE_DIGITS {
        return Err(format!("range `{low}-{high}`: at most {RANGE_DIGITS} digits"));
    }
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("`{text}`: {error}"));
    let (low, high) = (number(&low)?, number(&high)?);
    if low > high {
        return Err(format!("range {low:0width$}-{high:0width$}: the first is above the second"));
    }
    Ok(Some(Alternative::Range { low, high, width }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(source: &str, target: &str, number: &str) -> Option<String> {
        Rule::parse(source, target).expect("legal rule").apply(number, &mut || 7)
    }

    fn refused(source: &str, target: &str) -> String {
        Rule::parse(source, target).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_constraint_letter_without_digits_is_a_literal_num_14() {
        assert_eq!(applied("AL", "x", "AL5").as_deref(), Some("x5"));
        assert_eq!(applied("L123", "x", "L1239").as_deref(), Some("x9"), "three digits: literals");
        assert_eq!(applied("\\E8", "x", "E81").as_deref(), Some("x1"), "escaped");
        assert_eq!(applied("5L2*", "x", "5L29").as_deref(), Some("x"), "not at the very end");
    }

    #[test]
    fn constraints_count_characters_after_the_head_num_15() {
        assert_eq!(applied("1L2", "", "123"), None);
        assert_eq!(applied("1L2", "", "12").as_deref(), Some("2"));
        assert_eq!(applied("G1L4", "9", "12").as_deref(), Some("912"));
        assert_eq!(applied("G1L4", "9", "1"), None);
        assert_eq!(applied("*E03", "9", "123").as_deref(), Some("9"));
    }

    #[test]
    fn constraints_that_contradict_the_grammar_are_refused() {
        assert!(refused("E8L9", "").contains("stands alone"));
        assert!(refused("L8L9", "").contains("given twice"));
    }

    #[test]
    fn what_is_not_a_number_character_is_refused_by_name() {
        assert!(refused("0 1", "").contains("` ` is not allowed"));
        assert!(refused("01", "9ü").contains("`ü`"));
        assert!(refused("01\\", "9").contains("escapes nothing"));
    }

    #[test]
    fn ranges_need_equal_width_and_order_num_16() {
        assert!(refused("*", "10-9").contains("same width"));
        assert!(refused("*", "20-10").contains("above"));
        assert!(refused("*", "1234567890123456789-1234567890123456790").contains("at most 18"));
        assert_eq!(applied("*", "007-007", "1").as_deref(), Some("007"), "leading zeros stay");
        assert_eq!(applied("*", "a-b", "1").as_deref(), Some("a-b"), "a literal dash");
        assert_eq!(applied("*", "1\\-5", "1").as_deref(), Some("1-5"), "an escaped dash");
    }

    #[test]
    fn a_copied_position_counts_literals_and_digits_but_not_the_rest_num_16() {
        assert_eq!(applied("12*", "*$", "1234").as_deref(), Some("341"));
        assert_eq!(applied("*", "9$$", "1234").as_deref(), Some("923"));
        assert_eq!(applied("*", "$$$", "12").as_deref(), Some("12"), "shorter number");
    }

    #[test]
    fn escapes_in_targets_are_literal_num_16() {
        assert_eq!(applied("*", "\\*\\?\\$\\;\\-\\\\", "1").as_deref(), Some("*?$;-\\"));
    }

    #[test]
    fn random_digits_and_alternatives_are_uniform() {
        let rule = Rule::parse("*", "1;2;3?").expect("legal");
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state >> 29
        };
        let mut seen = [0_u32; 4];
        for _ in 0..30_000 {
            let result = rule.apply("", &mut random).expect("matches");
            let first = result.as_bytes()[0] - b'0';
            seen[usize::from(first)] += 1;
        }
        assert!(seen[1..].iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }
}
