/** The code-servers of a controlled end: one for each client and rule, as long as links need it (natpass protocol, section 4.3). */
import type { CodeChannel } from './code-channel.ts'
import { CodeServerError, startCodeServer, type CodeServer } from './code-server.ts'
import { serveCode } from './served-code.ts'
import type { LinkRequest, LinkResponse } from '../../protocol/link-codec.ts'
import { LinkClosedError } from '../../../../errors.ts'
import { orAborted } from '../../../../streams/or-aborted.ts'
import type { MuxLink, Opening } from '../../../../transforms/link-mux/index.ts'
import type { Clock } from '../../../../types.ts'

/** Programs at one time, also of one client, and links of each. */
const MAX_SERVERS = 8
const MAX_OF_CLIENT = 4
const MAX_LINKS = 16

interface Entry {
  readonly client: string
  readonly server: Promise<CodeServer>
  /** Ends the start. */
  readonly over: AbortController
  readonly links: Set<MuxLink>
  /** Links, and those that wait for it to listen. */
  users: number
}

export interface CodeServersInit {
  /** The folder of all rules; see `CodeServerInit`. Undefined: there is none. */
  folder: string | undefined
  clock: Clock
  env?: NodeJS.ProcessEnv
}

export class CodeServers {
  readonly #init: CodeServersInit
  /** By client and rule. */
  readonly #entries = new Map<string, Entry>()
  /** Those that are ending, with their clients. */
  readonly #ending = new Map<Promise<void>, string>()
  /** Links of each client. */
  readonly #channels = new Map<string, Set<CodeChannel>>()

  constructor (init: CodeServersInit) { this.#init = init }

  /**
   * Serves a link until it is over.
   *
   * @throws {CodeServerError} when code-server is not there, does not start, or too many run
   */
  async serve (opening: Opening<LinkRequest, LinkResponse>, onOpen: () => void, onEnd: () => void): Promise<void> {
    const { client, request: { name } } = opening.request
    const key = JSON.stringify([client, name ?? ''])
    const entry = this.#entries.get(key) ?? this.#start(key, client, name ?? '')
    if (entry.users >= MAX_LINKS) throw new CodeServerError('too many links of this rule are open here')
    entry.users++
    try {
      const server = await orAborted(entry.server, opening.signal)
      const link = opening.accept({}, { messages: true })
      onOpen()
      entry.links.add(link)
      await this.#serve(client, link, server.socketPath).finally(() => { entry.links.delete(link) })
      onEnd()
    } finally {
      if (--entry.users === 0) this.#end(key, entry)
    }
  }

  /** Ends all. */
  async close (reason: Error): Promise<void> {
    for (const [key, entry] of this.#entries) {
      for (const link of entry.links) link.abort(reason)
      this.#end(key, entry)
    }
    await Promise.all(this.#ending.keys())
  }

  async #serve (client: string, link: MuxLink, socketPath: string): Promise<void> {
    const channels = this.#channels.get(client) ?? new Set()
    this.#channels.set(client, channels)
    await serveCode(link, socketPath, channels)
    if (channels.size === 0) this.#channels.delete(client)
  }

  #start (key: string, client: string, name: string): Entry {
    const { folder } = this.#init
    if (folder === undefined) throw new CodeServerError('no folder for code-server is set here')
    if (this.#entries.size + this.#ending.size >= MAX_SERVERS) throw new CodeServerError(`${MAX_SERVERS} code-servers run here already`)
    const own = [...[...this.#entries.values()].map((entry) => entry.client), ...this.#ending.values()].filter((other) => other === client)
    if (own.length >= MAX_OF_CLIENT) throw new CodeServerError(`${MAX_OF_CLIENT} code-servers of this client run here already`)
    const over = new AbortController()
    const entry: Entry = { client, server: startCodeServer({ ...this.#init, folder, name, signal: over.signal }), over, links: new Set(), users: 0 }
    this.#entries.set(key, entry)
    entry.server.then(async (server) => {
      const reason = await server.ended
      if (this.#entries.get(key) === entry) this.#entries.delete(key) // the next link starts another one
      for (const link of entry.links) link.abort(reason)
    }, () => { if (this.#entries.get(key) === entry) this.#entries.delete(key) })
    return entry
  }

  #end (key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key)
    entry.over.abort(new LinkClosedError('nobody waits for it'))
    const ending: Promise<void> = entry.server.then((server) => server.end(), () => {}).finally(() => { this.#ending.delete(ending) })
    this.#ending.set(ending, entry.client)
  }
}
