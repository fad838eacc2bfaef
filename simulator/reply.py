"""An HTTP reply of an office, before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Reply:
    """An HTTP reply before it is sent.

    Attributes
    ----------
    delay_seconds
        Delay before the first byte.
    cut_after
        Close the connection after this many bytes although the headers promise all of ``body``.
    drip_seconds, drip_bytes
        Send the body in parts of ``drip_bytes`` bytes, with a pause of ``drip_seconds`` before each; 0 sends it at
        once.
    """

    body: bytes
    media_type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut_after: int | None = None
    drip_seconds: float = 0.0
    drip_bytes: int = 1
