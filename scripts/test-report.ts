// Condenses a TAP stream, line by line. Owns what of it is shown; never decides what passed: the
// counts are those that tap prints at its end.

const counts = /^# \{ total: (\d+)(.*) \}$/
const fileResult = /^(not )?ok \d+ - (.*)$/
const skippedOrTodo = /# (?:SKIP|TODO)/
/** What tap says of itself inside a file, as opposed to what a test says. */
const ownLine =
  /^\s*(?:(?:not )?ok\b|\d+\.\.\d+|TAP version|# (?:Subtest: |time=|No coverage|\{ total)|\}?\s*$)/

export class Report {
  #rest = ''
  /** Lines of the file under way, kept until its result says whether they matter. */
  #lines: string[] = []
  #inDetails = false
  #closing = ''
  readonly #print: (line: string) => void

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  write(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
  }

  /** Prints the closing line. False when tap never told its counts: then nothing is proven. */
  end(): boolean {
    if (this.#rest !== '') this.#line(this.#rest)
    for (const line of this.#lines) this.#print(line)
    if (this.#closing === '') {
      this.#print('the test run ended without counts: it was cut short')
      return false
    }
    this.#print(this.#closing)
    return true
  }

  #line(line: string): void {
    const result = fileResult.exec(line)
    if (result !== null) {
      this.#endFile(line, result[1] !== undefined)
      return
    }
    const total = counts.exec(line)
    if (total !== null) this.#closing = closingLine(Number(total[1]), total[2] ?? '')
    // The details of a failing file follow its result and end with "  ...".
    if (this.#inDetails) {
      this.#inDetails = line !== '  ...'
      this.#print(line)
      return
    }
    this.#lines.push(line)
  }

  #endFile(line: string, failed: boolean): void {
    const kept = failed ? this.#lines : this.#lines.filter(isWorthKeeping)
    for (const text of kept) this.#print(failed ? text : `   ${text.trim()}`)
    this.#print(line)
    this.#lines = []
    this.#inDetails = failed
  }
}

/** Of a passing file: what its tests said, and what they did not do. */
function isWorthKeeping(line: string): boolean {
  return skippedOrTodo.test(line) || !ownLine.test(line)
}

function closingLine(total: number, details: string): string {
  const count = (name: string): number =>
    Number(new RegExp(`\\b${name}: (\\d+)`).exec(details)?.[1] ?? 0)
  const failed = count('fail')
  const skipped = count('skip') + count('todo')
  return `${total - failed - skipped} passed, ${failed} failed, ${skipped} skipped`
}
