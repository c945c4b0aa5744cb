// The host's labels as its own configuration gives them: names and values to choose hosts by.

import { patterns } from '#shared/ids.ts'
import type { Labels } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import { type MistakeList, shownValue, type Table } from './config-mistakes.ts'

const labelsMax = limits.labelsPerHostMax
const namePattern = new RegExp(patterns.labelName)
const valuePattern = new RegExp(patterns.labelValue)
const example = 'names with values, such as { role = "web", zone = "a" }'

export function labelsOf(table: Table, mistakes: MistakeList): Labels {
  if (!Object.hasOwn(table, 'labels')) return {}
  const labels = mistakes.table(table, 'labels', '', example)
  if (labels === undefined) return {}
  const names = Object.keys(labels)
  if (names.length > labelsMax)
    mistakes.add('labels', `are ${names.length}`, `at most ${labelsMax}`)
  const pairs = names.map((name) => {
    const key = `labels.${name}`
    if (!namePattern.test(name)) mistakes.add(key, 'is no name of a label', example)
    const value = mistakes.text(labels, name, 'labels', example)
    if (value !== undefined && !valuePattern.test(value)) {
      mistakes.add(key, `is ${shownValue(value)}, no value of a label`, example)
    }
    return [name, value ?? '']
  })
  return Object.fromEntries(pairs)
}
