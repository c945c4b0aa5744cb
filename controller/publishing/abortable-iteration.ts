// Ends an iteration when a signal is aborted, even when what it waits for never comes.

/** @throws the signal's reason once it is aborted. */
export async function* abortable<Item>(
  items: AsyncIterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const result = await orAborted(iterator.next(), signal)
      if (result.done === true) return
      yield result.value
    }
  } finally {
    const returned = iterator.return?.() ?? Promise.resolve()
    // Below an aborted wait the iterator may be stuck for good; its end is of no interest.
    if (signal.aborted) returned.catch(() => {})
    else await returned
  }
}

function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      const reason: unknown = signal.reason
      reject(reason instanceof Error ? reason : new Error(String(reason)))
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject)
  })
}
