"""A container's policy as filters of its host end. Pure.

Rules:

- A policy is three words (`model.Policy`): texts of sets of ids (`ids`), and a rate. A word that is
  not given lets everything pass.
- The filters in the kernel bear a digest of the text from which they were made: so a dump tells
  whether they are those of a policy, a thousand in a few milliseconds.
- A digest also has which filters its policy has. The policy of a container whose record is lost is
  not known; that a part of its filters is missing can be told all the same: a crash came between
  two, or somebody deleted one. Then it is closed.
- To read a text, which takes longer, is only for making filters.
"""

from __future__ import annotations

from canwharf.bus.model import Policy
from canwharf.errors import ConflictError
from canwharf.kernel.firewall import Firewall, Ids, Side, Wanted

_PRIME = 536870909  # the greatest of 29 bits
_SEND, _RECEIVE, _RATE = 1, 2, 4  # the filters of a policy: the last three bits of a digest
_FILTERS = 8
_EVERYTHING, NO_LIMIT = "all", "off"


def check_change(own: Policy | None, words: Policy) -> None:
    """Refuse words that leave it open what a container may; `own` are those that it had.

    Raises ConflictError.
    """
    if own is None and not (words.send and words.receive):
        raise ConflictError(
            "canwharf's record of this container is lost, and the kernel has only the filters: "
            "give both can.send and can.receive, or start the container again"
        )


def is_in_force(policy: Policy, found: Firewall) -> bool:
    """Whether these are the filters of this policy."""
    return firewall_of(policy).form == found.form


def is_whole(found: Firewall) -> bool:
    """Whether these are all filters of a policy, of whichever."""
    there = _filters(found.send.digest, found.receive.digest, found.rate)
    digests = [side.digest for side in (found.send, found.receive) if side.digest]
    return bool(digests) and all(each % _FILTERS == there for each in digests)


def firewall_of(policy: Policy) -> Firewall:
    """The filters of a policy, as a dump shows them."""
    rate = _rate(policy)
    send, receive = _words(policy.send, rate), _words(policy.receive)
    filters = _filters(send, receive, rate)
    return Firewall(Side(_digest(send, filters)), Side(_digest(receive, filters)), rate)


def wanted(policy: Policy) -> Wanted:
    """What the filters of a policy are made from. Raises OptionError."""
    send, receive, rate, _excess = firewall_of(policy)
    return Wanted(
        _ids("can.send", policy.send, send.digest),
        _ids("can.receive", policy.receive, receive.digest),
        rate,
    )


def _rate(policy: Policy) -> int:
    """The limit in frames a second; 0 is none."""
    return int(policy.rate) if policy.rate not in ("", NO_LIMIT) else 0


def _words(words: str, rate: int = 0) -> str:
    """The text of which there is a filter; empty: there is none.

    With a limit of the rate there is one in any case: by it a dump tells that there is a limit.
    """
    if words in ("", _EVERYTHING):
        return _EVERYTHING if rate else ""
    return words


def _filters(send: str | int, receive: str | int, rate: int) -> int:
    """Those that there are, as bits."""
    return bool(send) * _SEND | bool(receive) * _RECEIVE | bool(rate) * _RATE


def _digest(words: str, filters: int) -> int:
    """What stands for the filter of one direction; 0: there is none."""
    return int.from_bytes(words.encode()) % _PRIME * _FILTERS | filters if words else 0


def _ids(option: str, words: str, digest: int) -> Ids | None:
    if not digest:
        return None
    from canwharf.bus import ids  # noqa: PLC0415 (not everybody filters)

    return Ids(ids.parse(option, words or _EVERYTHING).lists, digest)
