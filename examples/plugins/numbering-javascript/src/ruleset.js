// A list of rules and the choice among those that match; a cache of parsed lists.

import { text } from "strowger:policy/host-config@0.1.0";
import { BadRule, Rule } from "./rule.js";
import { isSpace, trim } from "./text.js";

/** Most rule sets in memory; one more clears them all, and they are read again when needed. */
const CAPACITY = 4096;

/** By handle: equal handles mean equal texts. */
const kept = new Map();

export class RuleSet {
  constructor(lines) {
    this.rules = lines.split("\n").flatMap(readLine);
    // Sorting is stable: the position in the list decides between equals (NUM-13).
    this.rules.sort(Rule.order);
  }

  /** The number after the one rule that NUM-13 chooses; null if no rule matches. */
  rewrite(number) {
    const characters = [...number];
    for (const rule of this.rules) {
      const result = rule.apply(characters);
      if (result !== null) return result;
    }
    return null;
  }
}

/** The rules of a handle: null for 0; an Error for a text that is not a rule set. */
export function ruleSet(handle) {
  if (handle === 0n) return null;
  let found = kept.get(handle);
  if (found === undefined) {
    if (kept.size >= CAPACITY) kept.clear();
    found = read(handle);
    kept.set(handle, found);
  }
  return found;
}

function read(handle) {
  const lines = text(handle);
  if (lines === undefined || lines === null) return new Error("has no text in this configuration");
  try {
    return new RuleSet(lines);
  } catch (error) {
    if (error instanceof BadRule) return error;
    throw error;
  }
}

/** The rule of the line in an array, or an empty array. */
function readLine(line, index) {
  const rule = trim(withoutNote(line));
  if (rule === "") return [];
  const arrow = rule.indexOf("->");
  if (arrow < 0) {
    throw new BadRule(`line ${index + 1}: \`${rule}\` is no rule; write \`source -> target\``);
  }
  const source = side(rule.slice(0, arrow));
  const target = side(rule.slice(arrow + 2));
  try {
    return [new Rule(source, target)];
  } catch (error) {
    if (!(error instanceof BadRule)) throw error;
    throw new BadRule(`line ${index + 1}: rule \`${source} -> ${target}\`: ${error.message}`);
  }
}

/** Source or target without surrounding white space. */
function side(part) {
  const trimmed = trim(part);
  return trimmed === "(nothing)" ? "" : trimmed;
}

/** A `#` with white space or an end of the line on each side begins a note. */
function withoutNote(line) {
  const space = (at) => at < 0 || at >= line.length || isSpace(line[at]);
  for (let at = line.indexOf("#"); at >= 0; at = line.indexOf("#", at + 1)) {
    if (space(at - 1) && space(at + 1)) return line.slice(0, at);
  }
  return line;
}
