/**
 * Writes the tables of options in the documentation, between `<!-- options: relay candy -->` and `<!-- end of options -->`:
 * `npm run docs`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../src/cli/protocols.ts'
import { optionsTable } from '../src/cli/config/options-table.ts'
import type { Options } from '../src/nodes/common/options/option.ts'
import { relayOptions as natpassRelay } from '../src/nodes/natpass/relay/options.ts'
import { peerOptions as natpassPeer } from '../src/nodes/natpass/peer/options.ts'

const tables: Readonly<Record<string, Options>> = {
  ...Object.fromEntries(RELAY_PROTOCOLS.map(({ name, options }) => [`relay ${name}`, options])),
  ...Object.fromEntries(PEER_PROTOCOLS.map(({ name, options }) => [`peer ${name}`, options])),
  'relay natpass': natpassRelay,
  'peer natpass': natpassPeer
}

const DOCUMENTS = ['candy', 'gotunnel', 'natpass', 'rustdesk', 'showchain']

/** A document with its tables as they are now. */
export function withTables (text: string): string {
  return text.replaceAll(/(<!-- options: ((?:relay|peer) \w+) -->\n).*?(<!-- end of options -->)/gs, (_, begin, title: string, end) => {
    const options = tables[title]
    if (options === undefined) throw new Error(`no such options: ${title}`)
    return `${begin}${optionsTable(title.split(' ')[1], options)}\n${end}`
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of DOCUMENTS) {
    const file = fileURLToPath(new URL(`../docs/${name}.md`, import.meta.url))
    writeFileSync(file, withTables(readFileSync(file, 'utf8')))
  }
}
