// {{name}}: what does a call cost? Money is a whole number of 10^-10 of the currency unit.

export const rating = {
  /** Asked at admission for the first increment, at the end for each side. */
  rate(who, row, rounding, durationMs) {
    if (durationMs === 0n) return { amount: 0n, billedSeconds: 0 };
    const seconds = (durationMs + 999n) / 1000n;
    // Billed by the second; prices are per minute. Change this line:
    const amount = row.connectFee + (row.priceNext * seconds + 59n) / 60n;
    return { amount, billedSeconds: Number(seconds) };
  },
};
