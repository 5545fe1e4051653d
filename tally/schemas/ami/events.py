"""What each AMI event is to us.

Source: Asterisk's main/manager_channels.c, main/manager_bridges.c, apps/app_queue.c.
"""

from collections.abc import Mapping

from tally.schemas.call_facts import Kind

KINDS: Mapping[str, Kind] = {
    "Newchannel": "seen",
    "Newstate": "seen",
    "LocalBridge": "seen",
    "Pickup": "seen",
    "BlindTransfer": "seen",
    "AttendedTransfer": "seen",
    "CoreShowChannel": "listed",
    "HangupRequest": "request",
    "Hangup": "hangup",
    "DialBegin": "dial",
    "DialState": "dial",
    "DialEnd": "dial_end",
    "BridgeEnter": "enter",
    "BridgeLeave": "leave",
    "Hold": "hold",
    "Unhold": "unhold",
    "QueueCallerJoin": "join",
    "QueueCallerLeave": "unjoin",
    "QueueCallerAbandon": "abandon",
    "AgentCalled": "agent",
    "AgentConnect": "agent",
    "AgentComplete": "agent",
    "AgentDump": "agent",
    "AgentRingNoAnswer": "ring_no_answer",
}
"""Events that show channels, and what more they say."""

MEMBERS = frozenset(
    {
        *("QueueMember", "QueueMemberStatus", "QueueMemberAdded", "QueueMemberRemoved", "QueueMemberPause"),
        *("QueueMemberPenalty", "QueueMemberRinginuse"),
    }
)
"""Events that describe an operator's membership of a queue."""

OTHERS = frozenset(
    {
        "OriginateResponse",
        "FullyBooted",
        "CoreShowChannelsComplete",
        "QueueStatusComplete",
        "VarSet",
        "UserEvent",
    }
)
"""Events that are read for one thing each; VarSet and UserEvent only where the settings name them."""

NOISE = frozenset(
    {
        *("Newexten", "NewCallerid", "NewConnectedLine", "NewAccountCode", "SoftHangupRequest", "Rename"),
        *("BridgeCreate", "BridgeDestroy", "BridgeMerge", "BridgeInfoChannel", "BridgeVideoSourceUpdate"),
        *("LocalOptimizationBegin", "LocalOptimizationEnd", "MusicOnHold", "MusicOnHoldStart"),
        *("MusicOnHoldStop", "DTMFBegin", "DTMFEnd", "Flash", "Wink", "Cdr", "CEL"),
        *("RTCPSent", "RTCPReceived", "HangupHandlerPush", "HangupHandlerPop", "HangupHandlerRun"),
        *("ChanSpyStart", "ChanSpyStop", "MonitorStart", "MonitorStop", "MixMonitorStart", "MixMonitorStop"),
        *("MixMonitorMute", "AGIExecStart", "AGIExecEnd", "AsyncAGIStart", "AsyncAGIExec", "AsyncAGIEnd"),
        *("ParkedCall", "ParkedCallGiveUp", "ParkedCallTimeOut", "ParkedCallSwap", "UnParkedCall"),
        *("ConfbridgeStart", "ConfbridgeEnd", "ConfbridgeJoin", "ConfbridgeLeave", "ConfbridgeTalking"),
        *("ConfbridgeMute", "ConfbridgeUnmute", "ConfbridgeRecord", "ConfbridgeStopRecord"),
        *("DeviceStateChange", "PresenceStateChange", "ExtensionStatus", "PresenceStatus", "PeerStatus"),
        *("ContactStatus", "ContactStatusDetail", "Registry", "DNDState", "Alarm", "AlarmClear"),
        *("DAHDIChannel", "MessageWaiting", "MCID", "AOC-D", "AOC-E", "AOC-S", "FAXStatus", "ReceiveFAX"),
        *("SendFAX", "FAXSession", "QueueParams", "QueueEntry", "QueueSummary", "QueueSummaryComplete"),
        *("StatusComplete", "Status", "Load", "Unload", "Reload", "Shutdown", "LoadAverageLimit"),
        *("MemoryLimit", "ModuleLoadReport", "SuccessfulAuth", "InvalidPassword", "InvalidAccountID"),
        *("ChallengeResponseFailed", "ChallengeSent", "FailedACL", "InvalidTransport", "RequestBadFormat"),
        *("RequestNotAllowed", "RequestNotSupported", "SessionLimit", "SessionTimeout"),
        *(
            "UnexpectedAddress",
            "AuthMethodNotAllowed",
            "CoreShowChannelMapComplete",
            "DeviceStateListComplete",
        ),
        *("AgentLogin", "AgentLogoff", "Agents", "AgentsComplete"),
        "AuthDetail",
        *("AorDetail", "EndpointDetail", "EndpointList", "EndpointListComplete", "ContactList"),
    }
)
"""Events that say nothing about a call or an operator; they are counted by name and dropped."""

KNOWN = NOISE | MEMBERS | OTHERS | KINDS.keys()
"""Every event that is counted by its own name; the rest is `other`."""

NO_ATTEMPT = "OutgoingSpoolFailed"
"""The phantom channel that runs the extension `failed` after an Originate: no attempt, and no call."""
