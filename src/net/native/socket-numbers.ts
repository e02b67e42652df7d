/** Socket constants of Linux for `Libc`: families, types, options and flags; socket(7), unix(7), ip(7), ipv6(7), tcp(7), udp(7), netlink(7). */

export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_REUSEPORT = 15
export const SO_BROADCAST = 6
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_RCVLOWAT = 18
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_MEMINFO = 55

export const IPPROTO_IP = 0
export const IP_MTU_DISCOVER = 10
export const IP_RECVERR = 11
export const IPPROTO_IPV6 = 41
export const IPV6_MTU_DISCOVER = 23
export const IPV6_RECVERR = 25
export const IPV6_V6ONLY = 26
/** Of `IP_MTU_DISCOVER` and `IPV6_MTU_DISCOVER`: no fragments, and only the MTU of the interface counts. */
export const PMTUDISC_PROBE = 3
/** Fragments where the path takes less. */
export const PMTUDISC_WANT = 1

export const IPPROTO_UDP = 17
export const UDP_SEGMENT = 103
export const UDP_GRO = 104

export const SOL_NETLINK = 270

export const IPPROTO_TCP = 6
export const TCP_MAXSEG = 2
export const TCP_INFO = 11
export const TCP_NOTSENT_LOWAT = 25

export const MSG_ERRQUEUE = 0x2000
export const MSG_DONTWAIT = 0x40
export const MSG_EOR = 0x80
export const MSG_NOSIGNAL = 0x4000
