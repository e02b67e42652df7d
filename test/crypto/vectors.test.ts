/** Bytes that others have made: the vectors of candy, and test cases of the specification of GCM, which node:crypto has to agree with. */
import { createCipheriv } from 'node:crypto'
import t from 'tap'
import { hex, toHex } from '../helpers/bytes.ts'
import { vector } from '../helpers/candy/vectors.ts'
import { CANDY, candyKey, sealings } from '../helpers/crypto/sealings.ts'

/** McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B: those with a key of 256 bits and no associated data. */
const CASES = [
  { name: '13', key: '00'.repeat(32), iv: '00'.repeat(12), text: '', sealed: '', tag: '530f8afbc74536b9a963b4f1c4cb738b' },
  {
    name: '14',
    key: '00'.repeat(32),
    iv: '00'.repeat(12),
    text: '00'.repeat(16),
    sealed: 'cea7403d4d606b6e074ec5d3baf39d18',
    tag: 'd0d1c8a799996bf0265b98b5d48ab919'
  },
  {
    name: '15',
    key: 'feffe9928665731c6d6a8f9467308308'.repeat(2),
    iv: 'cafebabefacedbaddecaf888',
    text: 'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
    sealed: '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad',
    tag: 'b094dac5d93471bdec1a502270e3cc6c'
  }
]

t.test('node:crypto agrees with the cases of the specification', async (t) => {
  for (const { name, key, iv, text, sealed, tag } of CASES) {
    const cipher = createCipheriv('aes-256-gcm', hex(key), hex(iv))
    t.equal(toHex(Buffer.concat([cipher.update(hex(text)), cipher.final()])), sealed, name)
    t.equal(toHex(cipher.getAuthTag()), tag, name)
  }
})

for (const { name, sealing, skip } of sealings) {
  t.test(name, { skip }, async (t) => {
    t.equal(sealing.implementation, name)

    t.test('cases of the specification', async (t) => {
      for (const { name, key, iv, text, sealed, tag } of CASES) {
        const cipher = sealing.cipher({ key: hex(key), layout: CANDY })
        const bytes = hex(iv + '00'.repeat(16) + text)
        cipher.seal(bytes)
        t.equal(toHex(bytes), iv + tag + sealed, name)
        t.ok(cipher.open(bytes), name)
        t.equal(toHex(bytes.subarray(28)), text, name)
        cipher.close()
      }
    })

    for (const which of ['udp_heartbeat_sealed', 'udp_forward_sealed']) {
      t.test(which, async (t) => {
        const { bytes, inputs } = vector(which)
        const cipher = sealing.cipher({ key: candyKey(inputs.password, inputs.receiver_ip), layout: CANDY })
        const datagram = hex(inputs.iv_hex + '00'.repeat(16) + inputs.plaintext_hex)
        cipher.seal(datagram)
        t.equal(toHex(datagram), toHex(bytes))
        t.ok(cipher.open(bytes))
        t.equal(toHex(bytes.subarray(28)), inputs.plaintext_hex)
        cipher.close()
      })
    }
  })
}
