// Every event in every phase of the agent's machine has exactly the result that the table says, and
// the table leaves nothing out.

import t from 'tap'
import type { EventType } from '#shared/activation/events.ts'
import type { HostPhase } from '#shared/report.ts'
import { keysOf, literalsOf } from '../declared-names.ts'
import { table } from './table.ts'
import { hostIn, variants } from './variants.ts'

const events = keysOf('shared/activation/events.ts', 'EventArgs')
const phases = literalsOf('shared/report.ts', 'HostPhase')

void t.test('the table has a cell for every phase and every event', async (t) => {
  t.same(Object.keys(table).toSorted(), phases.toSorted())
  t.equal(phases.length, 8)
  t.equal(events.length, 15)
  for (const [phase, row] of Object.entries(table)) {
    t.same(Object.keys(row).toSorted(), events.toSorted(), phase)
    for (const [event, cell] of Object.entries(row)) {
      t.ok(Object.keys(cell).length > 0, `${phase}, ${event} says nothing`)
    }
  }
})

void t.test('every variant is used', async (t) => {
  for (const [event, known] of Object.entries(variants)) {
    const used = Object.values(table).flatMap((row) => Object.keys(row[event as EventType]))
    t.same(
      Object.keys(known).filter((variant) => !used.includes(variant)),
      [],
      event,
    )
  }
})

for (const [phase, row] of Object.entries(table)) {
  for (const [event, cell] of Object.entries(row)) {
    for (const [name, expected] of Object.entries(cell)) {
      void t.test(`${phase}, ${event}: ${name}`, async (t) => {
        const act = variants[event as EventType][name]
        if (act === undefined) throw new Error('there is no such variant')
        const host = hostIn[phase as HostPhase]()
        t.equal(host.said.phase, phase)
        act(host)
        t.equal(`${host.said.phase} | ${host.does.join(', ') || '-'}`, expected)
      })
    }
  }
}
