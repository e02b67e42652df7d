/** What `relay rustdesk join` does. */
import { loadNacl } from '../../crypto/nacl/index.ts'
import { keyText, pairOfText, readKeyFiles } from '../../nodes/rustdesk/keys/index.ts'
import { isSecretText } from '../../nodes/rustdesk/keys/key-text.ts'
import { relayEndpoint } from '../../nodes/rustdesk/rendezvous/relay-servers.ts'
import { quoted } from '../../text/phrases.ts'
import type { Flags } from '../config/settings.ts'
import { taskSettings } from '../config/task-settings.ts'
import { UsageError } from '../usage-error.ts'
import { joinOptions } from './join-options.ts'
import { importText, joinText, programName } from './join-text.ts'

/** @throws {UsageError} for a wrong host; an error with a code when there is no key, or it cannot be read */
export async function runJoin (host: string, flags: Flags): Promise<void> {
  const { data, key = '-', relay = [], json } = taskSettings(flags, joinOptions)
  if (relayEndpoint(host) === undefined) throw new UsageError(`not a server (${quoted(host)}), expected a name or an address, with a port or without`)
  if (relay.length > 1) throw new UsageError(`--relay: not one relay (${quoted(relay.join(','))}), expected a host, with a port or without`)
  const server = { host, relay: relay[0] ?? '', key: await keyOfClients(key, data) }
  process.stdout.write(json ? `${JSON.stringify({ ...server, import: importText(server), program: programName(server) ?? null })}\n` : joinText(server))
}

/** By an empty key clients need none, and encrypt their sessions by that of the files all the same. */
async function keyOfClients (key: string, folder: string): Promise<string> {
  const nacl = await loadNacl()
  if (isSecretText(key)) return keyText(pairOfText(nacl, key, 'the option key', 'ERR_RUSTDESK_KEY').publicKey)
  if (key !== '' && key !== '-' && key !== '_') return key
  const files = await readKeyFiles(nacl, folder)
  if (files === undefined) throw Object.assign(new Error(`there is no key in ${folder}: relay rustdesk makes one when it starts there`), { code: 'ENOENT' })
  return files.publicText
}
