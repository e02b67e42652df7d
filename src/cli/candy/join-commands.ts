/** Instructions for joining the network of a new relay. */
import { networkInterfaces } from 'node:os'
import { extname, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface JoinInit {
  /** The listen URL of the relay. */
  listen: string
  /** Undefined when it must not be printed: it came from the environment. */
  password: string | undefined
}

/** The first address of this machine that is not internal. */
function publicHost (interfaces = networkInterfaces()): string {
  const all = Object.values(interfaces).flatMap((addresses) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

/** The path of the peer program, as typed in this folder. */
function peerProgram (folder = process.cwd()): string {
  const path = fileURLToPath(new URL(`../../../bin/peer${extname(import.meta.url)}`, import.meta.url))
  const near = relative(folder, path)
  return near.startsWith('..') ? path : `.${sep}${near}`
}

/** The URL for clients. For a relay that listens on all addresses, one of them is chosen. */
function joinUrl (listen: string, host = publicHost()): string {
  return listen.replace(/\/\/(0\.0\.0\.0|\[::\]):/, `//${host}:`)
}

/** Text with commands to copy, for this peer and for the original client. */
export function joinCommands ({ listen, password }: JoinInit): string {
  const url = joinUrl(listen)
  const argument = password ?? '"$TUNPIPE_PASSWORD"'
  return `\
Join from another machine with this peer:

  sudo ${peerProgram()} candy --url ${url}/ --password ${argument}

or with the candy client:

  candy -m client -w ${url} -p ${argument}

or with these lines in its /etc/candy.cfg:

  mode = "client"
  websocket = "${url}"
  password = "${password ?? '...'}"
`
}
