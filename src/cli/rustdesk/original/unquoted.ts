/** What a backslash and a letter stand for; before other characters it stands for nothing. */
const ESCAPES: Readonly<Record<string, string>> = { 0: '\0', a: '\x07', b: '\b', t: '\t', r: '\r', n: '\n' }

/** A value of an INI file without the quotes around it, and with its escapes resolved. */
export function unquoted (value: string): string {
  const inside = /^(["'])(.*)\1$/.exec(value)?.[2] ?? value
  return inside.replaceAll(/\\(.)/g, (_, character: string) => ESCAPES[character] ?? character)
}
