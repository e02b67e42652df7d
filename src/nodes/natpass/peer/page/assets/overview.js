/* global AbortSignal, clearTimeout, document, fetch, location, setTimeout, URL */
// The page of all rules: asks for the state of the peer, and shows it.
{
  /** Milliseconds between two requests; and for an answer. */
  const INTERVAL = 5000
  const PATIENCE = 10_000

  /** What is opened by the page of a rule. */
  const OPENS = { shell: 'terminal', vnc: 'desktop', 'code-server': 'code-server', bench: 'measurement' }

  const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

  const part = (id) => document.getElementById(id)
  const isLoopback = (host) => host === 'localhost' || /^127\./.test(host) || host === '[::1]'

  let rules = []
  let timer

  function text (name, content, className = '') {
    const element = document.createElement(name)
    element.textContent = content
    if (className !== '') element.className = className
    return element
  }

  function size (bytes) {
    let unit = 0
    for (; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024
    return `${unit === 0 ? bytes : bytes.toFixed(1)} ${UNITS[unit]}`
  }

  const counted = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`

  /** Where a browser reaches the page of a rule: by the name that it has for this machine, when that may be. */
  function addressOf (url) {
    const to = new URL(url)
    const isAny = to.hostname === '0.0.0.0' || to.hostname === '[::]'
    if (isAny || (isLoopback(to.hostname) && isLoopback(location.hostname))) to.hostname = location.hostname
    return to
  }

  function linkTo ({ name, type, url }) {
    if (url === undefined || !Object.hasOwn(OPENS, type)) return text('span', '')
    const to = addressOf(url)
    if (isLoopback(to.hostname) && !isLoopback(location.hostname)) return text('small', 'only on that machine itself')
    const link = text('a', OPENS[type])
    link.href = to.href
    link.target = '_blank'
    link.rel = 'noopener'
    link.setAttribute('aria-label', `${OPENS[type]} of ${name}, in a new window`)
    return link
  }

  function cell (name, ...content) {
    const cell = document.createElement('td')
    cell.dataset.name = name
    cell.append(...content)
    return cell
  }

  const traffic = (bytes, packets) => [size(bytes), text('small', counted(packets, 'packet'))]

  function row (rule) {
    const row = document.createElement('tr')
    const head = text('th', rule.name)
    head.scope = 'row'
    const eachLink = rule.open.map(({ id, bytesIn, packetsIn, bytesOut, packetsOut }) =>
      text('small', `${id}: ${size(bytesIn)} (${packetsIn}) in, ${size(bytesOut)} (${packetsOut}) out`))
    row.append(
      head,
      cell('Target', rule.target),
      cell('Type', rule.type),
      cell('Address', rule.url ?? '-', ...rule.problem === undefined ? [] : [text('small', rule.problem, 'problem')]),
      cell('Links', `${rule.links}`, ...eachLink),
      cell('Received', ...traffic(rule.bytesIn, rule.packetsIn)),
      cell('Sent', ...traffic(rule.bytesOut, rule.packetsOut)),
      cell('Open', linkTo(rule))
    )
    row.dataset.rule = rule.name
    return row
  }

  /** Of a row that is there only what has changed is another one: the keyboard, and what is marked to be copied, stay where they are. */
  function update (row, next) {
    for (const [i, cell] of [...next.cells].entries()) if (!row.cells[i].isEqualNode(cell)) row.cells[i].replaceWith(cell)
  }

  function show () {
    const words = part('find').value.toLowerCase().split(/\s+/)
    const type = part('type').value
    const shown = new Map(rules
      .filter((rule) => (type === '' || rule.type === type) && words.every((word) => `${rule.name} ${rule.target} ${rule.type}`.toLowerCase().includes(word)))
      .map((rule) => [rule.name, row(rule)]))
    const table = part('table')
    for (const row of [...table.rows]) if (!shown.has(row.dataset.rule)) row.remove()
    for (const [i, row] of [...shown.values()].entries()) {
      if (table.rows[i]?.dataset.rule === row.dataset.rule) update(table.rows[i], row)
      else table.insertBefore(row, table.rows[i] ?? null)
    }
    part('none').hidden = shown.size > 0
    part('none').textContent = rules.length === 0 ? 'This peer has no rules.' : 'No rule fits.'
  }

  function tell (state, isProblem) {
    if (part('state').textContent !== state) part('state').textContent = state // said by screen readers when it changes
    part('state').classList.toggle('problem', isProblem)
  }

  function take (status) {
    rules = status.rules
    const links = (some) => some.reduce((sum, rule) => sum + rule.links, 0)
    part('rules').textContent = rules.length
    part('links').textContent = links(rules)
    part('sessions').textContent = links(rules.filter(({ type }) => type === 'shell' || type === 'vnc'))
    if (status.connected === undefined) tell(`not connected to ${status.server}${status.reason === undefined ? '' : `: ${status.reason}`}`, true)
    else tell(`connected to ${status.server}`, false)
    show()
  }

  async function load () {
    clearTimeout(timer)
    try {
      const answer = await fetch('/api/status', { signal: AbortSignal.timeout(PATIENCE) })
      if (answer.status === 401) return location.reload()
      if (!answer.ok) throw new Error(await answer.text())
      take(await answer.json())
    } catch {
      tell('this peer does not answer', true)
    }
    clearTimeout(timer)
    if (!document.hidden) timer = setTimeout(load, INTERVAL)
  }

  part('find').addEventListener('input', show)
  part('type').addEventListener('change', show)
  document.querySelector('form').addEventListener('submit', (event) => { event.preventDefault() })
  document.addEventListener('visibilitychange', () => { if (!document.hidden) load() })
  load()
}
