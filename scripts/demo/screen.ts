// What the demo prints: numbered steps, the commands that a person would type, and their output.

import { styleText } from 'node:util'

const { stdout } = process

export class Screen {
  #steps = 0

  step(title: string): void {
    this.#steps += 1
    this.line()
    this.line(styleText('bold', `${this.#steps}. ${title}`, { stream: stdout }))
  }

  command(text: string): void {
    this.line(styleText('dim', `   $ ${text}`, { stream: stdout }))
  }

  /** What a command or a step says. */
  say(text: string): void {
    for (const line of text.replace(/\n$/, '').split('\n')) this.line(line && `   ${line}`)
  }

  line(text = ''): void {
    stdout.write(`${text}\n`)
  }
}
