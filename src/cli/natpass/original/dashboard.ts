/** The dashboard of a file of the original as the page of all rules (natpass protocol, section 5): nobody else reaches it without a password. */
import { isLoopback } from '../../../net/client-address.ts'
import { endpointText, readEndpoint } from '../../../net/endpoint.ts'
import { placeText } from '../../config/yaml-document.ts'
import type { peerKeys } from './keys.ts'
import type { Original } from './read.ts'

const HOST = '127.0.0.1'

const ELSEWHERE = 'where the original listens on all addresses'

export interface Dashboard {
  /** The value of `--page`. Undefined: there is none. */
  readonly page: string | undefined
  readonly warnings: readonly string[]
}

/** @param hasPassword - pages have one */
export function dashboardOf ({ file, values, placeOf }: Original<typeof peerKeys>, hasPassword: boolean): Dashboard {
  const port = values['dashboard.port']
  const listen = values['dashboard.listen']
  const [section, place] = [placeOf('dashboard'), placeOf('dashboard.listen')]
  const own = endpointText({ host: HOST, port })
  if (!values['dashboard.enabled']) return { page: undefined, warnings: [] }
  if (section === undefined) return { page: own, warnings: [`${file}: dashboard is missing: the page of all rules is at ${own}, ${ELSEWHERE}`] }
  if (listen === undefined || place === undefined) return { page: own, warnings: [`${placeText(section)}: dashboard.listen is missing: ${HOST} takes its place, ${ELSEWHERE}`] }
  const asked = listen.startsWith('[') ? `${listen}:${port}` : endpointText({ host: listen, port })
  const host = readEndpoint(asked)?.host // the check of the option refuses what is none
  if (host === undefined || hasPassword || isLoopback(host)) return { page: asked, warnings: [] }
  return { page: own, warnings: [`${placeText(place)}: dashboard.listen: the page is on ${HOST} in place of ${host}, as it has no password: --page-password-file FILE or TUNPIPE_PAGE_PASSWORD sets one`] }
}
