/** Common parts of the commands of both programs. */
import { Command, CommanderError, Option } from 'commander'
import { listOf } from '../text/phrases.ts'
import type { Options } from '../nodes/common/options/option.ts'
import { keysOf } from './config/keys.ts'
import { nearest } from './nearest.ts'
import { SHARED_KEYS } from './config/program.ts'
import type { Flags, UnsupportedOptions, Values } from './config/settings.ts'
import type { Task } from './process/lifecycle.ts'
import type { Argument, Protocol, ProtocolMode, ProtocolTask } from './protocol.ts'
import { UsageError } from './usage-error.ts'
import { version } from '../version.ts'

/**
 * A command that reports instead of exiting, and knows the options that every command has.
 *
 * @param unsupported - names of options of other programs that this one does not have, with the error text for each
 */
export function createCommand (name: string, description: string, unsupported: UnsupportedOptions = {}): Command {
  const command = new Command(name)
  return command
    .description(description)
    .exitOverride((err) => { throw err.exitCode === 0 ? err : usageError(command, err, unsupported) })
    .configureOutput({ outputError () {} }) // run() prints the error, on one line
    .showSuggestionAfterError(false) // usageError() makes suggestions, and ignores text after =
    .enablePositionalOptions()
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
}

/** @param short - another flag for the file, of one letter */
export function withSharedOptions (command: Command, configHelp: string, short?: string): Command {
  return command
    .option(`${short === undefined ? '' : `-${short}, `}--config <file>`, configHelp)
    .option('--metrics <host:port>', 'serve /metrics and /healthz there; a port alone means 127.0.0.1')
    .option('--control <path>', 'socket for status, reload and capture, or none (default: in /run/tunpipe for root)')
    .option('--json', 'print machine-readable lines')
    .option('--log-level <level>', 'fatal, error, warn, info, debug or trace (default: info)')
}

