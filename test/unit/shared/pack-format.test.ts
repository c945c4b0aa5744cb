// How the bytes of a tar are cut for the compressor: what comes out must not depend on how they came.

import t from 'tap'
import { evenPieces, packFormat } from '#shared/pack-format.ts'

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

void t.test('however the bytes come, they leave in the same pieces', async (t) => {
  const { pieceBytes } = packFormat
  for (const totalBytes of [0, 1, pieceBytes - 1, pieceBytes, 3 * pieceBytes + 7]) {
    const bytes = Buffer.alloc(totalBytes, 'lockstep')
    for (const sizes of [[512], [1, 70_000, 3], [pieceBytes], [pieceBytes + 1], [totalBytes + 1]]) {
      const pieces = await Array.fromAsync(evenPieces(cut(bytes, sizes)))
      t.ok(Buffer.concat(pieces).equals(bytes), `${totalBytes} bytes by ${sizes.join(', ')}`)
      t.ok(pieces.slice(0, -1).every(({ length }) => length === pieceBytes))
      t.equal(pieces.length, Math.ceil(totalBytes / pieceBytes))
    }
  }
})
