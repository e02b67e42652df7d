/** What passes of headers between a browser and code-server of another client: the page shares its host with other pages (natpass protocol, section 4.2). */
import type { Headers } from '../code/headers.ts'

/** The cookie that says which link a request belongs to. */
export const LINK_COOKIE = '__NATPASS_CONNECTION_ID__'

/** Cookies of pages of this machine; browsers send them to all ports of a host, and a cookie without a name as if its value was all of it. */
const OWN_COOKIE = /^[\s=]*(?:__NATPASS_CONNECTION_ID__|natpass-\d+)\s*=/

/** Of other connections than the one to the page, or about all of its host. */
const NOT_ANSWERED = ['strict-transport-security', 'clear-site-data', 'alt-svc', 'public-key-pins']

/** Headers of a request as the other end gets them. */
export function requestHeaders ({ host, cookie, expect: _expect, ...headers }: Headers): Headers {
  const cookies = (cookie ?? []).flatMap((value) => value.split(';')).filter((pair) => !OWN_COOKIE.test(pair)).map((pair) => pair.trim())
  for (const name of Object.keys(headers)) if (name === 'forwarded' || name.startsWith('x-forwarded-')) delete headers[name]
  return { ...headers, ...cookies.length === 0 ? {} : { cookie: [cookies.join('; ')] }, ...host === undefined ? {} : { 'x-forwarded-host': [host[0]] } }
}

/** The id of a link in the header `Cookie`. */
export function linkOfCookies (header = ''): string | undefined {
  for (const pair of header.split(';')) {
    const [name, value = ''] = pair.split('=')
    if (name.trim() === LINK_COOKIE) return value.trim()
  }
  return undefined
}

/**
 * Headers of an answer as the browser gets them: what they say of paths is below the prefix, and cookies are too.
 *
 * @param prefix - `/forward/NAME`
 */
export function answerHeaders (headers: Headers, prefix: string): Headers {
  const { 'set-cookie': cookies, ...passed } = headers
  for (const name of NOT_ANSWERED) delete passed[name]
  if (passed['service-worker-allowed'] !== undefined) passed['service-worker-allowed'] = [`${prefix}/`] // all that is there: another scope could be that of the page around it
  for (const name of ['location', 'content-location']) {
    if (passed[name] !== undefined) passed[name] = passed[name].slice(0, 1).map((value) => below(value, prefix))
  }
  const own = cookies?.filter((cookie) => !OWN_COOKIE.test(cookie)).map((cookie) => cookieBelow(cookie, prefix)) ?? []
  return own.length === 0 ? passed : { ...passed, 'set-cookie': own }
}

/** A path of code-server, also with the host that it believes to have, is one below the prefix. */
function below (location: string, prefix: string): string {
  const path = location.replace(/^https?:\/\/unix(?=[/?#]|$)/i, '')
  return path.startsWith('/') && !path.startsWith('//') ? prefix + path : path === '' ? `${prefix}/` : path
}

function cookieBelow (cookie: string, prefix: string): string {
  const [pair, ...attributes] = cookie.split(';').map((part) => part.trim())
  const path = /^path\s*=\s*(\/.*)$/i.exec(attributes.find((attribute) => /^path\s*=/i.test(attribute)) ?? '')?.[1] ?? '/'
  const kept = attributes.filter((attribute) => attribute !== '' && !/^(?:path|domain)\s*(?:=|$)/i.test(attribute))
  return [pair, ...kept, `Path=${prefix}${path}`].join('; ')
}
