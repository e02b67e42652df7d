/** The commands of the relay's console (RustDesk protocol, section 5), as text in and text out. */
import type { AddressList } from './address-list.ts'
import { MEGABIT, type Speeds } from './bandwidth.ts'
import type { Pair } from './pair.ts'
import { bits } from './settings.ts'

/** What the commands act on. */
export interface ConsoleTarget {
  readonly blacklist: AddressList
  readonly blocklist: AddressList
  readonly bandwidth: { readonly speeds: Readonly<Speeds>, configure (speeds: Partial<Speeds>): void }
  readonly pairs: Iterable<Pair>
}

interface Command {
  readonly name: string
  readonly alias: string
  /** For the help. */
  readonly argument?: string
  run (target: ConsoleTarget, argument: string | undefined): string
}

const lines = (texts: Iterable<string>): string => Array.from(texts, (text) => `${text}\n`).join('')

/** Commands of one list. @param letter - b or B, of the aliases */
function listCommands (name: 'blacklist' | 'blocklist', letter: string): Command[] {
  return [
    {
      name: `${name}-add`,
      alias: `${letter}a`,
      argument: '<ip>',
      run ({ [name]: list }, hosts = '') {
        for (const host of hosts.split('|')) list.add(host)
        return ''
      }
    },
    {
      name: `${name}-remove`,
      alias: `${letter}r`,
      argument: '<ip>',
      run ({ [name]: list }, hosts = '') {
        if (hosts === 'all') list.clear()
        else for (const host of hosts.split('|')) list.remove(host)
        return ''
      }
    },
    { name, alias: letter, argument: '<ip>', run: ({ [name]: list }, host) => host === undefined ? lines(list) : `${list.has(host)}\n` }
  ]
}

/** Shows a speed or a bound, or sets it; what is no number above 0 is ignored. */
function setter (name: string, alias: string, unit: string, key: keyof Speeds, show: (value: number) => string, read: (value: number) => number): Command {
  return {
    name,
    alias,
    argument: `[value${unit}]`,
    run ({ bandwidth }, text) {
      if (text === undefined) return `${show(bandwidth.speeds[key])}\n`
      const value = /^\+?(?:\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : 0
      if (value > 0 && value < Number.MAX_SAFE_INTEGER / MEGABIT && read(value) > 0) bandwidth.configure({ [key]: read(value) })
      return ''
    }
  }
}

const speedSetter = (name: string, alias: string, key: 'single' | 'total' | 'limited'): Command =>
  setter(name, alias, '(Mb/s)', key, (value) => `${value / MEGABIT}Mb/s`, bits)

const hundredths = (value: number): number => Math.trunc(value * 100) / 100

const COMMANDS: readonly Command[] = [
  ...listCommands('blacklist', 'b'),
  ...listCommands('blocklist', 'B'),
  setter('downgrade-threshold', 'dt', '', 'downgradeThreshold', String, hundredths),
  setter('downgrade-start-check', 't', '(second)', 'downgradeStart', (value) => `${Math.trunc(value / 1000)}s`, (value) => Math.trunc(value) * 1000),
  speedSetter('limit-speed', 'ls', 'limited'),
  speedSetter('total-bandwidth', 'tb', 'total'),
  speedSetter('single-bandwidth', 'sb', 'single'),
  { name: 'usage', alias: 'u', run: ({ pairs }) => lines(usageOf(pairs)) }
]

const help: Command = { name: 'help', alias: 'h', run: () => lines(COMMANDS.map(({ name, alias, argument }) => `${name}(${alias})${argument === undefined ? '' : ` ${argument}`}`)) }

const byWord = new Map([...COMMANDS, help].flatMap((command) => [[command.name, command], [command.alias, command]]))

function usageOf (pairs: Iterable<Pair>): string[] {
  const used = Array.from(pairs, ({ second: { remote }, usage }) => ({ id: `${remote.host}:${remote.port}`, usage })).filter(({ usage }) => usage.elapsed > 0)
  return used.sort((a, b) => b.usage.sampled - a.usage.sampled).map(({ id, usage: { elapsed, sampled, peak, average, last } }) =>
    `${id}: ${Math.trunc(elapsed / 1000)}s ${(sampled / 1024 / 1024).toFixed(2)}MB ${peak}kb/s ${average}kb/s ${last}kb/s`)
}

/** Runs one command; unknown ones print nothing. */
export function runCommand (target: ConsoleTarget, line: string): string {
  const [word, argument] = line.trim().split(' ')
  return byWord.get(word)?.run(target, argument) ?? ''
}
