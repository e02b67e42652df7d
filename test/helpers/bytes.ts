/** Bytes for tests: hex, cuts, and reproducible mutations. */

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Copies of consecutive pieces: decoders may change what they are given in place. */
export function * cut (wire: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < wire.length; at += size) yield Uint8Array.from(wire.subarray(at, at + size))
}

/** Added to the seeds of all tests: another one makes other random numbers. */
export const SEED = Number(process.env.TUNPIPE_SEED ?? 0)

/** A small generator (mulberry32), so that a failing round can be run again from its seed. */
export function random (seedOfTest: number): (below: number) => number {
  let seed = seedOfTest + SEED
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000 * below)
  }
}

/** A damaged copy: bits flipped, bytes set to an edge value, a piece removed, doubled or put elsewhere, the end cut off. */
export function mutate (sample: Uint8Array, below: (n: number) => number): Uint8Array {
  let bytes = Buffer.from(sample)
  for (let steps = 1 + below(4); steps > 0; steps--) {
    const at = below(bytes.length + 1)
    const to = Math.min(bytes.length, at + below(9))
    switch (below(6)) {
      case 0: if (at < bytes.length) bytes[at] ^= 1 << below(8); break
      case 1: if (at < bytes.length) bytes[at] = [0x00, 0x7f, 0x80, 0xff][below(4)]; break
      case 2: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]); break
      case 3: bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]); break
      case 4: bytes = bytes.subarray(0, at); break
      default: bytes = Buffer.concat([bytes.subarray(to), bytes.subarray(0, to)])
    }
  }
  return bytes
}
