// Lists that come in pages, read whole.

/** All of a list: what it leaves out would be taken for what does not exist. */
export async function everyPage<T>(
  read: (after: string | undefined) => Promise<{ items: T[]; next: string | null }>,
): Promise<T[]> {
  const items: T[] = []
  let after: string | undefined
  for (;;) {
    const page = await read(after)
    items.push(...page.items)
    if (page.next === null || page.next === after) return items
    after = page.next
  }
}
