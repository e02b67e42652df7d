/** What the programs know of a protocol. One with a relay and a peer is two of these, each in a table of `protocols.ts`. */
import type { Socket } from 'node:net'
import type { Command } from 'commander'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { z } from 'zod'
import type { ConfigSource, Values } from './config/settings.ts'
import type { Answer, Request } from './control/server.ts'
import type { Running } from './process/lifecycle.ts'
import type { Output } from './process/output.ts'

/** Its settings `S` are what the schema makes of its section; `L` is what they become with all files read that they name. */
export interface Protocol<S = unknown, L extends Loaded = Loaded> {
  /** The key of its section, and its command. */
  readonly name: string
  /** What can stand in its section; the options of the command are the same keys. */
  readonly section: z.ZodType<S>
  /** The secret that the environment may have. */
  readonly secret?: SecretSource
  /** The key by which one machine tells its processes apart: its value stands in the name of the control socket. */
  readonly instanceKey?: string
  /** It can carry its traffic on several threads. */
  readonly usesWorkers?: true
  /** Rewrites a layer before they are merged. */
  prepare? (source: ConfigSource): ConfigSource
  /** Reads what the settings name, again at each reload. Throws `UsageError`. */
  load (given: LoadContext<S>): L
  /** Imports the protocol, so that one that nobody uses is not loaded, and starts it. */
  start (context: StartContext<L>): Promise<Service<L>>
  /** What `status` shows, out of what the service says of itself. */
  statusText (status: Record<string, any>): string
  /** What `reload` has changed, in one line. */
  reloadText? (changes: Record<string, any>): string
  /** Its command with its options and examples; those that all commands share are added. */
  command (): Command
}

/** A secret is given by its own key, or by a file that `<key>-file` names. */
export interface SecretSource {
  readonly key: string
  readonly variable: string
  /** Whether the variable can be meant, by the section of a layer. Default: in any case. */
  fits? (section: Values): boolean
}

/** A section that the schema has checked. */
export interface LoadContext<S> {
  readonly settings: S
  /** How a key of the section is named in a complaint. */
  nameOf (...path: string[]): string
  /** For what the user should know, but what stops nothing. */
  warn (message: string): void
  /** The settings come from a file of the protocol's original program. */
  readonly isOriginal: boolean
}

export interface Loaded {
  /** What must not appear in the log. */
  readonly secrets: readonly string[]
}

/** What a service is started with. */
export interface StartContext<L> {
  readonly loaded: L
  /** Threads for what it carries. */
  readonly workers: number
  /** Its lines say which protocol they are of. */
  readonly log: Logger
  readonly out: Output
}

/** A protocol at work. */
export interface Service<L = Loaded> extends Omit<Running, 'reload'> {
  /** Adds its numbers to those that `--metrics` publishes, as `tunpipe_<protocol>_...`. */
  register (registry: Registry): void
  /** What `status` tells of it. */
  status (): object
  /** Whether it can do its work now. Default: as long as it runs. */
  online? (): boolean
  /** When it cannot: whether that is only since others refuse a part of it, or have taken it. Default: it is not. */
  degraded? (): boolean
  /** Writes what it carries to the socket behind the answer. Rejects with `ERR_USAGE` when what was asked for is not there. */
  capture? (request: Request, socket: Socket): Promise<Answer>
  /** Takes other settings. Rejects when they cannot be; then nothing has changed. Without it, they hold from the next start on. */
  reload? (loaded: L): Promise<Changes>
}

/** What a reload has changed, in any form that is JSON. */
export interface Changes {
  /** Keys whose new values hold from the next start on. */
  readonly restart: readonly string[]
}
