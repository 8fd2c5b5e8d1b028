"""Constants of the kernel's user-space API, grouped by the header that each comes from."""

from __future__ import annotations

# linux/socket.h, linux/netlink.h
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_RCVBUFFORCE = 33  # asm-generic/socket.h

NLM_F_REQUEST = 0x01
NLM_F_ACK = 0x04
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_ACK_TLVS = 0x200  # in an NLMSG_ERROR: attributes follow

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLMSGERR_ATTR_MSG = 1

NLA_TYPE_MASK = 0x3FFF

# linux/rtnetlink.h
RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RTMGRP_LINK = 1
RTEXT_FILTER_SKIP_STATS = 8

# linux/if_link.h
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_GROUP = 27
IFLA_EXT_MASK = 29
IFLA_LINK_NETNSID = 37
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2

# linux/can/vxcan.h
VXCAN_INFO_PEER = 1

# linux/if.h, linux/if_arp.h
IFF_UP = 1
IFNAMSIZ = 16  # with the closing NUL
ARPHRD_CAN = 280

# linux/can.h (the size of a frame, not of its payload)
AF_CAN = 29
CANFD_MTU = 72

# linux/can/gw.h
CGW_TYPE_CAN_CAN = 1
CGW_FLAGS_CAN_ECHO = 0x01
CGW_FLAGS_CAN_IIF_TX_OK = 0x04
CGW_FLAGS_CAN_FD = 0x08
CGW_HANDLED = 7
CGW_DROPPED = 8
CGW_SRC_IF = 9
CGW_DST_IF = 10
CGW_DELETED = 12
