"""The service on one machine: the same handlers behind an emulated gateway, over an emulated DynamoDB.

    __main__       the commands `serve`, `demo` and `dynamodb`
    demo/          a sample app, made-up visitors, and the dashboard in the terminal
    tools/         the chores of the Makefile: build, pin, document, vendor, picture
    service        puts gateway, handlers and database together
    schedule       EventBridge: calls the functions that have a schedule
    gateway/       API Gateway's HTTP API as an ASGI app
    database/      DynamoDB on a port, kept in a folder
    environment    the variables of the shell, made fit for the handlers
    template       `template.yaml` as values
    cloudformation  parameters, conditions and references of a template
    ports          listening sockets and their URLs
    server_thread  a socket server that a thread runs

A module imports only from lines below its own; `lint-imports` checks this.
"""