/** Adds a flag for each key of a table of options. */
export function withOptions (command: Command, options: Options): Command {
  for (const { name, short, value, help, default: fallback, isRepeatable } of keysOf(options)) {
    if (help === undefined) continue
    const description = fallback === undefined ? help : `${help} (default: ${fallback})`
    const flags = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`
    const option = new Option(flags, description)
    option.negate = false // a key that begins with "no-" is a key of its own
    if (isRepeatable) option.argParser(collect)
    command.addOption(option)
  }
  return command
}

const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** The command of a protocol: its own options, and the shared ones. */
export function protocolCommand (protocol: Protocol, run: (flags: Flags) => void): Command {
  const { name, description, options, unsupported, examples, maxWorkers = 1 } = protocol
  const command = withOptions(createCommand(name, description, unsupported), options)
  if (maxWorkers > 1) command.option('--workers <count>', 'threads that carry packets, one for each processor to be used (default: 1)')
  withSharedOptions(command, `a file with a section "${name}"${protocol.foreign === undefined ? '' : ', or one of the original'}; options win over it`, protocol.foreign?.short).addHelpText('after', examples.command)
  return command.action(() => { run(flagsOf(command, name)) })
}

/** Adds the modes and the tasks of a protocol to its command. */
export function withSubcommands (command: Command, protocol: Protocol, { protocols, run, ask }: { protocols: readonly Protocol[], run: (flags: Flags) => void, ask: (task: Task) => void }): Command {
  for (const mode of protocol.modes ?? []) {
    const sub = modeCommand(mode, protocol)
    command.addCommand(sub.action(() => { run(flagsOfMode(sub, protocol.name, mode)) }))
  }
  for (const task of protocol.tasks ?? []) {
    const sub = taskCommand(task)
    command.addCommand(sub.action(() => {
      ask({ task: () => task.run({ argument: sub.processedArgs[0] ?? '', flags: flagsOf(sub, protocol.name), protocols }) })
    }))
  }
  return command
}

function modeCommand ({ name, argument, description, options, examples }: ProtocolMode, protocol: Protocol): Command {
  const command = withArgument(withOptions(createCommand(name, description, protocol.unsupported), options), argument)
  return withSharedOptions(command, `a file with a section "${protocol.name}"; options win over it`).addHelpText('after', examples)
}

function taskCommand ({ name, argument, description, asksProcess, options, examples }: ProtocolTask): Command {
  const command = withArgument(withOptions(createCommand(name, description), options), argument).addHelpText('after', examples)
  if (asksProcess !== true) return command
  return command
    .option('--config <file>', 'the settings of the process; options win over it')
    .option('--control <path>', 'the control socket of the process (default: the customary one, or the only one there is)')
}

const withArgument = (command: Command, argument: Argument | undefined): Command => argument === undefined ? command : command.argument(`<${argument.name}>`, argument.help)

export function withVersion (command: Command): Command {
  return command.version(version, '--version', 'show the version')
}

/**
 * Parses the command line.
 *
 * @returns false when help or the version has been printed
 * @throws {UsageError} for the first error in it
 */
export function parse (command: Command, argv: readonly string[]): boolean {
  try {
    command.parse(argv, { from: 'user' })
    return true
  } catch (err) {
    if (err instanceof CommanderError) return false // help or version; errors have become UsageErrors
    throw err
  }
}

/** Converts an error of commander to one line. Values of options are not repeated, as they may be passwords. */
function usageError (command: Command, err: CommanderError, unsupported: UnsupportedOptions): UsageError {
  // eslint-disable-next-line no-restricted-syntax -- commander names the option in its text alone
  const message = err.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')
  const [, given] = err.code === 'commander.unknownOption' ? /^unknown option '(--?[^=]*)/.exec(message) ?? [] : []
  if (given === undefined) return new UsageError(message)
  if (!given.startsWith('--')) return new UsageError(`unknown option '${given.slice(0, 2)}', ${expectedLetters(command)}`)
  const name = given.slice(2).replace(/'$/, '')
  if (Object.hasOwn(unsupported, name)) return new UsageError(`--${name}: ${unsupported[name]}`)
  const known = namesOf(command)
  if (known.includes(name)) return new UsageError(`--${name}: takes no value`)
  const owner = [command.parent, ...command.commands].find((other) => other !== null && namesOf(other).includes(name))
  if (owner != null) return new UsageError(`--${name}: not an option of ${pathOf(command)}, but of ${pathOf(owner)}`)
  const near = nearest(name, [...known, 'help'])
  return new UsageError(`unknown option '--${name}'${near === undefined ? '' : `, did you mean --${near}?`}`)
}

function expectedLetters ({ options }: Command): string {
  const letters = options.flatMap(({ short }) => short ?? [])
  return letters.length === 0 ? 'options are written with -- and in full' : `expected ${listOf(letters)}; others are written with -- and in full`
}

const namesOf = (command: Command): string[] => command.options.map((option) => option.name())

/** As typed on the command line: `relay candy`. */
const pathOf = (command: Command): string => command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`

/** Rejects an argument where a command is expected. */
export function rejectArguments (command: Command): void {
  const [word] = command.args
  if (word === undefined) return
  const known = command.commands.map((sub) => sub.name())
  const near = nearest(word, known)
  throw new UsageError(`unknown command '${word}', ${near === undefined ? `expected ${listOf(known)}` : `did you mean ${near}?`}`)
}

/** The options given to the command and to those above it, by their long names, which are also the keys of the files. */
export function givenFlags (command: Command): Values {
  return { ...(command.parent === null ? {} : givenFlags(command.parent)), ...givenOptions(command) }
}

function givenOptions (command: Command): Values {
  const given = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
  return Object.fromEntries(given.map((option) => [option.name(), command.getOptionValue(option.attributeName())]))
}

/** The flags in the shape of the schema: shared ones at the top, others in the section of the command's protocol. */
export function flagsOf (command: Command, protocol?: string): Flags {
  const { config, version: _, ...given } = givenFlags(command)
  const values: Values = {}
  const inside: Values = {}
  for (const [key, value] of Object.entries(given)) (SHARED_KEYS.includes(key) ? values : inside)[key] = value
  if (protocol !== undefined) values[protocol] = inside
  return {
    config: config as string | undefined,
    protocol,
    source: { values, name: ([first, second]) => `--${first === protocol && second !== undefined ? second : first}` }
  }
}

/** The same of a mode, whose flags and argument stand for a part of the section. */
function flagsOfMode (command: Command, protocol: string, mode: ProtocolMode): Flags {
  const { source: { values, name }, ...flags } = flagsOf(command, protocol)
  const inside = mode.section(values[protocol] as Values, command.processedArgs[0] ?? '')
  return { ...flags, source: { values: { ...values, [protocol]: inside }, name: (path) => path[0] === protocol && path.length > 1 ? mode.nameOf(path.slice(1)) : name(path) } }
}
