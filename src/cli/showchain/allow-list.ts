/** Who may connect to a peer: ids, and files of them. */
import { parseId } from '../../nodes/showchain/protocol/public-key.ts'
import { allowList } from '../allow-list.ts'

export const allowedIds = allowList<Uint8Array>({ what: 'an id', expected: '64 hexadecimal digits', form: 'an id of 64 hexadecimal digits', action: 'connect', parse: parseId })
