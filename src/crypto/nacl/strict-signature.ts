/** What a strict check of Ed25519 refuses before it calculates anything: signatures that have a second form, and keys that sign anything. */

const bigEndian = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

/** 2^252 + 27742317777372353535851937790883648493, the order of the base point. */
const ORDER = bigEndian('1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed')

/** 2^255 - 19, of the field. */
const PRIME = bigEndian('7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed')

/** The y of all points whose order is 1, 2, 4 or 8. */
const LOW_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000001',
  '05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826',
  '7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7',
  '7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec'
].map(bigEndian)

/** Whether neither is refused for its form. All of it is public, so time does not matter. */
export function isStrictSignature (signature: Uint8Array, publicKey: Uint8Array): boolean {
  const scalar = Uint8Array.from(signature.subarray(32)).reverse()
  const y = Uint8Array.from(publicKey).reverse()
  y[0] &= 0x7f // the sign of x
  return Buffer.compare(scalar, ORDER) < 0 && Buffer.compare(y, PRIME) < 0 && !LOW_ORDER.some((point) => Buffer.compare(point, y) === 0)
}
