// One request to a FastCGI application, as a web server makes it: a small client of our own, for the
// one script that the agent has run. FastCGI Specification 1.0, sections 3 and 5; responders only.

import { connect, type Socket } from 'node:net'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export type FastCgiAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number }

export type FastCgiAnswer =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly body: string
      /** What the application wrote for the web server's log. */
      readonly log: string
    }
  | { readonly kind: 'failed'; readonly reason: string }

/** FCGI_BEGIN_REQUEST, FCGI_PARAMS and so on: section 8. */
const types = { begin: 1, end: 3, parameters: 4, input: 5, output: 6, errors: 7 } as const
const requestId = 1
const responderRole = 1
const headerBytes = 8
const contentBytesMax = 65_535

/** Never rejects. @param parameters the variables of CGI/1.1, RFC 3875 */
export async function askFastCgi(
  address: FastCgiAddress,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<FastCgiAnswer> {
  if (signal.aborted) return { kind: 'failed', reason: 'it was given up' }
  const socket = connect(address)
  const stop = (): void => void socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    socket.write(requestOf(parameters))
    return await answerOf(socket)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return { kind: 'failed', reason: signal.aborted ? 'it did not answer in time' : code }
  } finally {
    signal.removeEventListener('abort', stop)
    socket.destroy()
  }
}

export function requestOf(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => {
    const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)]
    return [lengthOf(nameBytes), lengthOf(valueBytes), nameBytes, valueBytes]
  })
  return Buffer.concat([
    recordOf(types.begin, Buffer.from([0, responderRole, 0, 0, 0, 0, 0, 0])),
    recordOf(types.parameters, Buffer.concat(pairs)),
    recordOf(types.parameters, Buffer.alloc(0)),
    recordOf(types.input, Buffer.alloc(0)),
  ])
}

function recordOf(type: number, content: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt8(1, 0)
  header.writeUInt8(type, 1)
  header.writeUInt16BE(requestId, 2)
  header.writeUInt16BE(Math.min(content.length, contentBytesMax), 4)
  return Buffer.concat([header, content.subarray(0, contentBytesMax)])
}

/** One byte up to 127, else four with the highest bit set: section 3.4. */
function lengthOf({ length }: Buffer): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length + 0x8000_0000)
  return bytes
}

async function answerOf(socket: Socket): Promise<FastCgiAnswer> {
  let received: Buffer = Buffer.alloc(0)
  let output = Buffer.alloc(0)
  let log = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk])
    for (let next = recordIn(received); next !== null; next = recordIn(received)) {
      received = received.subarray(next.bytes)
      if (next.type === types.output) output = Buffer.concat([output, next.content])
      if (next.type === types.errors) log = Buffer.concat([log, next.content])
      if (next.type === types.end) return parsed(output.toString('utf8'), log.toString('utf8'))
    }
    if (output.length + log.length + received.length > limits.fastCgiAnswerBytesMax) {
      return { kind: 'failed', reason: 'it answered with too much' }
    }
  }
  return { kind: 'failed', reason: 'it closed the connection without an answer' }
}

/** The record that the bytes begin with, when all of it is there. */
function recordIn(bytes: Buffer): { type: number; content: Buffer; bytes: number } | null {
  if (bytes.length < headerBytes) return null
  const contentBytes = bytes.readUInt16BE(4)
  const end = headerBytes + contentBytes + bytes.readUInt8(6)
  if (bytes.length < end) return null
  const content = bytes.subarray(headerBytes, headerBytes + contentBytes)
  return { type: bytes.readUInt8(1), content, bytes: end }
}

/** CGI headers, an empty line, the body; without `Status` it is 200: RFC 3875, section 6. */
function parsed(output: string, log: string): FastCgiAnswer {
  const end = /\r?\n\r?\n/.exec(output)
  if (end === null) return { kind: 'failed', reason: 'it answered with what is no CGI answer' }
  const [, status] = /^status:\s*([0-9]{3})/im.exec(output.slice(0, end.index)) ?? []
  const body = output.slice(end.index + end[0].length)
  return { kind: 'answered', status: Number(status ?? 200), body, log: log.trim() }
}
