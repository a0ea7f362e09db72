// {{name}}: may this call, which is up, continue?

// Longest call in seconds. Change this line:
const LONGEST_S = 3600;

export const supervision = {
  /** Asked when the call is answered, and again at the time that this answer requests. */
  supervise(question) {
    const left = LONGEST_S - question.answeredS;
    if (left > 0) return { course: { tag: "go-on" }, marks: [], askAgainS: left };
    const detail = `up for ${question.answeredS} s`;
    const ending = { reason: "too_long", cause: 31, code: 0, detail };
    return { course: { tag: "end", val: ending }, marks: ["long"], askAgainS: 0 };
  },
};
