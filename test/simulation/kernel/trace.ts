// What happened, line by line: a hash to compare two runs by, and the lines themselves when asked.

export class Trace {
  #high = 0xdeadbeef
  #low = 0x41c6ce57
  #lines = 0
  readonly #print: ((line: string) => void) | null

  /** @param print receives every line; null keeps the hash only */
  constructor(print: ((line: string) => void) | null) {
    this.#print = print
  }

  add(atMs: number, line: string): void {
    const text = `${atMs.toFixed(3)} ${line}`
    this.#lines += 1
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i)
      this.#high = Math.imul(this.#high ^ code, 2654435761)
      this.#low = Math.imul(this.#low ^ code, 1597334677)
    }
    this.#print?.(text)
  }

  /** Of all lines so far: equal runs have equal hashes. */
  get hash(): string {
    const hex = (n: number) => (n >>> 0).toString(16).padStart(8, '0')
    return `${hex(this.#high)}${hex(this.#low)}-${this.#lines}`
  }
}
