// Text as in all four languages: a list of Unicode characters, with Unicode's definition of white
// space. `String.trim` would also remove U+FEFF, and would keep U+0085.

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
