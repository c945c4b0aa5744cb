// Answers with stored bytes: strong ETag, single byte ranges, conditional requests (RFC 9110, 13
// and 14). What it serves never changes, so every cache may keep it.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OpenedContent } from '../content/opened-content.ts'

type RangeAsked =
  | { kind: 'whole' }
  | { kind: 'part'; start: number; end: number }
  | { kind: 'unsatisfiable' }

/** Sends the content, a range of it, or that it is unchanged; closes it in the end. */
export async function replyContent(
  request: FastifyRequest,
  reply: FastifyReply,
  content: OpenedContent,
  type: string,
): Promise<FastifyReply> {
  reply.raw.once('close', () => content.close())
  reply
    .header('etag', content.etag)
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'private, max-age=31536000, immutable')
    .type(type)
  if (namesEtag(request.headers['if-none-match'], content.etag)) return reply.code(304).send()
  const asked = rangeOf(request, content)
  if (asked.kind === 'unsatisfiable') {
    return reply.code(416).header('content-range', `bytes */${content.sizeBytes}`).send()
  }
  if (asked.kind === 'part') {
    reply
      .code(206)
      .header('content-range', `bytes ${asked.start}-${asked.end}/${content.sizeBytes}`)
  }
  const length = asked.kind === 'part' ? asked.end - asked.start + 1 : content.sizeBytes
  reply.header('content-length', length)
  if (request.method === 'HEAD' || length === 0) return reply.send('')
  return reply.send(await (asked.kind === 'part' ? content.read(asked) : content.read()))
}

/** A range counts only for the very bytes that it was asked of; several ranges are sent whole. */
function rangeOf(request: FastifyRequest, content: OpenedContent): RangeAsked {
  const ifRange = request.headers['if-range']
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(request.headers.range ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === ''))
    return { kind: 'whole' }
  if (ifRange !== undefined && ifRange !== content.etag) return { kind: 'whole' }
  const size = content.sizeBytes
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start >= size || start > end ? { kind: 'unsatisfiable' } : { kind: 'part', start, end }
}

function namesEtag(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((named) => named.trim() === etag || named.trim() === '*') === true
}
