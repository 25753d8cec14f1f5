"""Cross-origin requests, as an HTTP API with a CORS configuration answers them.

The rules are those of "Configure CORS for HTTP APIs" in the API Gateway developer guide: the API answers preflight
requests itself, whatever its routes are, and replaces the CORS headers of the handlers by its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.gateway.event import Response

if TYPE_CHECKING:
    from local.gateway.event import Request
    from local.template import Cors


def preflight(request: Request) -> Response | None:
    """The answer to a preflight request, or None when the request is none."""
    headers = {name.lower(): value for name, value in request.headers}
    if request.method != "OPTIONS" or "origin" not in headers or "access-control-request-method" not in headers:
        return None
    return Response(204, [], b"")


def with_cors(cors: Cors, request: Request, response: Response) -> Response:
    """The response with the CORS headers of the API, which it has only for an origin that is allowed."""
    headers = [(name, value) for name, value in response.headers if not name.startswith("access-control-")]
    origin = next((value for name, value in request.headers if name.lower() == "origin"), "")
    if origin in cors.origins or (origin and "*" in cors.origins):
        headers.append(("access-control-allow-origin", "*" if "*" in cors.origins else origin))
        lists = {
            "access-control-allow-methods": cors.methods if request.method == "OPTIONS" else (),
            "access-control-allow-headers": cors.headers if request.method == "OPTIONS" else (),
            "access-control-expose-headers": cors.exposed,
        }
        headers += [(name, ",".join(values)) for name, values in lists.items() if values]
        if cors.max_age and request.method == "OPTIONS":
            headers.append(("access-control-max-age", cors.max_age))
    return Response(response.status, headers, response.body)
