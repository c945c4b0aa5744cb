// Every event in every phase of the controller's machine has exactly the result that the table says,
// and the table leaves nothing out.

import t from 'tap'
import type { EventType, Step } from '#shared/environment/events.ts'
import { machinePhaseOf, type MachinePhase } from '#shared/environment/state.ts'
import { keysOf, literalsOf } from '../declared-names.ts'
import { table } from './table.ts'
import { fleetIn, variants } from './variants.ts'

const events = keysOf('shared/environment/events.ts', 'EventArgs')
const open = literalsOf('shared/environment/rollout.ts', 'OpenPhase')

void t.test('the table has a cell for every phase and every event', async (t) => {
  t.same(Object.keys(table).toSorted(), ['fenced', 'settled', ...open].toSorted())
  t.equal(events.length, 11)
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
        const variant = variants[event as EventType][name]
        if (variant === undefined) throw new Error('there is no such variant')
        const fleet = fleetIn(phase as MachinePhase, variant.with)
        t.equal(fleet.phase, phase)
        variant.act(fleet)
        t.equal(lineOf(fleet.last, fleet.said), expected)
      })
    }
  }
}

function lineOf({ state, facts, effects }: Step, said: string | null): string {
  const decided = facts.flatMap((f) => (f.type === 'decided' ? [f.decision.kind] : []))
  const told = effects.flatMap((e) =>
    e.type === 'tell' ? [`tell ${e.host}`] : e.type === 'tell-all' ? ['tell-all'] : [],
  )
  const list = (items: readonly string[]) => (items.length === 0 ? '-' : items.join(', '))
  return [machinePhaseOf(state.record), list(decided), list(told), said ?? '-'].join(' | ')
}
