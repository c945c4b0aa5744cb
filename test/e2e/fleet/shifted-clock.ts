// Preloaded into a daemon (node --import): its clock is ahead by LOCKSTEP_E2E_AHEAD_MS, as if the
// process had been away that much longer.

const aheadMs = Number(process.env['LOCKSTEP_E2E_AHEAD_MS'])
const now = performance.now.bind(performance)
performance.now = () => now() + aheadMs
