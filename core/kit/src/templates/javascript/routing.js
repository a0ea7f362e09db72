// {{name}}: which vendor trunks are tried, in which order.

export const routing = {
  /** The trunks to try, first to last. */
  select(question) {
    // The cheapest first. Change this line to make a router of your own:
    const order = (a, b) => Number(a.buyPrice - b.buyPrice) || a.trunk - b.trunk;
    return question.candidates.sort(order).map((candidate) => candidate.trunk);
  },

  /** What after an attempt that failed? */
  afterFailure(call, outcome) {
    return { tag: outcome.code === 486 ? "stop" : "next" };
  },
};
