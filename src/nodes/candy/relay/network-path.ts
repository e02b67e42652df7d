/** Paths of URLs that select a network. */

const MAX_PATH = 256

/**
 * Normalises the path of a request for the lookup of a network: without query and trailing `/`, percent-decoded. Clients of candy send
 * the path decoded, others encoded.
 *
 * @returns undefined when it cannot be the path of a network: too long, or with characters other than letters, digits and `. _ ~ @ -`
 */
export function normalPath (url: string): string | undefined {
  const [raw] = url.split('?', 1)
  if (raw.length > MAX_PATH) return undefined
  const path = decoded(raw)?.replace(/\/+$/, '')
  if (path === '') return '/'
  return path !== undefined && /^(\/[\w.~@-]+)+$/.test(path) ? path : undefined
}

function decoded (text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
