/**
 * Homes behind routers, around an internet that is one host: it has the addresses of the relay and of the STUN server, and passes on
 * what homes send each other. So it can cut the way between homes and leave their ways to the relay, and it sees which of the two is
 * taken.
 */
import type { Test } from 'tap'
import { Lab, UPLINK, type Namespace } from './namespaces.ts'

/** Of the internet host: where a relay listens, and one more for a STUN server that has two. */
export const RELAY_HOST = '192.0.2.1'
export const SECOND_HOST = '192.0.2.2'

/** Of a router: to the internet, and to its hosts. */
const WAN = 'wan'
const LAN = 'lan'

/**
 * How a router translates. `port-restricted`: one port for all destinations, and only what was sent to may answer, as Linux does.
 * `restricted`: the same, but a forwarded port is reached by whoever has an address that was sent to from it in the last two minutes.
 * `symmetric`: another port for each destination. `none`: its hosts have addresses of the internet, and whoever wants to reaches them.
 */
export type RouterKind = 'port-restricted' | 'restricted' | 'symmetric' | 'none'

export interface HomeInit {
  /** Default: `port-restricted`. */
  kind?: RouterKind
  /** Its private network, `192.168.7.0/24` as `192.168.7`. Default: one of its own. */
  lan?: string
  /** UDP ports that anybody reaches (full cone) where the kind does not say otherwise, and the last parts of the addresses of the hosts that have them. */
  forwarded?: Readonly<Record<number, number>>
  /** Hosts in here reach the forwarded ports by the outer address as well. */
  hairpin?: boolean
}

export interface Home {
  name: string
  router: Namespace
  /** The outer address of the router. */
  address: string
  /** The device of the internet that leads here. */
  device: string
  /** A host in here; `last` is the last part of its address, 2 by default. */
  host (name: string, last?: number): Promise<Namespace>
}

/** Bytes of IP packets. */
export interface Passed {
  /** UDP from home to home. */
  direct: number
  /** TCP from and to the internet host. */
  relayed: number
}

const FORWARDING = 'echo 1 > /proc/sys/net/ipv4/ip_forward; for f in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 > $f; done'

export class NatLab {
  /** Where the relay and the STUN server run. */
  readonly internet: Namespace
  readonly #lab: Lab
  #homes = 0

  private constructor (lab: Lab, internet: Namespace) {
    this.#lab = lab
    this.internet = internet
  }

  /** Makes one without homes, and removes it with all that is in it at the end of the test. */
  static async open (t: Test): Promise<NatLab> {
    const lab = new Lab(t)
    const internet = await lab.namespace('internet')
    for (const address of [RELAY_HOST, SECOND_HOST]) await internet.ip('addr', 'add', `${address}/32`, 'dev', 'lo')
    await internet.run('sh', '-c', FORWARDING)
    await internet.filter(`table inet lab {
      counter direct {}
      counter relayed {}
      chain cut {}
      chain blocked {}
      chain sent {}
      chain forward { type filter hook forward priority 0; jump cut; meta l4proto udp counter name direct; }
      chain input { type filter hook input priority 0; jump blocked; meta l4proto tcp iifname != lo counter name relayed; }
      chain output { type filter hook output priority 0; jump sent; meta l4proto tcp oifname != lo counter name relayed; }
    }`)
    return new NatLab(lab, internet)
  }

