// JSON that was written elsewhere: text that may be none.

/** @returns null for what is no JSON: whoever reads it checks its shape anyway */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return null
  }
}
