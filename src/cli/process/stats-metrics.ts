import { Counter, Gauge, type Registry } from 'prom-client'

/** Statistics as a node keeps them: plain numbers, and groups of numbers such as `drops` by reason. Others are left out. */
export interface Sample {
  /** What they are of, `{ network: '/alice' }` say; an empty value counts as none. */
  labels: Record<string, string>
  stats: object
}

/** `packetsIn` becomes `packets_in`. */
const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const isGroup = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Publishes statistics as `<prefix>_<name>`. Numbers only grow and become counters, `<prefix>_<name>_total`, except for
 * those called gauges; a group becomes one counter with the label `reason`. Samples with the same labels are added up.
 *
 * @param shape - the names and labels that it has are those that are published; default: what there is to read now
 */
export function registerStats (registry: Registry, prefix: string, read: () => Sample[], gauges: readonly string[], shape?: Sample[]): void {
  let asked: Sample[] | undefined
  /** Read once for all metrics of a scrape, as adding up takes time. */
  const samples = (): Sample[] => {
    if (asked === undefined) setImmediate(() => { asked = undefined })
    return (asked ??= read())
  }
  const first = shape ?? samples()
  const labels = [...new Set(first.flatMap((sample) => Object.keys(sample.labels)))]
  const registers = [registry]
  const names = new Map(first.flatMap(({ stats }) => Object.entries(stats)))
  for (const [name, value] of names) {
    if (typeof value !== 'number' && !isGroup(value)) continue
    const metric = `${prefix}_${snakeCase(name)}`
    // The node counts; a metric here can only be put back to zero and raised.
    const collect = (into: { reset (): void, inc (labels: Record<string, string>, value: number): void }): void => {
      into.reset()
      for (const sample of samples()) {
        const of = Object.fromEntries(Object.entries(sample.labels).filter(([, value]) => value !== ''))
        const current = (sample.stats as Record<string, unknown>)[name]
        if (typeof current === 'number') into.inc(of, current)
        else if (isGroup(current)) for (const [reason, count] of Object.entries(current)) into.inc({ ...of, reason }, Number(count))
      }
    }
    if (gauges.includes(name)) {
      const gauge = new Gauge({ name: metric, help: `Now: ${name}`, labelNames: labels, registers, collect () { collect(gauge) } })
      continue
    }
    const [help, labelNames] = isGroup(value) ? [`Since the start: ${name}, by reason`, [...labels, 'reason']] : [`Since the start: ${name}`, labels]
    const counter = new Counter({ name: `${metric}_total`, help, labelNames, registers, collect () { collect(counter) } })
  }
}
