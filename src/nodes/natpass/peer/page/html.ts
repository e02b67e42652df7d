/** The pages of rules, and of the login. All text in them is escaped. */
import type { PageAssets } from './page-assets.ts'

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char])

/** @param body - HTML */
export function page (title: string, { styles, scripts }: PageAssets['page'], body: string): string {
  const files = [...styles.map((path) => `<link rel="stylesheet" href="${path}">`), ...scripts.map((path) => `<script defer src="${path}"></script>`)]
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>${escaped(title)}</title>\n${files.join('\n')}\n${body}\n</html>\n`
}

/** @param name - of the rule */
export const terminalPage = (name: string, { page: files }: PageAssets): string =>
  page(name, files, '<body class="terminal">\n<main id="terminal"></main>\n<p id="state" role="status">connecting</p>')

/** @param name - of the rule */
export function desktopPage (name: string, { page: files }: PageAssets): string {
  return page(name, files, `<body class="desktop">
<header>
<h1>${escaped(name)}</h1>
<div role="toolbar" aria-label="Desktop">
<label>Quality <select id="quality">
<option value="100">exact</option>
<option value="90" selected>high</option>
<option value="70">medium</option>
<option value="50">low</option>
</select></label>
<label><input type="checkbox" id="cursor"> Pointer of the desktop</label>
<button type="button" id="cad">Ctrl+Alt+Del</button>
<button type="button" id="clipboard">Clipboard</button>
<button type="button" id="keyboard" aria-pressed="false">Keyboard</button>
<button type="button" id="full">Full screen</button>
</div>
<p id="rate"></p>
</header>
<main>
<canvas id="screen" tabindex="0" width="1" height="1" role="application" aria-label="Screen of the desktop" aria-describedby="help"></canvas>
<textarea id="typing" aria-label="Keys for the desktop" autocapitalize="off" autocomplete="off" spellcheck="false" hidden></textarea>
</main>
<footer>
<p id="state" role="status">connecting</p>
<button type="button" id="again" hidden>Connect again</button>
<p id="help">Keys go to the desktop while its screen has the focus. Ctrl+Alt+Shift gives them back to this page.</p>
</footer>
<dialog id="clipboard-dialog" aria-labelledby="clipboard-title">
<form method="dialog">
<h2 id="clipboard-title">Clipboard of the desktop</h2>
<label>Text <textarea id="clipboard-text" rows="8" autofocus></textarea></label>
<p id="clipboard-state" role="status"></p>
<div>
<button type="button" id="clipboard-get">Get it from the desktop</button>
<button type="button" id="clipboard-set">Send it to the desktop</button>
<button value="close">Close</button>
</div>
</form>
</dialog>`)
}

/** @param problem - what was wrong with the password that was sent */
export function loginPage (name: string, { login: { styles } }: PageAssets, problem = ''): string {
  return page(name, { styles, scripts: [] }, `<body class="login">
<form method="post" action="/login">
<h1>${escaped(name)}</h1>
<label>Password <input type="password" name="password" autocomplete="current-password" autofocus required></label>
<button>Open</button>
<p role="alert">${escaped(problem)}</p>
</form>`)
}

/** @param name - of the rule; @param path - where code-server of the other client is */
export function codePage (name: string, path: string, { page: files }: PageAssets): string {
  return page(name, files, `<body class="code">
<iframe id="code" src="${escaped(path)}" title="${escaped(name)}" allow="clipboard-read; clipboard-write; fullscreen"></iframe>
<p><a href="${escaped(path)}">without this line</a> <span id="traffic" role="status">connecting</span></p>`)
}

/** The link of a request is over. @param path - where another one is made */
export const lostCodePage = (name: string, path: string): string =>
  page(name, { styles: [], scripts: [] }, `<body>\n<h1>${escaped(name)}</h1>\n<p role="alert">The connection to code-server is over.</p>\n<p><a href="${escaped(path)}">Connect again</a></p>`)
