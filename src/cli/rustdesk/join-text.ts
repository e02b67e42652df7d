/** What a RustDesk client needs of its server, in the forms that it takes. */

/** Fields of the settings of a client. */
export interface ClientServer {
  /** With a port where it is not the usual one. */
  readonly host: string
  /** Empty: the client finds it by the host. */
  readonly relay: string
  /** Empty: the server asks for none, and sessions are not encrypted with keys that it has signed. */
  readonly key: string
}

/** The text that clients import, and take behind `--config`: JSON in base64 of URLs without padding, from its end to its beginning. */
export function importText ({ host, relay, key }: ClientServer): string {
  return Array.from(Buffer.from(JSON.stringify({ host, relay, api: '', key })).toString('base64url')).reverse().join('')
}

/** Characters that file names of Windows cannot have, and the comma, which ends a field of the name. */
const UNFIT = /[<>:"/\\|?*,]/

/** The name of the program for Windows by which it finds its server. Undefined where a field does not fit into one. */
export function programName ({ host, relay, key }: ClientServer): string | undefined {
  const fields = [['host', host], ['key', key], ['relay', relay]].filter(([, value]) => value !== '')
  return fields.some(([, value]) => UNFIT.test(value)) ? undefined : `rustdesk-${fields.map(([name, value]) => `${name}=${value}`).join(',')},.exe`
}

export function joinText (server: ClientServer): string {
  const { host, relay, key } = server
  const name = programName(server)
  const byName = name === undefined ? '' : `\nor on Windows by the name of the program, before it runs or is installed:\n\n  ${name}\n`
  return `\
In a RustDesk client, in its network settings, below ID/Relay server:

  ID server:    ${host}
  Relay server: ${relay === '' ? '(empty)' : relay}
  Key:          ${key === '' ? '(empty)' : key}

or all of it from the clipboard, with "Import server config" there; or as administrator with: rustdesk --config TEXT

  ${importText(server)}
${byName}`
}
