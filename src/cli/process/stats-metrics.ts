import { Counter, Gauge, type Registry } from 'prom-client'

/** Statistics as a node keeps them: plain numbers, and groups of numbers such as `drops` by reason. Others are left out. */
export type Stats = object

/** `packetsIn` becomes `packets_in`. */
const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * Publishes statistics as `<prefix>_<name>`. Numbers only grow and become counters, `<prefix>_<name>_total`, except for
 * those called gauges; a group becomes one counter with the label `reason`.
 */
export function registerStats (registry: Registry, prefix: string, read: () => Stats, gauges: readonly string[]): void {
  for (const [name, value] of Object.entries(read())) {
    // The node counts; a counter here can only be put back to zero and raised.
    const current = (): unknown => (read() as Record<string, unknown>)[name]
    const metric = `${prefix}_${snakeCase(name)}`
    const registers = [registry]
    if (gauges.includes(name)) {
      const gauge = new Gauge({ name: metric, help: `Now: ${name}`, registers, collect () { gauge.set(Number(current())) } })
    } else if (typeof value === 'number') {
      const counter = new Counter({
        name: `${metric}_total`,
        help: `Since the start: ${name}`,
        registers,
        collect () {
          counter.reset()
          counter.inc(Number(current()))
        }
      })
    } else if (typeof value === 'object' && value !== null) {
      const counter = new Counter({
        name: `${metric}_total`,
        help: `Since the start: ${name}, by reason`,
        labelNames: ['reason'],
        registers,
        collect () {
          counter.reset()
          for (const [reason, count] of Object.entries(current() as object)) counter.inc({ reason }, Number(count))
        }
      })
    }
  }
}
