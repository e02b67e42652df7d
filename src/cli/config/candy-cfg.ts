/** Reads the configuration file of the original candy, `candy.cfg`, as if it were one of ours (candy protocol, section 4). */
import { UsageError } from '../usage-error.ts'
import type { ConfigFile } from './config-file.ts'
import type { Values } from './settings.ts'

/** Keys that stand for one of ours, by the program that has that. */
const KEYS: Record<'relay' | 'peer', Readonly<Record<string, string>>> = {
  relay: { websocket: 'listen', password: 'password', dhcp: 'dhcp', sdwan: 'sdwan' },
  peer: { websocket: 'url', password: 'password', tun: 'address', name: 'name', mtu: 'mtu' }
}

/** What each program calls the side that it is. */
const MODES = { relay: 'server', peer: 'client' } as const

/** Keys of the original that are about traffic past the server. */
const DIRECT = ['stun', 'port', 'discovery', 'route', 'localhost']

const KNOWN = ['mode', 'debug', ...Object.keys(KEYS.relay), ...Object.keys(KEYS.peer), ...DIRECT]

const DEFAULT_PORTS: Readonly<Record<string, number>> = { ws: 80, wss: 443 }

/** True for a file in the form of the original: `key = value` where YAML has `key: value`. */
export const isCandyCfg = (text: string): boolean => {
  const first = text.split('\n').find((line) => line.trim() !== '' && !line.trim().startsWith('#'))
  return first !== undefined && /^\s*[a-z]+\s*=/.test(first)
}

/** Throws `UsageError` when it is for the other program. */
export function parseCandyCfg (file: string, text: string, program: 'relay' | 'peer'): ConfigFile {
  const warnings: string[] = []
  const lines = new Map<string, number>()
  const candy: Values = {}
  const values: Values = { candy }
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const at = line.indexOf('=')
    if (line.startsWith('#') || at < 0) continue
    const key = line.slice(0, at).trim()
    const value = valueOf(line.slice(at + 1))
    const where = `${file}:${i + 1}`
    if (key === 'mode' && value !== MODES[program]) throw new UsageError(`${where}: mode: ${value === MODES[other(program)] ? `this is a file for ${other(program)}` : 'unknown'}, expected ${MODES[program]}`)
    if (key === 'debug' && value === 'true') values['log-level'] = 'debug'
    if (!KNOWN.includes(key)) warnings.push(`${where}: unknown key, it is ignored`)
    if (program === 'peer' && DIRECT.includes(key) && value !== '' && value !== '0') warnings.push(`${where}: ${key} is ignored: there is no direct traffic between peers yet`)
    const ours = KEYS[program][key]
    if (ours === undefined || value === '') continue // the original takes an empty value for none
    lines.set(ours, i + 1)
    candy[ours] = ours === 'listen' ? listenedAt(value) : value
  }
  return {
    file,
    values,
    warnings,
    isOriginal: true,
    name (path) {
      const key = path[path.length - 1]
      const theirs = Object.entries(KEYS[program]).find(([, ours]) => ours === key)?.[0] ?? key
      const line = lines.get(key)
      return `${file}${line === undefined ? '' : `:${line}`}: ${theirs}`
    }
  }
}

const other = (program: 'relay' | 'peer'): 'relay' | 'peer' => program === 'relay' ? 'peer' : 'relay'

/** Without blanks and semicolons at its end, and without one pair of quotes around it. */
function valueOf (text: string): string {
  const value = text.trim().replace(/[\s;]+$/, '')
  return /^"(.*)"$/.exec(value)?.[1] ?? value
}

/** The original ignores path, query and fragment of where it listens, and takes 80 or 443 when no port is named. */
function listenedAt (url: string): string {
  const [, scheme, host, port] = /^(wss?):\/\/(\[[^\]]*\]|[^/?#:[\]@]+)(?::(\d*))?(?:[/?#].*)?$/i.exec(url) ?? []
  if (host === undefined) return url
  return `${scheme.toLowerCase()}://${host}:${port === undefined || port === '' ? DEFAULT_PORTS[scheme.toLowerCase()] : port}`
}
