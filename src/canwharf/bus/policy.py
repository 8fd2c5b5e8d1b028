"""A container's policy as filters of its host end. Pure.

Rules:

- A policy is three words (`model.Policy`): texts of sets of ids (`ids`), and a rate. A word that is
  not given lets everything pass.
- The filters in the kernel bear a digest of the text from which they were made: so a dump tells
  whether they are those of a policy, a thousand in a few milliseconds.
- To read a text, which takes longer, is only for making filters.
"""

from __future__ import annotations

from canwharf.bus.model import Policy
from canwharf.errors import ConflictError
from canwharf.kernel.firewall import Firewall, Ids, Side, Wanted

_PRIME = 4294967291  # the greatest of 32 bits
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


def firewall_of(policy: Policy) -> Firewall:
    """The filters of a policy, as a dump shows them."""
    rate = _rate(policy)
    return Firewall(Side(_digest(policy.send, rate)), Side(_digest(policy.receive)), rate)


def wanted(policy: Policy) -> Wanted:
    """What the filters of a policy are made from. Raises OptionError."""
    rate = _rate(policy)
    return Wanted(_ids("can.send", policy.send, rate), _ids("can.receive", policy.receive), rate)


def _rate(policy: Policy) -> int:
    """The limit in frames a second; 0 is none."""
    return int(policy.rate) if policy.rate not in ("", NO_LIMIT) else 0


def _digest(words: str, rate: int = 0) -> int:
    """What stands for the filter of one direction; 0: there is none.

    With a limit of the rate there is one in any case: by it a dump tells that there is a limit.
    """
    words = words or _EVERYTHING
    if words == _EVERYTHING and not rate:
        return 0
    return int.from_bytes(words.encode()) % _PRIME or 1


def _ids(option: str, words: str, rate: int = 0) -> Ids | None:
    digest = _digest(words, rate)
    if not digest:
        return None
    from canwharf.bus import ids  # noqa: PLC0415 (not everybody filters)

    return Ids(ids.parse(option, words or _EVERYTHING).lists, digest)
