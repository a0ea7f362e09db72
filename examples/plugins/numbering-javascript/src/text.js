// Text as all four languages see it: a list of Unicode characters, and Unicode's own idea
// of white space. `String.trim` would also take U+FEFF and leave U+0085.

const SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const AROUND = new RegExp(`^${SPACE.source}+|${SPACE.source}+$`, "g");

export function isSpace(character) {
  return SPACE.test(character);
}

export function trim(text) {
  return text.replace(AROUND, "");
}

export function isDigit(character) {
  return character >= "0" && character <= "9";
}
