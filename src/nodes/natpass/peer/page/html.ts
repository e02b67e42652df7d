/** The pages of rules, and of the login. All text in them is escaped. */
import type { PageAssets } from './page-assets.ts'

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char])

function page (title: string, styles: readonly string[], body: string): string {
  const links = styles.map((path) => `<link rel="stylesheet" href="${path}">`)
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>${escaped(title)}</title>\n${links.join('\n')}\n${body}\n</html>\n`
}

/** @param name - of the rule */
export function terminalPage (name: string, { page: { styles, scripts } }: PageAssets): string {
  const tags = scripts.map((path) => `<script defer src="${path}"></script>`)
  return page(name, styles, `${tags.join('\n')}\n<body class="terminal">\n<main id="terminal"></main>\n<p id="state" role="status">connecting</p>`)
}

/** @param problem - what was wrong with the password that was sent */
export function loginPage (name: string, { login: { styles } }: PageAssets, problem = ''): string {
  return page(name, styles, `<body class="login">
<form method="post" action="/login">
<h1>${escaped(name)}</h1>
<label>Password <input type="password" name="password" autocomplete="current-password" autofocus required></label>
<button>Open</button>
<p role="alert">${escaped(problem)}</p>
</form>`)
}
