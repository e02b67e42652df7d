/** The interface between the programs and a protocol. A protocol with a relay and a peer has two of these, each in a table of `protocols.ts`. */
import type { Socket } from 'node:net'
import type { Command } from 'commander'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { z } from 'zod'
import type { ConfigSource, Values } from './config/settings.ts'
import type { Answer, Request } from './control/server.ts'
import type { Running } from './process/lifecycle.ts'
import type { Output } from './process/output.ts'

/** `S`: the output of the schema of its section; `L`: that with the contents of all files that it names. */
export interface Protocol<S = unknown, L extends Loaded = Loaded> {
  /** The key of its section, and its command. */
  readonly name: string
  /** The schema of its section; the options of the command are the same keys. */
  readonly section: z.ZodType<S>
  /** The secret that may come from the environment. */
  readonly secret?: SecretSource
  /** The key that tells the processes of one machine apart: its value is part of the name of the control socket. */
  readonly instanceKey?: string
  /** It can use several threads. */
  readonly usesWorkers?: true
  /** Rewrites a source before the sources are merged. */
  prepare? (source: ConfigSource): ConfigSource
  /**
   * Reads the files that the settings name; called again at each reload.
   *
   * @throws {UsageError}
   */
  load (given: LoadContext<S>): L
  /** Starts the service. Imports it dynamically, so that unused protocols are not loaded. */
  start (context: StartContext<L>): Promise<Service<L>>
  /** The text of `status` for the JSON of the service. */
  statusText (status: Record<string, any>): string
  /** The text of `reload`, in one line. */
  reloadText? (changes: Record<string, any>): string
  /** Its command with options and examples; shared options are added by the caller. */
  command (): Command
}

/** A secret: given by its key, or in a file named by `<key>-file`. */
export interface SecretSource {
  readonly key: string
  readonly variable: string
  /** Whether the variable applies to the section of a source. Default: always. */
  fits? (section: Values): boolean
}

/** A section that the schema has checked. */
export interface LoadContext<S> {
  readonly settings: S
  /** The name of a key of the section in an error. */
  nameOf (...path: string[]): string
  /** Adds a warning. */
  warn (message: string): void
  /** The settings come from a file of the protocol's original program. */
  readonly isOriginal: boolean
}

export interface Loaded {
  /** For the redactor of the log. */
  readonly secrets: readonly string[]
}

/** What a service is started with. */
export interface StartContext<L> {
  readonly loaded: L
  /** Number of threads. */
  readonly workers: number
  /** A child logger with the name of the protocol. */
  readonly log: Logger
  readonly out: Output
}

/** A running service. */
export interface Service<L = Loaded> extends Omit<Running, 'reload'> {
  /** Registers its metrics, `tunpipe_<protocol>_...`. */
  register (registry: Registry): void
  /** The JSON of `status`. */
  status (): object
  /** Whether it can do its work now. Default: true. */
  online? (): boolean
  /** While it is not online: whether only a part of its work is rejected or was taken by others. Default: false. */
  degraded? (): boolean
  /** Streams a capture to the socket after the answer. Rejects with `ERR_USAGE` when the request names something that does not exist. */
  capture? (request: Request, socket: Socket): Promise<Answer>
  /** Applies other settings. Rejects when they are invalid; then nothing has changed. Without it they take effect at the next start. */
  reload? (loaded: L): Promise<Changes>
}

/** What a reload has changed, as JSON. */
export interface Changes {
  /** Keys whose new values take effect at the next start. */
  readonly restart: readonly string[]
}
