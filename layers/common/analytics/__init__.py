"""API Analytics: the package that the three functions share.

    runtime                              an application as a Lambda handler
    web                                  the FastAPI application: errors, keys, bodies
    query                                questions and their answers
    store                                the tables in DynamoDB
    summary                              what is counted, stored and merged
    batch, wire                          logs as columns; a client's body
    schema                               the declaration of a log
    settings, api_key, blocks, clocks, content_coding, emf
    errors, times, reasons, repair, http_headers

Each imports only what stands below it. docs/architecture.md has the way of a log and what is stored.
"""
