// An evil controller against a real agent with a trust file, by the bytes that it serves and sends:
// packs, manifests and redirects, and messages with addresses, paths and commands in them.

import t from 'tap'
import { contentAttacks } from '../evil/content-attacks.ts'
import { messageAttacks } from '../evil/message-attacks.ts'
import { runAttacks } from '../evil/run-attacks.ts'
import { statementAttacks } from '../evil/statement-attacks.ts'

// Only a ceiling for hangs.
t.setTimeout(300_000)

// The first attack leaves the host with a release that is committed.
const first = statementAttacks.slice(0, 1)

void t.test('whatever an evil controller serves, the host runs what was signed', (t) =>
  runAttacks(t, [...first, ...contentAttacks]),
)

void t.test('whatever a message holds, no address, path or command of it is followed', (t) =>
  runAttacks(t, [...first, ...messageAttacks]),
)