  async home (name: string, { kind = 'port-restricted', lan, forwarded = {}, hairpin = false }: HomeInit = {}): Promise<Home> {
    const number = ++this.#homes
    const [router, device] = [await this.#lab.namespace(`${name}-router`), `home${number}`]
    const address = `203.0.113.${4 * number + 2}`
    const network = lan ?? (kind === 'none' ? `198.51.${100 + number}` : `192.168.${10 + number}`)
    await this.#lab.wire(this.internet, device, router, WAN)
    await this.internet.ip('addr', 'add', `203.0.113.${4 * number + 1}/30`, 'dev', device)
    await router.ip('addr', 'add', `${address}/30`, 'dev', WAN)
    await router.ip('link', 'add', LAN, 'type', 'bridge')
    await router.ip('link', 'set', LAN, 'up')
    await router.ip('addr', 'add', `${network}.1/24`, 'dev', LAN)
    await router.ip('route', 'add', 'default', 'via', `203.0.113.${4 * number + 1}`)
    await router.run('sh', '-c', FORWARDING)
    if (kind === 'none') await this.internet.ip('route', 'add', `${network}.0/24`, 'via', address)
    else await router.filter(translation(address, network, kind, forwarded, hairpin))
    let ports = 0
    return {
      name,
      router,
      address,
      device,
      host: async (name, last = 2) => {
        const [host, port] = [await this.#lab.namespace(name), `port${ports++}`]
        await this.#lab.wire(host, UPLINK, router, port)
        await router.ip('link', 'set', port, 'master', LAN)
        await host.ip('addr', 'add', `${network}.${last}/24`, 'dev', UPLINK)
        await host.ip('route', 'add', 'default', 'via', `${network}.1`)
        return host
      }
    }
  }

  /** From now on no UDP gets from a home to another; the way back, the relay and the STUN server stay. */
  async cut (from: Home, to: Home): Promise<void> {
    await this.internet.filter(`add rule inet lab cut iifname ${from.device} oifname ${to.device} meta l4proto udp drop`)
  }

  /** Both ways. */
  async cutBoth (a: Home, b: Home): Promise<void> {
    await this.cut(a, b)
    await this.cut(b, a)
  }

  /** Undoes all cuts. */
  async mend (): Promise<void> { await this.internet.filter('flush chain inet lab cut') }

  /** From now on nothing gets to a port of the internet host from any home, without an answer; connections stay and wait. */
  async block (protocol: 'tcp' | 'udp', port: number): Promise<void> {
    await this.internet.filter(`add rule inet lab blocked iifname != lo ${protocol} dport ${port} drop`)
  }

  /** Undoes all blocks. */
  async unblock (): Promise<void> { await this.internet.filter('flush chain inet lab blocked') }

  /** From now on so many of 100 datagrams of UDP are lost, at random: between homes, and each way between them and the internet host. */
  async lose (percent: number): Promise<void> {
    const lost = `meta l4proto udp numgen random mod 100 < ${percent} drop`
    await this.internet.filter(`add rule inet lab cut ${lost}; add rule inet lab blocked iifname != lo ${lost}; add rule inet lab sent oifname != lo ${lost}`)
  }

  /** Undoes that, and all cuts and blocks. */
  async loseNothing (): Promise<void> {
    for (const chain of ['cut', 'blocked', 'sent']) await this.internet.filter(`flush chain inet lab ${chain}`)
  }

  /** Lets no more than so many bits a second take the way to and from a home; false when this kernel has no token bucket filter. */
  async slow (home: Home, bits: number, burst = 16_000): Promise<boolean> {
    return await home.router.slow(WAN, bits, burst) && await this.internet.slow(home.device, bits, burst)
  }

  /** What has gone each way so far. */
  async passed (): Promise<Passed> {
    const { nftables }: any = JSON.parse(await this.internet.run('nft', '-j', 'list', 'counters', 'table', 'inet', 'lab'))
    const bytesOf = (wanted: string): number => nftables.find(({ counter }: any) => counter?.name === wanted).counter.bytes
    return { direct: bytesOf('direct'), relayed: bytesOf('relayed') }
  }

  /** What goes each way meanwhile. */
  async passing (work: () => Promise<unknown>): Promise<Passed> {
    const before = await this.passed()
    await work()
    const after = await this.passed()
    return { direct: after.direct - before.direct, relayed: after.relayed - before.relayed }
  }
}

/** Home routers let in what was asked for and what is forwarded; what they are sent themselves they drop. */
function translation (address: string, network: string, kind: RouterKind, forwarded: Readonly<Record<number, number>>, hairpin: boolean): string {
  const from = hairpin ? '' : `iifname ${WAN}`
  const senders = kind === 'restricted' ? 'ip saddr . udp dport @known' : ''
  const inward = Object.entries(forwarded).map(([port, last]) => `${from} ${senders} ip daddr ${address} udp dport ${port} dnat to ${network}.${last}:${port};`)
  const outward = Object.entries(forwarded).map(([port, last]) => `oifname ${WAN} ip saddr ${network}.${last} udp sport ${port} snat to ${address}:${port};`)
  return `table ip nat {
    set known { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 120s; }
    chain notice { type filter hook postrouting priority 0; oifname ${WAN} meta l4proto udp update @known { ip daddr . udp sport }; }
    chain inward { type nat hook prerouting priority -100; ${inward.join(' ')} }
    chain outward {
      type nat hook postrouting priority 100;
      ${outward.join(' ')}
      oifname ${WAN} masquerade ${kind === 'symmetric' ? 'random,fully-random' : ''};
      ${hairpin ? `oifname ${LAN} ip saddr ${network}.0/24 ct status dnat snat to ${address};` : ''}
    }
    chain own { type filter hook input priority 0; iifname ${WAN} ct state new drop; }
    chain through { type filter hook forward priority 0; iifname ${WAN} ct state new ct status & dnat == 0 drop; }
  }`
}
