/** The filter for fail2ban. */
import { readFileSync } from 'node:fs'

const FILTER = new URL('../../../packaging/fail2ban/tunpipe-rustdesk.conf', import.meta.url)

/** What fail2ban puts in place of these tags: an address; one that may have the length of a network. */
const TAGS = { '<HOST>': '(?<host>[\\d.]+|[\\da-f:]+)', '<SUBNET>': '(?<host>(?:[\\d.]+|[\\da-f:]+)(?:/\\d+)?)' } as const

/** The expression of the filter, as fail2ban reads it. */
export function failregex (): RegExp {
  const [, text] = /^failregex = (.*)$/m.exec(readFileSync(FILTER, 'utf8')) as RegExpExecArray
  return new RegExp(text.replace(/<HOST>|<SUBNET>/, (tag) => TAGS[tag as keyof typeof TAGS]))
}
