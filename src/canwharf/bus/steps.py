"""The steps of a plan, its scope and its members, as values. Pure.

A new step is a class here, a case in `bus.reconcile`, and a row of the table in `bus.describe`.
"""

from __future__ import annotations

from canwharf.bus.model import Hub, Port, Target
from canwharf.bus.naming import Owner
from canwharf.kernel.can import CanSettings
from canwharf.kernel.firewall import Firewall
from canwharf.kernel.gateway import Frames, Rule
from canwharf.kernel.impairment import Impairment
from canwharf.kernel.injection import Found, Key
from canwharf.kernel.link import Link
from canwharf.kernel.traffic_control import Marks
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Why a rule is deleted.
DUPLICATE = "duplicate"  # each would deliver every frame once more
LEFT = "left"  # its interface left the bus
UNWANTED = "unwanted"  # it carries error frames that this direction should not
DIRECT = "direct"  # it connects two containers directly, and now their bus is linear
BY_HUB = "by hub"  # it connects a container by the hub, and now its bus is a mesh
UNMARKED = "unmarked"  # a container would receive its own frames
WITNESS = "witness"  # it only counted frames while its container went from one shape to the other


class DeleteLink(NamedTuple):
    """Delete an interface of ours, and its rules with it."""

    link: Link


class MakeBus(NamedTuple):
    """Make the vcan that a bus needs."""

    port: Port


class MakePair(NamedTuple):
    """Make an endpoint's pair: its other end at `target`, or on the host for an engine to move."""

    port: Port
    target: Target | None = None


class MakeHub(NamedTuple):
    """Make a bus's hub: a pair of ours with both ends on the host."""

    hub: Hub


class MakeIfb(NamedTuple):
    """Make the ifb that does to a bus's frames what its impairment says."""

    port: Port
    impairment: Impairment


class Redirect(NamedTuple):
    """Let what a container sends go through its bus's ifb; None: straight on."""

    port: Port
    ifb: Port | None


class AddMarks(NamedTuple):
    """Keep a container's own frames from it: both filters of its host end, as `found` there.

    `healing` says that frames come to it from the hub already.
    """

    port: Port
    found: Marks
    healing: bool = False


class SetPolicy(NamedTuple):
    """Let a container send and receive what its port's policy says; `found` is what there is."""

    port: Port
    found: Firewall


class Inject(NamedTuple):
    """Make the faults of a container those of its port; `found` are the filters that there are."""

    port: Port
    found: Mapping[Key, Found]


class BringUp(NamedTuple):
    """Bring up an interface of ours and set its alias."""

    port: Port
    link: Link


class Configure(NamedTuple):
    """Configure an adapter and bring it up; with empty settings only set its alias.

    `owner` is the owner in the alias; None leaves the alias as it is.
    """

    link: Link
    settings: CanSettings
    owner: Owner | None


class TakeDown(NamedTuple):
    """Take down an adapter that we brought up."""

    link: Link


class Rename(NamedTuple):
    """Give an adapter its own name again."""

    link: Link
    name: str


class AddRule(NamedTuple):
    """Forward frames from one interface to another that may not exist yet.

    `echo` says that programs on the host listen there, `witness` that it only counts the frames
    which are lost until the plan's other rules from this source are there.
    """

    source: str
    destination: str
    frames: Frames
    echo: bool = False
    witness: bool = False


class ReplaceRule(NamedTuple):
    """Replace a rule of the form of an earlier version."""

    rule: Rule
    new: Rule
    source: str
    destination: str


class DeleteRule(NamedTuple):
    """Delete a rule; `why` is one of the reasons above."""

    rule: Rule
    source: str
    destination: str
    why: str = DUPLICATE


RuleStep = AddRule | ReplaceRule | DeleteRule
AdapterStep = Configure | TakeDown | Rename
LinkStep = DeleteLink | MakeBus | MakeHub | MakeIfb | MakePair | BringUp | AdapterStep
Step = LinkStep | AddMarks | SetPolicy | Inject | Redirect | RuleStep


class Scope(NamedTuple):
    """The ports that a plan is for: all others are left as they are.

    `targets` are the names of the ports. `pairs` are the names of the ports whose pair is to be
    made if it is missing, with the target of its other end, if that is known. `adapter` is the
    adapter that a call is about: it is brought up even if an operator took it down. `skipped` are
    the names of endpoints' ports that are left as they are in any case: they cannot be repaired.
    """

    targets: Collection[str]
    pairs: Mapping[str, Target | None] = {}
    adapter: str = ""
    skipped: Collection[str] = ()


class Plan(NamedTuple):
    """Steps in the order in which they are to be applied, and the ports that were left out.

    `lost` are the frames that were lost while it was applied, those of each sender counted once.
    """

    steps: tuple[Step, ...]
    absent: tuple[Port, ...]
    lost: int = 0
