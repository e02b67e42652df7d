/** The page of all rules: an HTTP server on the control end (natpass protocol, section 5). */
import { answer, JSON_TYPE } from './answers.ts'
import { overviewPage } from './overview-html.ts'
import { infoOf, rulesOf } from './overview-counts.ts'
import { loadOverviewAssets } from './page-assets.ts'
import { Site, type Handler, type SiteInit } from './site.ts'
import type { NatpassPeerStatus } from '../settings.ts'

export interface OverviewPageInit extends SiteInit {
  /** Of the peer, as of now. */
  status (): NatpassPeerStatus
}

export interface OverviewPage {
  /** With the port in use. */
  readonly url: string
  close (): Promise<void>
}

/** Listens and serves. @throws an error of the system when it cannot listen */
export async function serveOverviewPage (init: OverviewPageInit): Promise<OverviewPage> {
  const assets = await loadOverviewAssets()
  const json = (read: (status: NatpassPeerStatus) => unknown): { GET: Handler } => ({
    GET: (_request, response) => { answer(response, 200, JSON.stringify(read(init.status())), { 'content-type': JSON_TYPE }) }
  })
  const site = new Site(init, {
    assets,
    index: overviewPage(init.name, assets),
    maxMessage: 1, // there is no WebSocket
    routes: {
      '/api/info': json(infoOf),
      '/api/rules': json(rulesOf),
      '/api/status': json((status) => status)
    },
    taker: () => undefined
  })
  await site.listen()
  return site
}
