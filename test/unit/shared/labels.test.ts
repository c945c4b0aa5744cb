// Choosing among hosts by their labels.

import t from 'tap'
import { hasLabels, labelsText, parseSelector } from '#shared/labels.ts'

void t.test('a host is chosen that has every label that is wanted', async (t) => {
  const labels = { role: 'web', zone: 'a' }
  const chosen = (text: string) => hasLabels(labels, parseSelector(text))
  t.ok(chosen('role=web'))
  t.ok(chosen('zone=a,role=web'))
  t.notOk(chosen('role=web,zone=b'))
  t.notOk(chosen('role=we'))
  t.notOk(chosen('rack=1'))
  t.notOk(hasLabels({}, parseSelector('role=web')))
  t.equal(labelsText({ zone: 'a', role: 'web' }), 'role=web, zone=a')
  t.equal(labelsText({}), '')
})

void t.test('what is no choice is refused by name', async (t) => {
  for (const text of ['', 'role', 'role=', '=web', 'role=web,', 'Role=web', 'role=a b', 'a==b']) {
    t.throws(() => parseSelector(text), { code: 'bad-name' }, text)
  }
  t.throws(() => parseSelector('role=web,role=db'), { message: /two values of role/ })
})
