import { explain } from "strowger:policy/host-fault@0.1.0";

// A rejection is thrown as an object and an error text as a string; an `Error` ends the question.
function told(error) {
  if (error instanceof Error) {
    const ours = (line) => line && !line.includes("entry.js:") && !line.includes("initializer.js:");
    const stack = (error.stack ?? "").split("\n").filter(ours).slice(0, 10);
    explain([`${error.name}: ${error.message}`, ...stack.map((line) => `  ${line}`)].join("\n"));
  }
  return error;
}

const FUNCTIONS = [
  "describe", "configure", "selfTest", "screen", "rewrite", "rate", "select", "afterFailure",
  "present", "supervise", "notify",
];

function guarded(hook) {
  if (hook === undefined) return undefined;
  const guard = (name) => [
    name,
    (...given) => {
      try {
        return hook[name](...given);
      } catch (error) {
        throw told(error);
      }
    },
  ];
  return Object.fromEntries(FUNCTIONS.filter((name) => name in hook).map(guard));
}
