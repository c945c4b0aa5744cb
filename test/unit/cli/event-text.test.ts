// Server-sent events, whole or in pieces, as the HTML standard reads them.

import t from 'tap'
import { controllerEvent } from '#cli/client/controller-event.ts'
import { EventText } from '#cli/client/event-text.ts'

const stream =
  'retry: 1000\n\n: still here\n\nid: 7\nevent: fact\ndata: {"a":\ndata: 1}\n\n' +
  'data\n\nevent: change\r\ndata:x\r\n\r\n' +
  'event: lost\n\nid: 8\ndata: end\n\ndata: never finished\n'

const events = [
  { type: 'fact', id: '7', data: '{"a":\n1}' },
  { type: 'message', id: '7', data: '' },
  { type: 'change', id: '7', data: 'x' },
  { type: 'message', id: '8', data: 'end' },
]

void t.test('a stream in one piece', async (t) => {
  t.same(new EventText(1000).push(stream), events)
})

void t.test('the same stream cut anywhere', async (t) => {
  for (let at = 0; at <= stream.length; at += 1) {
    const text = new EventText(1000)
    const found = [...text.push(stream.slice(0, at)), ...text.push(stream.slice(at))]
    t.same(found, events, `cut at ${at}`)
  }
  const text = new EventText(1000)
  t.same(
    Array.from(stream).flatMap((character) => text.push(character)),
    events,
    'character by character',
  )
})

void t.test('an event that does not end is refused', async (t) => {
  const endless = new EventText(100)
  t.throws(() => endless.push('x'.repeat(101)), { code: 'too-large' })
  const lines = new EventText(100)
  t.throws(() => lines.push('data: 0123456789\n'.repeat(20)), { code: 'too-large' })
})

void t.test('events of the controller are checked', async (t) => {
  const at = (type: string, data: string) => controllerEvent({ type, id: '', data })
  t.same(at('change', '{"app":"shop","environment":"production","rollout":null}'), {
    type: 'change',
    app: 'shop',
    environment: 'production',
    rollout: null,
  })
  const fact = {
    id: 1,
    at: 5,
    app: 'shop',
    environment: 'p',
    type: 'decided',
    rollout: null,
    host: null,
    text: 'x',
  }
  t.same(at('fact', JSON.stringify(fact)), { type: 'fact', fact })
  t.equal(at('news', 'anything'), undefined, 'what a newer controller sends beside')
  t.throws(() => at('change', '{"app":"../x","environment":"p"}'), { code: 'bad-answer' })
  t.throws(() => at('fact', '{'), { code: 'bad-answer' })
})
