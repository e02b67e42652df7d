/** Socket constants of Linux for `Libc`: families, types, options and flags; socket(7), tcp(7), netlink(7). */

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
export const SO_RCVLOWAT = 18

export const SOL_NETLINK = 270

export const IPPROTO_TCP = 6
export const TCP_MAXSEG = 2
export const TCP_INFO = 11
export const TCP_NOTSENT_LOWAT = 25

export const MSG_DONTWAIT = 0x40
export const MSG_EOR = 0x80
export const MSG_NOSIGNAL = 0x4000
