// {{name}}: which vendor trunks are tried, in which order.

export const routing = {
  /** The trunks to try, first to last. */
  select(question) {
    // The cheapest first. Change this line to make your own router:
    const order = (a, b) => Number(a.buyPrice - b.buyPrice) || a.trunk - b.trunk;
    return question.candidates.sort(order).map((candidate) => candidate.trunk);
  },

  /** What happens after a failed attempt? */
  afterFailure(call, outcome) {
    return { tag: outcome.code === 486 ? "stop" : "next" };
  },
};
