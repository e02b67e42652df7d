import { isSection, type Layer } from './settings.ts'

/**
 * candy's own option `tun` is an address, ours a name. Whoever writes `--tun 10.77.0.2/24` means the address; a complaint
 * about it names `tun`, as that is what was written.
 */
export function tunAsAddress (layer: Layer): Layer {
  const { candy } = layer.values
  if (!isSection(candy) || typeof candy.tun !== 'string' || !candy.tun.includes('/') || Object.hasOwn(candy, 'address')) return layer
  const { tun: address, ...others } = candy
  return {
    values: { ...layer.values, candy: { ...others, address } },
    name: (path) => layer.name(path.join('.') === 'candy.address' ? ['candy', 'tun'] : path)
  }
}
