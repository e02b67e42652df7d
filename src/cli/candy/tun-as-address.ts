import { isSection, type ConfigSource } from '../config/settings.ts'
import { UsageError } from '../usage-error.ts'

/**
 * The option `tun` of the original is an address, ours a name. `--tun 10.77.0.2/24` is taken as the address; an error about it names
 * `tun`, as that is what was written.
 *
 * @throws {UsageError} when the same source has an `address` as well
 */
export function tunAsAddress (source: ConfigSource): ConfigSource {
  const { candy } = source.values
  if (!isSection(candy) || typeof candy.tun !== 'string' || !candy.tun.includes('/')) return source
  if (Object.hasOwn(candy, 'address')) throw new UsageError(`an address was given twice (${source.name(['candy', 'tun'])} and ${source.name(['candy', 'address'])})`)
  const { tun: address, ...others } = candy
  return {
    values: { ...source.values, candy: { ...others, address } },
    name: (path) => source.name(path.join('.') === 'candy.address' ? ['candy', 'tun'] : path)
  }
}
