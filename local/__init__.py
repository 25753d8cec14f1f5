"""The service on one machine: the same handlers behind an emulated gateway, over an emulated DynamoDB.

    __main__       the commands `serve`, `demo` and `dynamodb`
    demo/          a sample app, made-up visitors, and the dashboard in the terminal
    tools/         the chores of the Makefile: build, pin, document, vendor, picture
    service        puts gateway, handlers and database together
    gateway/       API Gateway's HTTP API as an ASGI app
    database/      DynamoDB on a port, kept in a folder
    template       `template.yaml` as values
    ports          listening sockets and their URLs
    server_thread  a socket server that a thread runs

A module imports only from lines below its own; `lint-imports` checks this.
"""
