// The line of a code-server page: what its link has carried.
'use strict'

const INTERVAL = 2000
const UNITS = ['B', 'KiB', 'MiB', 'GiB']

const frame = document.getElementById('code')
const traffic = document.getElementById('traffic')
let id

frame.addEventListener('load', () => {
  id = new URLSearchParams(frame.contentWindow.location.search).get('natpass_connection_id') ?? id
  if (id === undefined) traffic.textContent = 'not connected'
})

function amount (bytes) {
  let unit = 0
  for (; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${UNITS[unit]}`
}

async function show () {
  if (id === undefined) return
  try {
    const response = await fetch(`/info?id=${encodeURIComponent(id)}`)
    const info = response.ok ? await response.json() : undefined
    traffic.textContent = info === undefined ? 'not connected' : `sent ${amount(info.send_bytes)}, received ${amount(info.recv_bytes)}`
  } catch {
    traffic.textContent = 'this page is not served any more'
  }
}

setInterval(show, INTERVAL)
