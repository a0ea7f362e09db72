// {{name}}: may this call proceed?

// Numbers that nobody may call. Change this line:
const BARRED = ["4490", "4987"];

export const screening = {
  screen(question) {
    if (!BARRED.some((prefix) => question.callee.startsWith(prefix))) return { tag: "allow" };
    const detail = `nobody may call ${question.callee}`;
    return { tag: "reject", val: { code: 403, reason: "destination_barred", detail } };
  },
};
