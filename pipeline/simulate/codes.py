"""Sign-in error codes the tenant meets, with the reason text of the log.

Texts in our own words after Microsoft's reference of AADSTS codes.
"""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[int, str]] = {
    0: "",
    16000: "The user has to choose an account.",
    50000: "There was an error issuing a token.",
    50008: "The SAML assertion is missing or misconfigured.",
    50033: "A transient error has occurred. Please try again.",
    50034: "The user account does not exist in the directory.",
    50053: "The account is locked after too many wrong sign-ins, or the address is blocked.",
    50055: "The password is expired.",
    50057: "The user account is disabled.",
    50058: "A silent sign-in was sent but no user is signed in.",
    50074: "Strong authentication is required and the user did not pass it.",
    50076: "Multi-factor authentication is required by a policy or a new location.",
    50097: "Device authentication is required.",
    50107: "The requested federation realm object does not exist.",
    50125: "Sign-in was interrupted by a password reset or registration.",
    50126: "Invalid user name or password.",
    50140: "Sign-in was interrupted by the stay signed in question.",
    50173: "The grant was revoked; a fresh sign-in is needed.",
    50196: "The server ended the operation: a client request loop was found.",
    53003: "Access has been blocked by Conditional Access policies.",
    65001: "The user or administrator has not consented to the application.",
    70043: "The refresh token is expired or invalid because of the sign-in frequency.",
    90024: "The request budget was exceeded. A transient error has occurred.",
    90025: "The request has failed: the service reached its retry allowance.",
    90033: "A transient error has occurred: the directory service is unavailable.",
    90055: "There are too many requests for the tenant.",
    500121: "Strong authentication was not completed.",
    700082: "The refresh token has expired due to inactivity.",
    7000215: "An invalid client secret was provided.",
}

# Steps of a good sign-in: followed by a success with the same correlationId.
INTERRUPTS: Final = (50074, 50076, 50140, 50125, 50097)
INTERRUPT_WEIGHTS: Final = (0.25, 0.35, 0.30, 0.05, 0.05)

# Failures of daily life among token refreshes and among interactive sign-ins; some
# 1.2 % and 7 % of the attempts, 1 to 3 % together.
REFRESH_FAILURES: Final = (70043, 700082, 50173, 53003, 50058, 65001, 90025, 50196)
REFRESH_WEIGHTS: Final = (0.40, 0.17, 0.12, 0.08, 0.10, 0.07, 0.04, 0.02)
REFRESH_RATE: Final = 0.012
PERSON_FAILURES: Final = (50126, 500121, 50053, 50055, 53003, 50057, 65001)
PERSON_WEIGHTS: Final = (0.66, 0.13, 0.05, 0.04, 0.08, 0.01, 0.03)
PERSON_RATE: Final = 0.07

# What the sign-in service answers in an outage, with the share of each code.
EXCHANGE_FAULTS: Final = ((90033, 0.45), (90025, 0.25), (50033, 0.15), (90024, 0.10), (50000, 0.05))
OVERLOAD: Final = ((90024, 0.30), (90055, 0.25), (90033, 0.20), (50033, 0.15), (90025, 0.10))
REFUSED: Final = ((50033, 0.40), (50000, 0.30), (90033, 0.20), (90025, 0.10))
