/** The interface between the programs and a protocol. A protocol with a relay and a peer has two of these, each in a table of `protocols.ts`. */
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Options, Reject, SettingsOf } from '../nodes/common/options/option.ts'
import type { SectionContext } from './config/context.ts'
import type { ConfigFile, ConfigSource, Flags, UnsupportedOptions, Values } from './config/settings.ts'
import type { Answer, Request } from './control/server.ts'
import type { Running } from './process/lifecycle.ts'
import type { Output } from './process/output.ts'
import type { ServiceMetrics } from './process/stats-metrics.ts'

export interface Protocol<T extends Options = Options, S extends object = SettingsOf<T>> {
  /** The key of its section, and its command. */
  readonly name: string
  /** One line about it, for `--help`. */
  readonly description: string
  /** Examples for `--help`: a line or two each for the program, and more for its own command. */
  readonly examples: { readonly program: string, readonly command: string }
  /** Its options: the flags of its command, and the keys of its section. */
  readonly options: T
  /** Flags and keys of other programs that it does not have, with the error text for each. */
  readonly unsupported?: UnsupportedOptions
  /** A process that runs this protocol alone has the control socket of the program's name, and the program alone writes its first configuration. */
  readonly isDefault?: true
  /** The key that tells the processes of one machine apart: its value is part of the name of the control socket. */
  readonly instanceKey?: string
  /** The most threads that it can use. Default: 1. */
  readonly maxWorkers?: number
  /** Reads configuration files of its original program. */
  readonly foreign?: ForeignConfig
  /** The first configuration of the program, for the default protocol. */
  readonly firstConfig?: (password: string | undefined) => FirstConfig
  /** What the first configuration has of it, where it is not the default one: keys with their values, below its name. */
  readonly sampleSection?: (password: string | undefined) => readonly string[]
  /** Captures of its traffic. */
  readonly capture?: { readonly options: Options, readonly examples: string }
  /** Commands below its own that run once. */
  readonly tasks?: readonly ProtocolTask[]
  /** Commands below its own that run it, each with some of its options. */
  readonly modes?: readonly ProtocolMode[]
  /** An example for `status`. */
  readonly statusExample?: string
  /** An example for `explain`. */
  readonly explainExample?: string
  /** Rewrites a source before the sources are merged. */
  prepare? (source: ConfigSource): ConfigSource
  /**
   * Checks the relations between options, before files are read: secrets and certificates are known to be given, not what they are. The
   * settings have no defaults yet.
   */
  verify (settings: SettingsOf<T>, reject: Reject): void
  /**
   * Completes the settings, when all files are read.
   *
   * @throws {OptionError} for an invalid option
   */
  finish (settings: SettingsOf<T>, context: FinishContext): S
  /** Starts the service. Imports it dynamically, so that unused protocols are not loaded. */
  start (context: StartContext<S>): Promise<Service<S>>
  /** The text of `explain` for the answer of the service, where it can explain its paths. */
  explainText? (explanation: Record<string, any>): string
  /** The text of `status` for the JSON of the service. */
  statusText (status: Record<string, any>): string
  /** The text of `reload`, in one line. */
  reloadText? (changes: Record<string, any>): string
}

/** The argument of a command. */
export interface Argument {
  readonly name: string
  readonly help: string
}

/** A command that runs once, as `peer natpass shell RULE`. */
export interface ProtocolTask {
  readonly name: string
  readonly argument?: Argument
  readonly description: string
  readonly examples: string
  /** It asks a running process, or does what that would: `--config`, `--control`. */
  readonly asksProcess?: true
  /** Its own flags; those of the protocol may stand before its name. */
  readonly options: Options
  /** Sets the exit code of the process where that is not 0. Rejects as any task. */
  run (context: TaskContext): Promise<void>
}

/** What a task is run with. */
export interface TaskContext {
  /** Empty for a task without an argument. */
  readonly argument: string
  readonly flags: Flags
  readonly protocols: readonly Protocol[]
}

/** A command that runs the protocol with the part of its section that it stands for, as `peer showchain connect ID`. */
export interface ProtocolMode {
  readonly name: string
  readonly argument?: Argument
  readonly description: string
  readonly examples: string
  /** Its flags. */
  readonly options: Options
  /** The keys of the section for the flags and the argument that were given. */
  section (given: Values, argument: string): Values
  /** How the command line calls a key of that section, for errors. */
  nameOf (path: readonly string[]): string
}

export interface FinishContext extends SectionContext {
  readonly reject: Reject
}

/** Configuration files of another program. */
export interface ForeignConfig {
  /** The flag of one letter that its program has for them. */
  readonly short?: string
  /** @param text - one character for each byte, as comments may have any encoding */
  recognises (text: string): boolean
  /**
   * @param isGiven - whether options or the environment have a key of the section, and so win over the file. Default: they have none
   * @throws {UsageError} for a file that cannot be used
   */
  parse (file: string, text: string, isGiven?: (key: string) => boolean): ConfigFile
}

/** The section of the default protocol in a first configuration file. */
export interface FirstConfig {
  readonly section: string
  /** What to do next, for people. */
  readonly greeting: string
}

/** What a service is started with. */
export interface StartContext<S> {
  readonly settings: S
  /** For the redactor of its messages. */
  readonly secrets: readonly string[]
  /** The settings come from a file of the protocol's original program. */
  readonly isForeign: boolean
  /** Number of threads. */
  readonly workers: number
  /** A child logger with the name of the protocol. */
  readonly log: Logger
  readonly out: Output
}

/** A running service. */
export interface Service<S = unknown> extends Omit<Running, 'reload'> {
  /** Publishes its metrics, `tunpipe_<protocol>_...`. */
  register (metrics: ServiceMetrics): void
  /** The JSON of `status`. */
  status (): object
  /** Whether it can do its work now. Default: true. */
  online? (): boolean
  /** While it is not online: whether only a part of its work is rejected or was taken by others. Default: false. */
  degraded? (): boolean
  /** Why a member is reached as it is, as JSON. @throws {OptionError} for what can be no member */
  explain? (member: string): object | Promise<object>
  /** Streams a capture to the socket after the answer. Rejects with `ERR_USAGE` when the request names something that does not exist. */
  capture? (request: Request, socket: Socket): Promise<Answer>
  /** Applies other settings. Rejects when they are invalid; then nothing has changed. Without it they take effect at the next start. */
  reload? (settings: S): Promise<Changes>
}

/** What a reload has changed, as JSON. */
export interface Changes {
  /** Keys whose new values take effect at the next start. */
  readonly restart: readonly string[]
}
