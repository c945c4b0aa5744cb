// Reads a source file just far enough for the tidy rules: which characters are code, which are
// comment and which are text in quotes, and what the file imports. It is no parser: it knows
// quotes, templates, comments and regular expressions, nothing of the grammar.

export interface Import {
  readonly specifier: string
  readonly line: number
  /** `await import(…)` as opposed to an import or export statement. */
  readonly isDynamic: boolean
}

export interface SourceText {
  /** Relative to the project, with "/" between its parts. */
  readonly path: string
  readonly lines: readonly string[]
  /** Lines with comments and the inside of quotes, templates and regular expressions blanked. */
  readonly code: readonly string[]
  /** Lines with everything but comments blanked. */
  readonly comments: readonly string[]
  readonly imports: readonly Import[]
}

type Kind = 'code' | 'comment' | 'quoted'

export function readSource(path: string, text: string): SourceText {
  const kinds = classify(text)
  const only = (kind: Kind): string =>
    Array.from(kinds, (k, at) => (k === kind || text[at] === '\n' ? text[at] : ' ')).join('')
  const code = only('code')
  return {
    path,
    lines: text.split('\n'),
    code: code.split('\n'),
    comments: only('comment').split('\n'),
    imports: findImports(text, code),
  }
}

/** Quotes count as code and what is between them does not, so an import is `from '   '` in code. */
function findImports(text: string, code: string): Import[] {
  const found: Import[] = []
  for (const match of code.matchAll(/\b(?:from\s*|import\s*(\(?)\s*)(['"])( *)\2/g)) {
    const end = match.index + match[0].length - 1
    found.push({
      specifier: text.slice(end - (match[3] ?? '').length, end),
      line: text.slice(0, end).split('\n').length,
      isDynamic: match[1] === '(',
    })
  }
  return found
}

/** The kind of each UTF-16 unit of `text`. */
function classify(text: string): Kind[] {
  const kinds: Kind[] = Array.from({ length: text.length }, () => 'code')
  // Depth of braces at which each open template's `${` is closed by its `}`.
  const templates: number[] = []
  let depth = 0
  let at = 0
  const skipTo = (end: number, kind: Kind): void => {
    kinds.fill(kind, at, end)
    at = end
  }
  while (at < text.length) {
    const two = text.slice(at, at + 2)
    const one = text[at]
    if (two === '//') skipTo(indexOrEnd(text, '\n', at), 'comment')
    else if (two === '/*') skipTo(indexOrEnd(text, '*/', at + 2) + 2, 'comment')
    else if (one === "'" || one === '"') {
      at += 1
      skipTo(endOfQuoted(text, at, one), 'quoted')
      at += 1
    } else if (one === '`' || (one === '}' && templates.at(-1) === depth)) {
      if (one === '}') templates.pop()
      at += 1
      skipTo(endOfTemplatePart(text, at), 'quoted')
      if (text[at] === '`') at += 1
      else {
        templates.push(depth)
        at += 2
      }
    } else if (one === '/' && startsRegularExpression(text, at)) {
      at += 1
      skipTo(endOfRegularExpression(text, at), 'quoted')
      at += 1
    } else {
      if (one === '{') depth += 1
      if (one === '}') depth -= 1
      at += 1
    }
  }
  return kinds.slice(0, text.length)
}

function indexOrEnd(text: string, sought: string, from: number): number {
  const at = text.indexOf(sought, from)
  return at === -1 ? text.length : at
}

function endOfQuoted(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote && text[at] !== '\n')
    at += text[at] === '\\' ? 2 : 1
  return at
}

function endOfTemplatePart(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '`' && text.slice(at, at + 2) !== '${') {
    at += text[at] === '\\' ? 2 : 1
  }
  return at
}

/** A slash begins a regular expression where a value may begin, else it divides. */
function startsRegularExpression(text: string, at: number): boolean {
  const before = text.slice(0, at).trimEnd()
  return /(?:^|[(,=:[!&|?{};<>+*%~^-]|\b(?:return|case|typeof|await|of|in))$/.test(before)
}

function endOfRegularExpression(text: string, from: number): number {
  let at = from
  let inClass = false
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return at
}
