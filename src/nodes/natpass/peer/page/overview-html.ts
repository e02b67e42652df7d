/** The page of all rules; its script fills the table. */
import { escaped, page } from './html.ts'
import type { PageAssets } from './page-assets.ts'
import { RULE_TYPES } from '../rules.ts'

/** @param name - the id of the peer */
export function overviewPage (name: string, { page: files }: PageAssets): string {
  const types = RULE_TYPES.map((type) => `<option>${type}</option>`)
  return page(name, files, `<body>
<header>
<h1>${escaped(name)}</h1>
<p id="state" role="status">loading</p>
</header>
<main>
<dl>
<div><dt>Rules</dt><dd id="rules">-</dd></div>
<div><dt>Links</dt><dd id="links">-</dd></div>
<div><dt>Terminals and desktops</dt><dd id="sessions">-</dd></div>
</dl>
<form role="search">
<label>Find <input type="search" id="find" autocomplete="off" spellcheck="false"></label>
<label>Type <select id="type"><option value="">all</option>${types.join('')}</select></label>
</form>
<table>
<caption>Rules, and what they have carried since the start</caption>
<thead><tr><th scope="col">Rule</th><th scope="col">Target</th><th scope="col">Type</th><th scope="col">Address</th><th scope="col">Links</th><th scope="col">Received</th><th scope="col">Sent</th><th scope="col">Open</th></tr></thead>
<tbody id="table"></tbody>
</table>
<p id="none" hidden>No rule fits.</p>
</main>`)
}
