"""API Gateway's HTTP API: an HTTP request becomes a Lambda event, the handler's result becomes the response.

http_api  the ASGI app: limits, time-outs, calling the handlers
event     requests as events of payload format 2.0, results as responses
routes    which route a request takes
"""
