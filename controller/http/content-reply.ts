// Answers with stored bytes: strong ETag, single byte ranges, conditional requests (RFC 9110, 13
// and 14). What it serves never changes, so every cache may keep it.

import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LockstepError } from '#shared/errors.ts'
import type { OpenedContent } from '../content/opened-content.ts'

type RangeAsked =
  | { kind: 'whole' }
  | { kind: 'part'; start: number; end: number }
  | { kind: 'unsatisfiable' }

/**
 * Sends the content, a range of it, or that it is unchanged; closes it in the end.
 * @throws LockstepError `bad-range`, `disk-error`.
 */
export async function replyContent(
  request: FastifyRequest,
  reply: FastifyReply,
  content: OpenedContent,
  type: string,
): Promise<FastifyReply> {
  // Making it ready may take so long that whoever asked has gone.
  if (reply.raw.destroyed) {
    content.close()
    return reply.hijack()
  }
  reply.raw.once('close', () => content.close())
  const { etag, sizeBytes } = content
  if (namesEtag(request.headers['if-none-match'], etag)) {
    return reply.code(304).headers(kept(etag)).send()
  }
  const asked = rangeOf(request, content)
  if (asked.kind === 'unsatisfiable') {
    reply.header('content-range', `bytes */${sizeBytes}`)
    throw new LockstepError('bad-range', `the range lies behind the end, at byte ${sizeBytes}`, {
      hint: 'Ask for the whole; the content of an address never changes.',
    })
  }
  const length = asked.kind === 'part' ? asked.end - asked.start + 1 : sizeBytes
  // Before any header, so that a failure is not taken for the content, nor kept as it.
  const body = await bodyOf(request, content, asked)
  if (asked.kind === 'part') {
    reply.code(206).header('content-range', `bytes ${asked.start}-${asked.end}/${sizeBytes}`)
  }
  return reply
    .headers({ ...kept(etag), 'accept-ranges': 'bytes', 'content-length': length })
    .type(type)
    .send(body)
}

async function bodyOf(
  request: FastifyRequest,
  content: OpenedContent,
  asked: RangeAsked,
): Promise<Readable> {
  // An empty stream and no empty text: of a text the framework would send its own length.
  if (request.method === 'HEAD' || content.sizeBytes === 0) return Readable.from([])
  return asked.kind === 'part' ? content.read(asked) : content.read()
}

function kept(etag: string): Record<string, string> {
  return { etag, 'cache-control': 'private, max-age=31536000, immutable' }
}

/** A range counts only for the very bytes that it was asked of; several ranges are sent whole. */
function rangeOf(request: FastifyRequest, content: OpenedContent): RangeAsked {
  const ifRange = request.headers['if-range']
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(request.headers.range ?? '') ?? []
  // RFC 9110, 14.2: a range is of GET alone.
  if (request.method !== 'GET') return { kind: 'whole' }
  if (first === undefined || last === undefined || (first === '' && last === ''))
    return { kind: 'whole' }
  if (ifRange !== undefined && ifRange !== content.etag) return { kind: 'whole' }
  // RFC 9110, 14.1.1: a range that ends before it begins says nothing.
  if (first !== '' && last !== '' && Number(last) < Number(first)) return { kind: 'whole' }
  const size = content.sizeBytes
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start >= size ? { kind: 'unsatisfiable' } : { kind: 'part', start, end }
}

/** Compared weakly (RFC 9110, 13.1.2): a proxy that compresses says `W/` before ours. */
function namesEtag(header: string | undefined, etag: string): boolean {
  const named = header?.split(',').map((one) => one.trim().replace(/^W\//, '')) ?? []
  return named.includes(etag) || named.includes('*')
}
