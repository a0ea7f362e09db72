// {{name}}: which numbers are used.

export const numbering = {
  /** Asked when a call arrives and again for each attempt. */
  rewrite(question) {
    return {
      caller: question.caller,
      // Removes the 00 of an international call. Change this line:
      callee: question.callee.replace(/^00(?=.)/, ""),
      identity: question.caller,
      routeAs: "",
      rateAs: "",
      uriParameters: "",
    };
  },
};
