/** The options of `relay rustdesk join`. */
import { boolean, path, secretText } from '../../nodes/common/options/checks.ts'
import type { Options } from '../../nodes/common/options/option.ts'
import { relayOptions } from './options.ts'

export const joinOptions = {
  data: { check: path(), default: relayOptions.data.default, defaultText: relayOptions.data.defaultText, value: 'folder', help: 'of the key files of the server' },
  key: { check: secretText(), short: 'k', value: 'key', defaultText: '-', help: 'the key of the server, as it is given to that' },
  relay: { check: relayOptions.relayServers.check, value: 'host', defaultText: 'HOST, the port after that of the server', help: 'the relay, where clients are to use another one' },
  json: { check: boolean(), default: false, help: 'print JSON' }
} as const satisfies Options
