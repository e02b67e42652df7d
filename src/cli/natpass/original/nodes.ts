/** Nodes of YAML as the original takes them: text as it is written, and nothing for an empty value. */
import { isMap, isScalar, isSeq, type ParsedNode, type Scalar } from 'yaml'
import { quoted } from '../../../text/phrases.ts'

/** The text of a scalar, not the number or the boolean that YAML makes of it: `0123456789` keeps its zero. */
export const textOfScalar = ({ source }: Scalar.Parsed): string => source

/** No value, `null`, or an empty text. */
export const isNothing = (node: ParsedNode | null): node is null => node === null || (isScalar(node) && (node.value === null || textOfScalar(node) === ''))

/** A value as an error shows it. */
export const quotedNode = (node: ParsedNode): string => isMap(node) ? quoted({}) : isSeq(node) ? quoted([]) : quoted(isScalar(node) ? textOfScalar(node) : '')
