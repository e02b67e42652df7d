/**
 * How the NAT of a member behaves, in the byte of its introduction; candy protocol, section 2.7. The mapping is in the upper four bits, the
 * filtering in the lower ones. Codes of later versions are read as unknown.
 */
import { describeNat, type EndpointDependence, type NatBehaviour, type NatName } from '../../../nat/index.ts'

/** What the byte tells. */
export interface NatKind extends Pick<NatBehaviour, 'isTranslated' | 'mapping' | 'isMappingIndependent' | 'filtering'> {
  /** The name that RFC 3489 has for it. */
  readonly name: NatName
}

const DEPENDENCES: ReadonlyArray<EndpointDependence | 'unknown'> = ['unknown', 'endpoint-independent', 'address-dependent', 'address-and-port-dependent']

/** Mappings that are none of these: they depend on the remote endpoint, in a way that is not known; and nothing is translated. */
const DEPENDENT = 4
const UNTRANSLATED = 5

/** The byte for a NAT; 0: nothing is known. */
export function encodeNat ({ isTranslated, mapping, isMappingIndependent, filtering }: Pick<NatBehaviour, 'isTranslated' | 'mapping' | 'isMappingIndependent' | 'filtering'>): number {
  let code = DEPENDENCES.indexOf(mapping)
  if (isTranslated === false) code = UNTRANSLATED
  else if (code === 0 && isMappingIndependent === false) code = DEPENDENT
  return code << 4 | DEPENDENCES.indexOf(filtering)
}

/** What a byte tells; any byte can be read. */
export function decodeNat (byte: number): NatKind {
  const code = byte >>> 4 & 0xf
  const mapping = code === UNTRANSLATED ? 'endpoint-independent' : DEPENDENCES[code] ?? 'unknown'
  const behaviour = {
    isTranslated: code === UNTRANSLATED ? false : code === 0 || code > UNTRANSLATED ? undefined : true,
    mapping,
    isMappingIndependent: code === DEPENDENT ? false : mapping === 'unknown' ? undefined : mapping === 'endpoint-independent',
    filtering: DEPENDENCES[byte & 0xf] ?? 'unknown'
  } as const
  return { ...behaviour, name: describeNat(behaviour) }
}
