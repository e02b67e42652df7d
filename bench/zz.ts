import { Lab } from './tun/lab.ts'
import { sealed, plain } from './tun/tunnels.ts'
import { wireguard } from './tun/wireguard.ts'
import { pings, tcp } from './tun/load.ts'
const lab = await Lab.open()
try {
  const all = [await sealed(lab), await wireguard(lab, '/tmp/scratch/wg/wireguard', 'wg')]
  for (let round = 0; round < Number(process.argv[2] ?? 3); round++) for (const t of all) {
    const { rate, retransmitted } = await tcp(t, 2)
    console.log(t.name, (rate / 1e9).toFixed(2), 'Gbit/s', retransmitted.toFixed(4))
  }
  for (const t of all) { const p = (await pings(t, 60, 0.01)).sort((a, b) => a - b); console.log(t.name, 'ping', p[p.length >> 1]) }
} finally { await lab.close() }
