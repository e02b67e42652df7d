/** The byte of an introduction that tells of a NAT. */
import t from 'tap'
import { decodeNat, encodeNat } from '../../../src/nodes/candy/protocol/nat-code.ts'
import { describeNat, type NatBehaviour } from '../../../src/nat/index.ts'

type Told = Pick<NatBehaviour, 'isTranslated' | 'mapping' | 'isMappingIndependent' | 'filtering'>

t.test('what is known of a NAT, and its byte', async (t) => {
  const rows: Array<[byte: number, told: Told, name: string]> = [
    [0x00, { isTranslated: undefined, mapping: 'unknown', isMappingIndependent: undefined, filtering: 'unknown' }, 'unknown'],
    [0x11, { isTranslated: true, mapping: 'endpoint-independent', isMappingIndependent: true, filtering: 'endpoint-independent' }, 'full cone'],
    [0x12, { isTranslated: true, mapping: 'endpoint-independent', isMappingIndependent: true, filtering: 'address-dependent' }, 'address-restricted cone'],
    [0x13, { isTranslated: true, mapping: 'endpoint-independent', isMappingIndependent: true, filtering: 'address-and-port-dependent' }, 'port-restricted cone'],
    [0x23, { isTranslated: true, mapping: 'address-dependent', isMappingIndependent: false, filtering: 'address-and-port-dependent' }, 'symmetric'],
    [0x33, { isTranslated: true, mapping: 'address-and-port-dependent', isMappingIndependent: false, filtering: 'address-and-port-dependent' }, 'symmetric'],
    [0x40, { isTranslated: true, mapping: 'unknown', isMappingIndependent: false, filtering: 'unknown' }, 'symmetric'],
    [0x51, { isTranslated: false, mapping: 'endpoint-independent', isMappingIndependent: true, filtering: 'endpoint-independent' }, 'none']
  ]
  for (const [byte, told, name] of rows) {
    t.equal(encodeNat(told), byte, name)
    t.same(decodeNat(byte), { ...told, name })
  }
  t.equal(encodeNat({ isTranslated: undefined, mapping: 'endpoint-independent', isMappingIndependent: true, filtering: 'unknown' }), 0x10, 'whether it translates is no part of the byte')
})

t.test('every byte can be read, and what is read is told by the same byte or is unknown', async (t) => {
  for (let byte = 0; byte < 256; byte++) {
    const { name, ...told } = decodeNat(byte)
    if (name !== describeNat(told)) t.fail(`${byte}: ${name}`)
    const known = byte >> 4 <= 5 && (byte & 15) <= 3
    if (known && encodeNat(told) !== byte) t.fail(`${byte} becomes ${encodeNat(told)}`)
  }
  t.match(decodeNat(0xff), { name: 'unknown', mapping: 'unknown', filtering: 'unknown' })
})
