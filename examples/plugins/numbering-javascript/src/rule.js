// One rule, `source -> target`: its grammar and its effect on a number.
//
//   source     = *( literal / "?" ) [ "*" ] *2constraint
//   constraint = ( "L" / "E" / "G" ) 1*2DIGIT
//   target     = alternative *( ";" alternative )
//   alternative= range / *( literal / "?" / "$" / "*" )
//   range      = 1*DIGIT "-" 1*DIGIT
//   literal    = any allowed character, or "\" followed by any character

import { next } from "strowger:policy/host-random@0.1.0";
import { isDigit } from "./text.js";

/** The fault of a rule; `message` is for the operator. */
export class BadRule extends Error {}

/** More digits do not fit in 64 bits. */
const RANGE_DIGITS = 18;
const ALL_BITS = 2n ** 64n - 1n;

/** Head entry for `?`. */
const ANY_DIGIT = Symbol("?");

const is = (token, character) => !token.escaped && token.character === character;
const hasDigit = (token) => token !== undefined && !token.escaped && isDigit(token.character);
const text = (tokens) => tokens.map((token) => token.character).join("");

export class Rule {
  constructor(source, target) {
    const tokens = tokenize(source);
    this.constraint = takeConstraint(tokens);
    this.star = tokens.length > 0 && is(tokens.at(-1), "*");
    if (this.star) tokens.pop();
    this.head = tokens.map((token) => {
      if (is(token, "*")) throw new BadRule("`*` must be the last of the source");
      return is(token, "?") ? ANY_DIGIT : literal(token);
    });
    this.literals = this.head.filter((part) => part !== ANY_DIGIT).length;
    this.alternatives = split(tokenize(target)).map((part) => this.#alternative(part));
  }

  /** Best rule first (NUM-13); for `sort`. */
  static order(a, b) {
    return (
      b.head.length - a.head.length ||
      b.literals - a.literals ||
      rank(a.constraint) - rank(b.constraint) ||
      a.star - b.star
    );
  }

  /** The number after this rule, or null if the rule does not match (NUM-14 to NUM-16). */
  apply(number) {
    if (!this.#matches(number)) return null;
    const rest = number.slice(this.head.length).join("");
    const several = this.alternatives.length > 1;
    const chosen = this.alternatives[several ? below(this.alternatives.length) : 0];
    let restWritten = false;
    let result = "";
    if (chosen.range) {
      const { low, high, width } = chosen.range;
      result = String(low + below(high - low + 1n)).padStart(width, "0");
    } else {
      for (const piece of chosen.pieces) {
        if ("literal" in piece) result += piece.literal;
        else if (piece.random) result += below(10);
        else if (piece.rest) {
          restWritten = true;
          result += rest;
        } else result += number[piece.copy] ?? "";
      }
    }
    return restWritten || this.star ? result : result + rest;
  }

  #matches(number) {
    if (number.length < this.head.length) return false;
    const fits = (part, at) => (part === ANY_DIGIT ? isDigit(number[at]) : part === number[at]);
    if (!this.head.every(fits)) return false;
    const rest = number.length - this.head.length;
    const { E, L, G } = this.constraint;
    return (E === undefined || rest === E) && !(rest >= L) && !(rest <= G);
  }

  #alternative(tokens) {
    const range = parseRange(tokens);
    if (range) return { range };
    const stars = tokens.filter((token) => is(token, "*")).length;
    if (stars > 1) throw new BadRule("a target has at most one `*`");
    const restKept = stars === 1 || !this.star;
    let position = 0;
    const pieces = tokens.map((token) => {
      if (is(token, "*")) return { rest: true };
      position += 1;
      if (is(token, "?")) return { random: true };
      if (!is(token, "$")) return { literal: literal(token) };
      if (restKept && position > this.head.length) {
        throw new BadRule(
          `\`$\` at position ${position} is beyond the ${this.head.length} characters of the ` +
            "source while the rest is kept",
        );
      }
      return { copy: position - 1 };
    });
    return { pieces };
  }
}

/** The characters of a rule; an escaped one has no special meaning. */
function tokenize(rule) {
  const tokens = [];
  const characters = [...rule];
  for (let at = 0; at < characters.length; at++) {
    const escaped = characters[at] === "\\";
    if (escaped && ++at === characters.length) {
      throw new BadRule("`\\` at the end escapes nothing");
    }
    tokens.push({ character: characters[at], escaped });
  }
  return tokens;
}

function literal(token) {
  if (!token.escaped && !/[0-9A-Za-z+*#._-]/.test(token.character)) {
    throw new BadRule(
      `\`${token.character}\` is not allowed in a number (0-9 + * # A-Z a-z . _ -)`,
    );
  }
  return token.character;
}

function split(tokens) {
  const parts = [[]];
  for (const token of tokens) {
    if (is(token, ";")) parts.push([]);
    else parts.at(-1).push(token);
  }
  return parts;
}

/** Removes the constraints from the end of a source: bounds by letter (NUM-15). */
function takeConstraint(source) {
  const constraint = {};
  for (;;) {
    const digits = hasDigit(source.at(-1)) ? (constraintLetter(source.at(-2)) ? 1 : 2) : 0;
    const letter = digits && constraintLetter(source.at(-1 - digits));
    if (!letter || !source.slice(-digits).every(hasDigit)) break;
    if (letter in constraint) {
      throw new BadRule(`\`${letter}\` is given twice; write \`\\${letter}\` for the letter`);
    }
    constraint[letter] = Number(text(source.slice(-digits)));
    source.splice(-1 - digits);
  }
  if ("E" in constraint && Object.keys(constraint).length > 1) {
    throw new BadRule("`E` stands alone; write `\\E`, `\\L`, `\\G` for the letters");
  }
  return constraint;
}

const constraintLetter = (token) =>
  token === undefined ? undefined : ["L", "E", "G"].find((letter) => is(token, letter));

/** E first, then L with G, then L or G alone, then no constraint. */
function rank(constraint) {
  return "E" in constraint ? 0 : 3 - Object.keys(constraint).length;
}

/** `a-b`, if the alternative consists only of digits, one `-` and digits. */
function parseRange(tokens) {
  const dash = tokens.findIndex((token) => is(token, "-"));
  if (dash < 0) return null;
  const [low, high] = [tokens.slice(0, dash), tokens.slice(dash + 1)];
  if (!low.length || !high.length || ![...low, ...high].every(hasDigit)) return null;
  const width = low.length;
  const shown = `range \`${text(low)}-${text(high)}\``;
  if (width !== high.length) throw new BadRule(`${shown}: both ends must have the same width`);
  if (width > RANGE_DIGITS) throw new BadRule(`${shown}: at most ${RANGE_DIGITS} digits`);
  const range = { low: BigInt(text(low)), high: BigInt(text(high)), width };
  if (range.low > range.high) {
    throw new BadRule(`range ${text(low)}-${text(high)}: the first is above the second`);
  }
  return range;
}

/** A uniform number below `limit`, of its type; a draw that would favour low ones is repeated. */
function below(limit) {
  const count = BigInt(limit);
  const fair = ALL_BITS - (ALL_BITS % count);
  let bits;
  do bits = next();
  while (bits >= fair);
  const drawn = bits % count;
  return typeof limit === "bigint" ? drawn : Number(drawn);
}
