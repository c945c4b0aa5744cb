// An evil controller against a real agent with a trust file, by what it shows as signed and by what it
// decides: no unsigned byte gets behind `current`, no command of it runs, and nothing outside the
// app's root is touched. Every attack is also tried without what is evil in it, and then has to be
// taken. Bytes and messages are in the long tests.

import t from 'tap'
import { decisionAttacks } from '../evil/decision-attacks.ts'
import { runAttacks } from '../evil/run-attacks.ts'
import { statementAttacks } from '../evil/statement-attacks.ts'

// Only a ceiling for hangs.
t.setTimeout(300_000)

void t.test('whatever an evil controller shows and decides, the host runs what was signed', (t) =>
  runAttacks(t, [...statementAttacks, ...decisionAttacks]),
)
