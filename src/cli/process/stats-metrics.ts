import { Counter, Gauge, type GaugeConfiguration, type Registry } from 'prom-client'

/** Statistics of a node: numbers, and groups of numbers such as `drops` by reason. Other values are ignored. */
export interface Sample {
  /** Labels, such as `{ network: '/alice' }`; an empty value counts as absent. */
  labels: Record<string, string>
  stats: object
}

/** `packetsIn` becomes `packets_in`. */
const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const isGroup = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What services publish. They import its type alone: prom-client is loaded only where metrics are served. */
export class ServiceMetrics {
  readonly #registry: Registry

  constructor (registry: Registry) { this.#registry = registry }

  /**
   * Publishes statistics as `<prefix>_<name>`. Numbers become counters, `<prefix>_<name>_total`, except those named as gauges; a group
   * becomes one counter with the label `reason`. Samples with the same labels are added up.
   *
   * @param shape - has the names and labels to publish; default: the current samples
   */
  stats (prefix: string, read: () => Sample[], gauges: readonly string[], shape?: Sample[]): void {
    let cached: Sample[] | undefined
    /** Read once for all metrics of a scrape, as reading is expensive. */
    const samples = (): Sample[] => {
      if (cached === undefined) setImmediate(() => { cached = undefined })
      return (cached ??= read())
    }
    const first = shape ?? samples()
    const labels = [...new Set(first.flatMap((sample) => Object.keys(sample.labels)))]
    const registers = [this.#registry]
    const names = new Map(first.flatMap(({ stats }) => Object.entries(stats)))
    for (const [name, value] of names) {
      if (typeof value !== 'number' && !isGroup(value)) continue
      const metric = `${prefix}_${snakeCase(name)}`
      // the node has the totals; a prom-client counter can only be reset and incremented
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

  /** Publishes another number, which `collect` sets. */
  gauge<T extends string> (init: Omit<GaugeConfiguration<T>, 'registers'>): Gauge<T> {
    return new Gauge({ ...init, registers: [this.#registry] })
  }
}
