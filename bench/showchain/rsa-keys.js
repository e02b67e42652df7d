/** Many RSA keys in little time: a few primes make many moduli. For loads alone, as who has one of these keys can find the others. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'

const E = 65537n

const toNumber = (text) => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`)
const toText = (value) => {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
}

function inverse (value, modulus) {
  let [a, b, x, y] = [modulus, value % modulus, 0n, 1n]
  while (b > 0n) [a, b, x, y] = [b, a % b, y, x - a / b * y]
  return (x % modulus + modulus) % modulus
}

function keyOf (p, q) {
  const d = inverse(E, (p - 1n) * (q - 1n))
  const values = { n: p * q, e: E, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toText(value)])) }, format: 'jwk' })
}

/** Private keys of 2048 bits, each another one. */
export function * rsaKeys () {
  const primes = []
  for (;;) {
    const { p, q } = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
    for (const prime of [toNumber(p), toNumber(q)]) {
      for (const other of primes) yield keyOf(prime, other)
      primes.push(prime)
    }
  }
}
