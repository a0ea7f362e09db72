// Rewrites numbers by the rules of a trunk: the functions that the host calls.

import { RuleSet, ruleSet } from "./ruleset.js";

const reject = (code, reason, detail) => ({ code, reason, detail });

/** NUM-03: 1 to 64 characters, `+` only in first place. */
const isNumber = (text) =>
  text.length <= 64 && /^[0-9A-Za-z*#._+-][0-9A-Za-z*#._-]*$/.test(text);

function findRules(handle) {
  const rules = ruleSet(handle);
  if (rules instanceof Error) {
    const name = handle.toString(16).padStart(16, "0");
    throw reject(500, "internal_error", `rule set ${name} ${rules.message}`);
  }
  return rules;
}

function rewriteCallee(question) {
  const number = question.callee;
  const rules = findRules(question.calleeRules);
  const rewritten = rules?.rewrite(number) ?? null;
  if (rewritten === null && rules && question.rejectUnmatched) {
    throw reject(484, "number_invalid", `no rule matches callee \`${number}\``);
  }
  const callee = rewritten ?? number;
  if (callee === "") {
    throw reject(484, "number_invalid", `callee \`${number}\` is empty after its rewrite`);
  }
  if (!isNumber(callee)) {
    throw reject(
      484,
      "number_invalid",
      `callee \`${callee}\`, rewritten from \`${number}\`, is not a number`,
    );
  }
  return callee;
}

/** A caller that is not a number is dropped (NUM-03). */
function rewriteCaller(handle, number) {
  const caller = findRules(handle)?.rewrite(number) ?? number;
  return isNumber(caller) ? caller : "";
}

/** Called by the host. Random draws happen in this order: callee, caller, identity. */
export const numbering = {
  rewrite(question) {
    const callee = rewriteCallee(question);
    const caller = rewriteCaller(question.callerRules, question.caller);
    const numbers = { caller, callee, identity: "", routeAs: "", rateAs: "", uriParameters: "" };
    if (question.stage === "egress") {
      numbers.identity = rewriteCaller(question.identityRules, caller);
      numbers.callee = question.techPrefix + callee;
    }
    return numbers;
  },
};

/** Rules, number and result; a null result means that the rules must be refused. */
const EXAMPLES = [
  ["025 -> 010", "02584316146", "01084316146"],
  ["* -> 025*\n01 -> 00", "0112345678", "0012345678"],
  ["???? -> $$9$", "12345678", "12945678"],
  ["44E10 -> 0\n44 -> 00", "44123456789", "00123456789"],
  ["\\*99 ->", "*99880171", "880171"],
  ["120* -> 5000-4000", "", null],
  ["01 -> $$$", "", null],
];

function outcome(rules, number) {
  try {
    return new RuleSet(rules).rewrite(number);
  } catch {
    return null;
  }
}

export const lifecycle = {
  describe() {
    return {
      name: "numbering",
      version: "1.0.0",
      summary: "Rewrites numbers by pattern rules, longest match, one rule; in JavaScript.",
      configSchema: '{"type":"object","unevaluatedProperties":false}',
    };
  },

  configure(config) {
    const [field] = Object.keys(JSON.parse(config));
    if (field !== undefined) {
      throw `field \`${field}\`: unknown field \`${field}\`, there are no fields`;
    }
  },

  selfTest() {
    for (const [rules, number, expected] of EXAMPLES) {
      if (outcome(rules, number) !== expected) throw rules;
    }
    return EXAMPLES.length;
  },
};
